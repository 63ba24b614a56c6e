//! Cuts a log off before its damage. What is cut off is kept beside it.

use std::{
    io,
    path::{Path, PathBuf},
};

use lombard_types::Position;

use super::{MaintainError, Progress, at, lock, total_bytes};
use crate::{
    checkpoint::{CHECKPOINT_FILE, Checkpoint},
    disk::{Disk, Real, SharedFile},
    merkle::{LEAVES_FILE, TILES_FILE},
    segmented::{FIRST_RECORD_OFFSET, clear_from, read_all, scan, segment_files},
};

const COPY_BYTES: usize = 1 << 20;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// Where the next record goes.
    pub tail: Position,
    /// Files with what was cut off: whole segments as they were.
    pub kept: Vec<PathBuf>,
}

/// Cuts a closed log off, so that the record before `truncate_at` is its last. **Records are lost**: ask first, and
/// prefer a backup. The segments that are changed or removed are kept under names ending in `.cut`. May be repeated
/// where it was interrupted.
pub fn repair(
    directory: &Path,
    truncate_at: Position,
    progress: &mut dyn FnMut(Progress),
) -> Result<RepairReport, MaintainError> {
    let _lock = lock(&Real, directory)?;
    repair_locked(&Real, directory, truncate_at, progress)
}

pub(super) fn repair_locked(
    disk: &dyn Disk,
    directory: &Path,
    truncate_at: Position,
    progress: &mut dyn FnMut(Progress),
) -> Result<RepairReport, MaintainError> {
    let (number, offset) = find(disk, directory, truncate_at, progress)?;
    let mut kept = Vec::new();
    // From the end: an interrupted repair leaves a log without a gap, which is still as damaged as it was.
    for (later, path) in at(directory, segment_files(disk, directory))?.into_iter().rev() {
        if later > number && at(&path, is_zero(disk, &path))? {
            at(&path, disk.remove(&path))?;
        } else if later > number {
            let cut = cut_name(disk, directory, &path)?;
            at(&path, disk.rename(&path, &cut))?;
            at(directory, disk.sync_directory(directory))?;
            kept.push(cut);
        } else if later == number {
            let cut = cut_name(disk, directory, &path)?;
            at(&cut, copy_file(disk, &path, &cut).map(drop))?;
            at(directory, disk.sync_directory(directory))?;
            kept.push(cut);
        }
    }
    for cache in [LEAVES_FILE, TILES_FILE].map(|name| directory.join(name)) {
        if at(directory, disk.list(directory))?.contains(&cache) {
            at(&cache, disk.remove(&cache))?;
        }
    }
    let checkpoint = set_checkpoint_aside(disk, directory, truncate_at)?;
    at(directory, clear_from(disk, directory, number, offset))?;
    kept.reverse();
    kept.extend(checkpoint);
    Ok(RepairReport { tail: truncate_at, kept })
}

/// A checkpoint over what is cut off says what was there: it is evidence, and the log's own no more.
fn set_checkpoint_aside(
    disk: &dyn Disk,
    directory: &Path,
    truncate_at: Position,
) -> Result<Option<PathBuf>, MaintainError> {
    let path = directory.join(CHECKPOINT_FILE);
    if !at(directory, disk.list(directory))?.contains(&path) {
        return Ok(None);
    }
    let note = at(&path, disk.open_read(&path).and_then(|file| read_all(&*file)))?;
    let still_fits = |checkpoint: Checkpoint| checkpoint.size <= truncate_at.get();
    if Checkpoint::parse_unverified(&note).is_ok_and(still_fits) {
        return Ok(None);
    }
    let cut = cut_name(disk, directory, &path)?;
    at(&path, disk.rename(&path, &cut))?;
    Ok(Some(cut))
}

/// The segment and the offset at which the record at `asked` stands or would stand.
fn find(
    disk: &dyn Disk,
    directory: &Path,
    asked: Position,
    progress: &mut dyn FnMut(Progress),
) -> Result<(u64, u64), MaintainError> {
    let total = total_bytes(disk, directory)?;
    let mut done = 0;
    let files = at(directory, segment_files(disk, directory))?;
    // A log whose first record is damaged can still be emptied.
    let mut place = files
        .first()
        .filter(|_| asked == Position::START)
        .map(|&(number, _)| (number, FIRST_RECORD_OFFSET));
    let mut first = None;
    let scanned = scan(
        disk,
        directory,
        &mut |record| {
            first.get_or_insert(record.position);
            if record.position == asked {
                place = Some((record.number, record.offset));
            } else if record.position.next() == asked {
                // Damage may follow: the place is known all the same.
                place = Some((record.number, record.offset + record.framed_bytes));
            }
            record.position < asked
        },
        &mut |bytes| {
            done += bytes;
            progress(Progress { done, total });
        },
    );
    let scanned = at(directory, scanned)?;
    let first = first.unwrap_or(scanned.tail);
    place.ok_or(MaintainError::OutOfReach { asked, first, tail: scanned.tail })
}

/// Whether a segment was prepared and never begun.
fn is_zero(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    let bytes = read_all(&*disk.open_read(path)?)?;
    Ok(bytes.iter().all(|&byte| byte == 0))
}

/// A name that no earlier repair has used.
fn cut_name(disk: &dyn Disk, directory: &Path, path: &Path) -> Result<PathBuf, MaintainError> {
    let taken = at(directory, disk.list(directory))?;
    let mut count = 1u64;
    loop {
        let name = path.with_extension(format!("{count}.cut"));
        if !taken.contains(&name) {
            return Ok(name);
        }
        count += 1;
    }
}

/// Copies a file and syncs the copy.
pub(super) fn copy_file(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<SharedFile> {
    let (from, to) = (disk.open_read(from)?, disk.create(to)?);
    let mut chunk = vec![0; COPY_BYTES];
    let mut offset = 0;
    loop {
        let count = match from.read_at(&mut chunk, offset) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all_at(chunk.get(..count).unwrap_or_default(), offset)?;
        offset += u64::try_from(count).map_err(io::Error::other)?;
    }
    to.sync_all()?;
    Ok(to)
}
