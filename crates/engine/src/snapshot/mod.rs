//! Snapshots: a machine's state at a position, so that a start replays the tail only.
//!
//! A snapshot is made from the *log*, not from the writer: a thread of low priority takes the newest snapshot, applies
//! the durable records after it to a machine of its own, and writes that. So the writer is never paused, and what a
//! snapshot holds is proven to follow from the log alone. The price is the memory of a second machine while one is
//! made.
//!
//! The log is the truth: a snapshot that is damaged, of another log, or from another version of the machine is left
//! aside with a warning, and the start falls back to the one before it or to the whole log. The exception are machines
//! whose log is trimmed ([`Snapshots::trimming`]).

mod copy;
mod file;
mod hash;
mod snapshotter;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod whole;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use lombard_log::disk::{Real, SharedDisk};
use lombard_types::Position;

use crate::{DecodeError, Machine};

pub use copy::copy_snapshots;
pub use hash::{StateHash, state_hash};
pub(crate) use snapshotter::{Since, Snapshotter};
pub(crate) use store::SnapshotStore;
pub use stream::{StateReader, StateWriter};
pub use whole::{state_from_bytes, state_to_bytes};

/// A machine whose state can be written down.
///
/// The encoding is canonical: equal states give equal bytes, whatever way they came about, so that their hashes can be
/// compared ([`state_hash`]). Whatever has no order in memory is written in a sorted one.
pub trait Snapshot: Machine + Sized {
    /// Changes with the bytes, and also when the same events lead to another state than before: a snapshot of another
    /// version is not read.
    const VERSION: u16;

    /// Writes the whole state, except for what the process gives to an empty machine (limits, seeds).
    fn write_state(&self, state: &mut StateWriter<'_>);

    /// Gives the written state to `self`, an empty machine. Never panics, whatever the bytes are.
    fn read_state(self, state: &mut StateReader<'_>) -> Result<Self, DecodeError>;
}

/// Where snapshots are kept, and when they are made.
#[derive(Clone)]
pub struct Snapshots {
    pub(crate) disk: SharedDisk,
    /// The directory. It holds nothing else.
    pub directory: PathBuf,
    /// When they are made.
    pub policy: SnapshotPolicy,
    is_trimming: bool,
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots")
            .field("directory", &self.directory)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Snapshots {
    /// Snapshots in a directory, which is made if need be.
    pub fn new(directory: PathBuf, policy: SnapshotPolicy) -> Self {
        Self::on(Arc::new(Real), directory, policy)
    }

    /// The same on any disk.
    pub fn on(disk: SharedDisk, directory: PathBuf, policy: SnapshotPolicy) -> Self {
        Self { disk, directory, policy, is_trimming: false }
    }

    /// Gives up the log's records before the older of the two newest snapshots whenever there is a new one: for a machine
    /// whose events nobody asks for again. From then on the snapshots are worth as much as the log: without them it is not
    /// enough for a start, and [`Snapshot::VERSION`] can never change. Such a machine writes a version of its own into
    /// its state, and reads all that it has ever written.
    #[must_use]
    pub fn trimming(self) -> Self {
        Self { is_trimming: true, ..self }
    }

    /// The directory's files.
    pub(crate) fn store(&self, name: &'static str) -> SnapshotStore {
        SnapshotStore::new(name, Arc::clone(&self.disk), self.directory.clone())
    }
}

/// A snapshot is made when either is reached since the one before: each bounds how long a start replays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Records since the last snapshot; at least 1.
    pub records: u64,
    /// Payload bytes since the last snapshot; at least 1.
    pub bytes: u64,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self { records: 1_000_000, bytes: 256 << 20 }
    }
}

/// A snapshot that was made or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// It holds the effect of everything before this position.
    pub position: Position,
    /// SHA-256 of the state.
    pub state_hash: StateHash,
    /// Bytes of the file.
    pub bytes: u64,
    /// How long it took: the making with its replay, or the reading.
    pub took: Duration,
}
