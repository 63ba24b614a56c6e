//! Reads all of a log and says what is wrong with it.

use std::path::{Path, PathBuf};

use lombard_types::Position;

use super::{MaintainError, Progress, at, lock, total_bytes};
use crate::{
    disk::{Disk, Real},
    merkle::{RootOnly, Tree, TreeHash},
    segmented::{Scan, scan},
};

/// The first place whose bytes are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damage in {} at byte {offset}: record {position} is not readable ({cause})", file.display())]
pub struct Damage {
    /// The segment's file.
    pub file: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// The record that should stand there.
    pub position: Position,
    /// What is wrong.
    pub cause: &'static str,
}

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Segments with records.
    pub segments: u64,
    /// Readable records, up to the first damage.
    pub records: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Behind the last readable record.
    pub tail: Position,
    /// The Merkle root over the readable records.
    pub root: TreeHash,
    /// The first damage. Nothing behind it was looked at.
    pub damage: Option<Damage>,
    /// Bytes of a write that was cut short before it was acknowledged: opening the log removes them.
    pub torn_bytes: u64,
}

/// Reads every record of every segment. Changes nothing.
pub fn check(
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport, MaintainError> {
    let _lock = lock(&Real, directory)?;
    check_locked(&Real, directory, progress)
}

pub(super) fn check_locked(
    disk: &dyn Disk,
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport, MaintainError> {
    let total = total_bytes(disk, directory)?;
    let mut done = 0;
    let mut tree = Tree::empty_on(RootOnly);
    let mut first = None;
    let scanned = scan(
        disk,
        directory,
        &mut |record| {
            first.get_or_insert(record.position);
            // Leaves that are kept nowhere do not fail.
            tree.append(&[TreeHash::of_record(record.position, record.payload)]).is_ok()
        },
        &mut |bytes| {
            done += bytes;
            progress(Progress { done, total });
        },
    );
    let scanned = at(directory, scanned)?;
    let root = at(directory, tree.root(tree.size()))?;
    Ok(report(scanned, root))
}

fn report(scan: Scan, root: TreeHash) -> CheckReport {
    let position = scan.tail;
    CheckReport {
        segments: scan.segments,
        records: scan.records,
        payload_bytes: scan.payload_bytes,
        tail: scan.tail,
        root,
        damage: scan.damage.map(|(file, offset, cause)| Damage { file, offset, position, cause }),
        torn_bytes: scan.torn_bytes,
    }
}
