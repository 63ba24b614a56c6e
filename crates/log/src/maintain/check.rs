//! Reads all of a log and says what is wrong with it.

use std::{
    io,
    path::{Path, PathBuf},
};

use lombard_types::Position;

use super::{MaintainError, Progress, at, total_bytes};
use crate::{
    LogId,
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
    /// Which log; `None` where no segment says.
    pub log_id: Option<LogId>,
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

/// Reads every record of every segment. Changes nothing, and may be asked while the log is open: then it tells of what
/// was written when it came by, and what is under way may be counted as torn.
pub fn check(
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<CheckReport, MaintainError> {
    Ok(read_through(&Real, directory, progress, &mut |_| Ok(()))?.0)
}

/// Checks, and shows every leaf. Answers also where the records end: the last segment, and the offset in it.
pub(super) fn read_through(
    disk: &dyn Disk,
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
    visit: &mut dyn FnMut(TreeHash) -> io::Result<()>,
) -> Result<(CheckReport, (u64, u64)), MaintainError> {
    let total = total_bytes(disk, directory)?;
    let mut done = 0;
    let mut tree = Tree::empty_on(RootOnly);
    let mut failed = None;
    let scanned = scan(
        disk,
        directory,
        &mut |record| {
            let leaf = TreeHash::of_record(record.position, record.payload);
            failed = tree.append(&[leaf]).and_then(|()| visit(leaf)).err();
            failed.is_none()
        },
        &mut |bytes| {
            done += bytes;
            progress(Progress { done: done.min(total), total });
        },
    );
    let scanned = at(directory, failed.map_or(scanned, Err))?;
    let end = scanned.end;
    let root = at(directory, tree.root(tree.size()))?;
    Ok((report(scanned, root), end))
}

fn report(scan: Scan, root: TreeHash) -> CheckReport {
    let position = scan.tail;
    CheckReport {
        log_id: scan.log_id,
        segments: scan.segments,
        records: scan.records,
        payload_bytes: scan.payload_bytes,
        tail: scan.tail,
        root,
        damage: scan.damage.map(|(file, offset, cause)| Damage { file, offset, position, cause }),
        torn_bytes: scan.torn_bytes,
    }
}
