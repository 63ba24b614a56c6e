//! Copies a log: a running one into a backup, a backup into a log.

use std::path::{Path, PathBuf};

use lombard_types::Position;

use super::{
    CheckReport, MaintainError, Progress, at, check::check_locked, lock, repair::copy_file,
};
use crate::{
    Batch, Log, RECORD_OVERHEAD_BYTES, SegmentedConfig, SegmentedLog,
    disk::{Disk, Real},
    merkle::{LEAVES_FILE, LeafFile, TILES_FILE, Tree, TreeHash},
    segmented::segment_files,
};

/// Bytes copied by one sync.
const COPY_BYTES: usize = 1 << 20;

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// How many records.
    pub records: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// The Merkle root over them: what a checkpoint of this size must say.
    pub root: TreeHash,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// What the new log holds, read back from it.
    pub check: CheckReport,
}

/// Copies what is durable when it is called into a new log in `target`, while the log goes on. The backup is a log as
/// any other, with the leaf hashes beside it; `config` must take records as large as the log's. It has its name only
/// when it is whole and durable: what an interruption leaves ends in `.partial` and is made anew.
pub async fn backup(
    log: &dyn Log,
    target: &Path,
    config: SegmentedConfig,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<BackupReport, MaintainError> {
    let partial = begin_target(&Real, target)?;
    let end = *log.durable().borrow();
    let copy = SegmentedLog::open(&partial, config)?;
    let mut tree = Tree::empty_on(at(&partial, LeafFile::open(&Real, &partial))?);
    let mut next = Position::START;
    let mut payload_bytes = 0;
    while next < end {
        let mut batch = Batch::new();
        let mut hashes = Vec::new();
        for record in log.read(next, COPY_BYTES).await? {
            if record.position < end {
                hashes.push(TreeHash::of_record(record.position, &record.payload));
                batch.push(&record.payload);
            }
        }
        payload_bytes += to_u64(batch.payload_bytes());
        append(&copy, next, &batch).await?;
        at(&partial, tree.append(&hashes))?;
        next = next.plus(to_u64(hashes.len()));
        progress(Progress { done: next.get(), total: end.get() });
    }
    let root = at(&partial, tree.root(end.get()))?;
    at(&partial, tree.sync())?;
    drop(copy);
    at(&partial, Real.sync_directory(&partial))?;
    finish_target(&Real, &partial, target)?;
    Ok(BackupReport { records: end.get(), payload_bytes, root })
}

/// Appends record by record as far as there is room, so that no batch is too large for the copy's segments.
async fn append(copy: &SegmentedLog, from: Position, batch: &Batch) -> Result<(), MaintainError> {
    let mut expected = from;
    let mut part = Batch::new();
    let mut room_bytes = copy.room_bytes();
    let mut last = None;
    for payload in batch.payloads() {
        let bytes = to_u64(payload.len()) + RECORD_OVERHEAD_BYTES;
        if bytes > room_bytes {
            let full = std::mem::take(&mut part);
            let count = to_u64(full.len());
            copy.append(expected, full).await?;
            expected = expected.plus(count);
            copy.make_room(bytes).await?;
            room_bytes = copy.room_bytes();
        }
        room_bytes = room_bytes.saturating_sub(bytes);
        part.push(payload);
    }
    if !part.is_empty() {
        last = Some(copy.append(expected, part));
    }
    if let Some(last) = last {
        last.await?;
    }
    Ok(())
}

/// Makes a log in `target` from a backup, file by file, and reads it back. Refuses a backup that is damaged.
pub fn restore(
    backup: &Path,
    target: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<RestoreReport, MaintainError> {
    let disk = &Real;
    let _lock = lock(disk, backup)?;
    // Three passes over the same bytes: read, copy, read back.
    let third = |pass: u64| {
        move |at: Progress| Progress { done: at.total * pass + at.done, total: at.total * 3 }
    };
    let (checking, copying, reading) = (third(0), third(1), third(2));
    let before = check_locked(disk, backup, &mut |at| progress(checking(at)))?;
    if let Some(damage) = before.damage {
        return Err(damage.into());
    }
    let partial = begin_target(disk, target)?;
    at(&partial, disk.create_directory(&partial))?;
    let files = at(backup, segment_files(disk, backup))?;
    let total = super::total_bytes(disk, backup)?;
    let mut done = 0;
    let there = at(backup, disk.list(backup))?;
    let caches = [LEAVES_FILE, TILES_FILE].map(|name| backup.join(name));
    let caches = caches.into_iter().filter(|path| there.contains(path));
    for path in files.into_iter().map(|(_, path)| path).chain(caches) {
        let Some(name) = path.file_name() else { continue };
        let file = at(&path, copy_file(disk, &path, &partial.join(name)))?;
        done += at(&path, file.bytes())?;
        progress(copying(Progress { done: done.min(total), total }));
    }
    at(&partial, disk.sync_directory(&partial))?;
    let check = check_locked(disk, &partial, &mut |at| progress(reading(at)))?;
    if let Some(damage) = check.damage {
        return Err(damage.into());
    }
    finish_target(disk, &partial, target)?;
    Ok(RestoreReport { check })
}

/// The name under which the target is made; what an earlier try left there is removed.
fn begin_target(disk: &Real, target: &Path) -> Result<PathBuf, MaintainError> {
    if target.exists() {
        return Err(MaintainError::TargetExists { directory: target.to_owned() });
    }
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = target.with_file_name(name);
    if partial.exists() {
        let _lock = lock(disk, &partial)?;
        for path in at(&partial, disk.list(&partial))? {
            at(&path, disk.remove(&path))?;
        }
    }
    Ok(partial)
}

fn finish_target(disk: &Real, partial: &Path, target: &Path) -> Result<(), MaintainError> {
    at(target, disk.rename(partial, target))?;
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    at(parent, disk.sync_directory(parent))
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
