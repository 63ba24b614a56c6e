//! Copies a log: a running one into a backup, a backup into a log.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    CheckReport, MaintainError, Progress, at, check::read_through, lock, repair::copy_file,
};
use crate::{
    checkpoint::{CHECKPOINT_FILE, CHECKPOINT_KEY_FILE},
    disk::{Disk, Real},
    merkle::{LeafFile, Tree, TreeHash},
    segmented::{TRIM_MARK_FILE, segment_files},
};

/// Leaf hashes written at once.
const LEAVES_WRITTEN: usize = 4096;

/// Copies a log that may be open and growing, without its lock: everything that was acknowledged before the call, and
/// no record that the log could still lose. The copy is the same log up to there, byte for byte, with the leaf hashes
/// beside it; it was read back when this returns. It has its name only when it is whole and durable: what an
/// interruption leaves ends in `.partial` and is made anew.
pub fn backup(
    directory: &Path,
    target: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport, MaintainError> {
    // An acknowledged record was written before it was synced, so it is seen. A record that is seen may not be synced
    // yet: syncing the same files makes sure.
    copy(directory, target, Source::Log, progress)
}

/// The same for a log that is [trimmed](crate::Log::trim), perhaps while it is copied: then it is begun again. It has no
/// leaf hashes. [`CheckReport::records`] and [`CheckReport::tail`] say which records the copy has.
pub fn backup_trimmed(
    directory: &Path,
    target: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport, MaintainError> {
    let mut tries = 1;
    loop {
        match copy(directory, target, Source::TrimmedLog, progress) {
            Err(error) if tries < TRIES_MAX && may_be_trimming(&error) => tries += 1,
            copied => return copied,
        }
    }
}

/// A log is trimmed now and then only.
const TRIES_MAX: u32 = 10;

/// Whether an error may be that a segment went away, or that the first record is another than a moment before.
fn may_be_trimming(error: &MaintainError) -> bool {
    match error {
        MaintainError::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
        MaintainError::CopyDiffers { .. } => true,
        _ => false,
    }
}

/// Makes a log in `target` from a backup and reads it back. Refuses a backup that is damaged.
pub fn restore(
    backup: &Path,
    target: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport, MaintainError> {
    let _lock = lock(&Real, backup)?;
    copy(backup, target, Source::Backup, progress)
}

/// [`restore`] for what [`backup_trimmed`] has made.
pub fn restore_trimmed(
    backup: &Path,
    target: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport, MaintainError> {
    let _lock = lock(&Real, backup)?;
    copy(backup, target, Source::TrimmedBackup, progress)
}

/// What a copy is made from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// It may be open, so what is read from it is made durable.
    Log,
    TrimmedLog,
    Backup,
    TrimmedBackup,
}

impl Source {
    const fn is_open(self) -> bool {
        matches!(self, Self::Log | Self::TrimmedLog)
    }

    const fn is_trimmed(self) -> bool {
        matches!(self, Self::TrimmedLog | Self::TrimmedBackup)
    }
}

fn copy(
    source: &Path,
    target: &Path,
    kind: Source,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport, MaintainError> {
    let disk = &Real;
    // Before a target is begun.
    super::total_bytes(disk, source)?;
    let partial = begin_target(disk, target)?;
    at(&partial, disk.create_directory(&partial))?;
    // Before the records: what was signed over them is among them.
    for name in [CHECKPOINT_FILE, CHECKPOINT_KEY_FILE] {
        let path = source.join(name);
        if at(source, disk.list(source))?.contains(&path) {
            at(&path, copy_file(disk, &path, &partial.join(name)))?;
        }
    }
    // Three passes over the same records: read, copy, read back.
    let third = |pass: u64| {
        move |at: Progress| {
            let done = at.done.saturating_mul(1000) / at.total.max(1);
            Progress { done: pass * 1000 + done, total: 3000 }
        }
    };
    let (reading, copying, reading_back) = (third(0), third(1), third(2));
    let mut leaves = match kind.is_trimmed() {
        false => Some(LeafWriter::begin(disk, &partial)?),
        true => None,
    };
    let mut leaf = |leaf| leaves.as_mut().map_or(Ok(()), |leaves| leaves.push(leaf));
    let read = read_through(disk, source, &mut |at| progress(reading(at)), &mut leaf);
    let (before, (last, end)) = read?;
    at(&partial, leaves.map_or(Ok(()), LeafWriter::finish))?;
    if let Some(damage) = before.damage {
        return Err(damage.into());
    }
    let mut files = at(source, segment_files(disk, source))?;
    files.retain(|(number, _)| *number <= last);
    let mut done = 0;
    let total = super::total_bytes(disk, source)?;
    for (number, path) in files {
        if kind.is_open() {
            at(&path, disk.open_read(&path).and_then(|file| file.sync_data()))?;
        }
        let Some(name) = path.file_name() else { continue };
        let file = at(&path, copy_file(disk, &path, &partial.join(name)))?;
        done += at(&path, file.bytes())?;
        if number == last {
            at(&path, file.set_bytes(end).and_then(|()| file.sync_all()))?;
        }
        progress(copying(Progress { done: done.min(total), total }));
    }
    if kind.is_trimmed() {
        // After the segments: it may speak of records that the copy still has, never the other way round.
        let mark = source.join(TRIM_MARK_FILE);
        if at(source, disk.list(source))?.contains(&mark) {
            at(&mark, copy_file(disk, &mark, &partial.join(TRIM_MARK_FILE)))?;
        }
    }
    at(&partial, disk.sync_directory(&partial))?;
    let read_back = &mut |at| progress(reading_back(at));
    let (check, _) = read_through(disk, &partial, read_back, &mut |_| Ok(()))?;
    if let Some(damage) = check.damage {
        return Err(damage.into());
    }
    if check.root != before.root {
        return Err(MaintainError::CopyDiffers { directory: partial });
    }
    finish_target(disk, &partial, target)?;
    Ok(check)
}

/// Leaf hashes on their way into the copy.
struct LeafWriter {
    tree: Tree<LeafFile>,
    waiting: Vec<TreeHash>,
}

impl LeafWriter {
    fn begin(disk: &dyn Disk, directory: &Path) -> Result<Self, MaintainError> {
        let leaves = at(directory, LeafFile::open(disk, directory))?;
        Ok(Self { tree: Tree::empty_on(leaves), waiting: Vec::new() })
    }

    fn push(&mut self, leaf: TreeHash) -> io::Result<()> {
        self.waiting.push(leaf);
        if self.waiting.len() < LEAVES_WRITTEN { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> io::Result<()> {
        self.tree.append(&std::mem::take(&mut self.waiting))
    }

    fn finish(mut self) -> io::Result<()> {
        self.write()?;
        self.tree.sync()
    }
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
