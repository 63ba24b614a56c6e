//! What an operator does with a log: [`check`] it, [`verify`] it against a checkpoint, [`backup`] and [`restore`] it,
//! and, when nothing else is left, [`repair`] it.
//!
//! [`check`], [`verify`] and [`backup`] read the log's files, whether or not a process has the log open, and change
//! nothing, not even where opening the log would cut off a torn tail. [`restore`] and [`repair`] want it closed: they
//! take its lock. Each tells how far it is through a callback, which is called often
//! enough for a progress bar and costs nothing else. They read a segment at a time into memory.

use std::{
    io,
    path::{Path, PathBuf},
};

use lombard_types::Position;

use crate::{
    LogId,
    checkpoint::CheckpointError,
    disk::{Disk, Lock, Real},
    segmented::segment_files,
};

mod backup;
mod check;
mod repair;
mod verify;

pub use backup::{backup, backup_trimmed, restore, restore_trimmed};
pub use check::{CheckReport, Damage, check};
pub use repair::{RepairReport, repair};
pub use verify::{VerifyReport, verify};

/// How far a long operation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is done, in the same unit as `total`.
    pub done: u64,
    /// What there is to do.
    pub total: u64,
}

/// Why an operation did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// A process has the log open.
    #[error("the log in {} is in use by another process", directory.display())]
    Locked {
        /// The log's directory.
        directory: PathBuf,
    },
    /// There are no segments.
    #[error("there is no log in {}", directory.display())]
    NoLog {
        /// The directory.
        directory: PathBuf,
    },
    /// What is to be written is there already; nothing is overwritten.
    #[error("{} is already there", directory.display())]
    TargetExists {
        /// The directory.
        directory: PathBuf,
    },
    /// The copy, read back, is not what was copied.
    #[error("what was read back in {} is not what was copied", directory.display())]
    CopyDiffers {
        /// Where the copy is.
        directory: PathBuf,
    },
    /// The system refused.
    #[error("failed to read or write {}", path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Stored bytes are not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The log cannot be cut there: its readable records do not reach so far, or begin behind it.
    #[error("position {asked} is outside the readable records, {first} to {tail}")]
    OutOfReach {
        /// Where to cut.
        asked: Position,
        /// The first readable record.
        first: Position,
        /// Behind the last readable record.
        tail: Position,
    },
    /// The checkpoint is not to be relied on.
    #[error("the checkpoint is not to be relied on")]
    Checkpoint(#[from] CheckpointError),
    /// The log has fewer records than the checkpoint says.
    #[error("the log has {records} records, the checkpoint {size}: record {records} is missing")]
    TooShort {
        /// What is there.
        records: u64,
        /// What was there.
        size: u64,
    },
    /// The records are readable, but not those that the checkpoint was made over.
    #[error("record {position} is not the one that the checkpoint was made over")]
    Rewritten {
        /// The first record that does not fit.
        position: Position,
    },
    /// As [`Self::Rewritten`], but the leaf hashes that would tell which record were rewritten too, or are not there.
    #[error("the first {size} records are not those that the checkpoint was made over")]
    RewrittenSomewhere {
        /// The checkpoint's size.
        size: u64,
    },
}

/// Which log is kept in a directory; `None` where there is none, or its first segment does not say.
pub fn log_id(directory: &Path) -> Result<Option<LogId>, MaintainError> {
    at(directory, crate::segmented::log_id(&Real, directory))
}

/// What `act` says of a path, as our error.
fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, MaintainError> {
    result.map_err(|source| MaintainError::Io { path: path.to_owned(), source })
}

/// Keeps everybody else out, without making a lock where there is none.
fn lock(disk: &dyn Disk, directory: &Path) -> Result<Option<Lock>, MaintainError> {
    let path = directory.join("lock");
    if !at(directory, disk.list(directory))?.contains(&path) {
        return Ok(None);
    }
    match disk.lock(&path) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(MaintainError::Locked { directory: directory.to_owned() }),
        // Where the lock cannot be written, neither can the log.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(None),
        Err(source) => Err(MaintainError::Io { path, source }),
    }
}

/// Bytes of all segments; an error where there is none.
fn total_bytes(disk: &dyn Disk, directory: &Path) -> Result<u64, MaintainError> {
    let files = at(directory, segment_files(disk, directory))?;
    if files.is_empty() {
        return Err(MaintainError::NoLog { directory: directory.to_owned() });
    }
    let mut total = 0;
    for (_, path) in files {
        total += at(&path, disk.open_read(&path).and_then(|file| file.bytes()))?;
    }
    Ok(total)
}
