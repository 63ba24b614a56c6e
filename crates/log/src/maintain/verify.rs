//! Compares a log with a checkpoint that somebody kept.

use std::path::Path;

use super::{Damage, MaintainError, Progress, at, total_bytes};
use crate::{
    LogId,
    checkpoint::{Checkpoint, VerifyingKey},
    disk::{Disk, Real},
    merkle::{LeafFile, Leaves as _, RootOnly, Tree, TreeHash},
    segmented::scan,
};

/// Leaf hashes read at once.
const READ_LEAVES: u64 = 4096;

/// What fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Which log; `None` where no segment says.
    pub log_id: Option<LogId>,
    /// The checkpoint, whose signature fits.
    pub checkpoint: Checkpoint,
    /// Records of the log; those behind the checkpoint were read, and nothing vouches for them.
    pub records: u64,
}

/// Whether a log, open or closed, or a backup, begins with exactly the records that the checkpoint was made over. Changes
/// nothing and needs no network. Where it does not, the error names the first record that does not fit: by its place,
/// if it is unreadable or missing; by the leaf hashes beside the log, as far as they themselves fit the checkpoint.
pub fn verify(
    directory: &Path,
    checkpoint: &[u8],
    key: &VerifyingKey,
    progress: &mut dyn FnMut(Progress),
) -> Result<VerifyReport, MaintainError> {
    let checkpoint = Checkpoint::verify(checkpoint, key)?;
    let disk: &dyn Disk = &Real;
    let mut trusted = trusted_leaves(disk, directory, &checkpoint)?;
    let total = total_bytes(disk, directory)?;
    let mut done = 0;
    let mut tree = Tree::empty_on(RootOnly);
    let mut differs = None;
    let scanned = scan(
        disk,
        directory,
        &mut |record| {
            let index = record.position.get();
            if index < checkpoint.size {
                let hash = TreeHash::of_record(record.position, record.payload);
                let expected = trusted.as_mut().and_then(|leaves| leaves.at(index));
                if expected.is_some_and(|expected| expected != hash) {
                    differs = Some(record.position);
                    return false;
                }
                // Leaves that are kept nowhere do not fail.
                return tree.append(&[hash]).is_ok();
            }
            true
        },
        &mut |bytes| {
            done += bytes;
            progress(Progress { done: done.min(total), total });
        },
    );
    let scanned = at(directory, scanned)?;
    if let Some(position) = differs {
        return Err(MaintainError::Rewritten { position });
    }
    if let Some((file, offset, cause)) = scanned.damage {
        return Err(Damage { file, offset, position: scanned.tail, cause }.into());
    }
    let (records, size) = (scanned.tail.get(), checkpoint.size);
    if records < size {
        return Err(MaintainError::TooShort { records, size });
    }
    // A log whose beginning is not there has fewer leaves.
    let fits = tree.size() == size && at(directory, tree.root(size))? == checkpoint.root;
    if fits {
        Ok(VerifyReport { log_id: scanned.log_id, checkpoint, records })
    } else {
        Err(MaintainError::RewrittenSomewhere { size })
    }
}

/// The leaf hashes of the directory, if the checkpoint vouches for them.
fn trusted_leaves(
    disk: &dyn Disk,
    directory: &Path,
    checkpoint: &Checkpoint,
) -> Result<Option<Trusted>, MaintainError> {
    let Some(leaves) = at(directory, LeafFile::open_read(disk, directory))? else {
        return Ok(None);
    };
    if leaves.count() < checkpoint.size {
        return Ok(None);
    }
    let tree = at(directory, Tree::load(leaves, checkpoint.size))?;
    if tree.size() < checkpoint.size {
        return Ok(None);
    }
    let root = at(directory, tree.root(checkpoint.size))?;
    let is_trusted = root == checkpoint.root;
    let trusted = || Trusted {
        leaves: tree.into_leaves(),
        size: checkpoint.size,
        start: 0,
        read: Vec::new(),
    };
    Ok(is_trusted.then(trusted))
}

/// Leaf hashes that the checkpoint vouches for, read ahead.
struct Trusted {
    leaves: LeafFile,
    size: u64,
    start: u64,
    read: Vec<TreeHash>,
}

impl Trusted {
    fn at(&mut self, index: u64) -> Option<TreeHash> {
        let within = |start: u64| usize::try_from(index.checked_sub(start)?).ok();
        if let Some(found) = within(self.start).and_then(|at| self.read.get(at)) {
            return Some(*found);
        }
        let count = self.size.checked_sub(index)?.min(READ_LEAVES);
        self.read = self.leaves.read(index, usize::try_from(count).ok()?).ok()?;
        self.start = index;
        self.read.first().copied()
    }
}
