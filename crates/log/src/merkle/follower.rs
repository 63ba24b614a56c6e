//! Keeps a tree behind a running log, on a thread of its own: the write path knows nothing of it.

use std::{fmt, io, path::Path, sync::Arc, thread::JoinHandle, time::Duration};

use lombard_types::Position;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::{LeafFile, Leaves as _, Tree, TreeHash, tree::UNSYNCED_LEAVES_MAX, verify_inclusion};
use crate::{
    ReadError, Record, SharedLog,
    disk::{Disk, SharedDisk},
};

/// Bytes of records hashed before the tree is locked once.
const READ_BYTES: usize = 1 << 20;
/// How long the tree lets records gather before it goes on: it is woken a hundred times a second at most, not with
/// every group that is synced.
const GATHER: Duration = Duration::from_millis(10);
/// How long to wait before trying again where the leaf hashes cannot be written, such as on a full disk.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// The tree has not come that far, or never will.
    #[error("the tree has {size} leaves, not {asked}")]
    Beyond {
        /// How many it has.
        size: u64,
        /// How many were asked for.
        asked: u64,
    },
    /// The file of leaf hashes does not fit the log; deleting it has it made again.
    #[error("the leaf hashes do not fit record {position}")]
    Leaves {
        /// The record.
        position: Position,
    },
    /// The log could not be read.
    #[error("failed to read the record to prove")]
    Read(#[from] ReadError),
    /// The file of leaf hashes could not be read or written.
    #[error("failed to use the leaf hashes: {cause}")]
    Io {
        /// What the system said.
        cause: Arc<str>,
    },
    /// The follower ended: the log is closed.
    #[error("the log is closed")]
    Closed,
}

impl From<io::Error> for MerkleError {
    fn from(error: io::Error) -> Self {
        Self::Io { cause: error.to_string().into() }
    }
}

/// That a record is in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The hash of the record's leaf.
    pub leaf: TreeHash,
    /// The path to the root.
    pub path: Vec<TreeHash>,
}

struct Shared {
    log: SharedLog,
    tree: RwLock<Option<Tree<LeafFile>>>,
    failure: RwLock<Option<MerkleError>>,
}

/// A tree that follows a log. Dropping it ends its thread.
pub struct MerkleFollower {
    shared: Arc<Shared>,
    /// None until the tree is loaded.
    size: watch::Receiver<Option<u64>>,
    stop: watch::Sender<bool>,
    /// None where somebody else follows.
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for MerkleFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MerkleFollower").field("size", &self.size()).finish_non_exhaustive()
    }
}

impl Drop for MerkleFollower {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the Merkle tree panicked");
        }
    }
}

impl MerkleFollower {
    /// Follows a log, with the leaf hashes in its directory. Returns at once; the tree catches up behind. It holds the
    /// log: whoever closes the log drops the follower first.
    pub fn start(disk: SharedDisk, directory: &Path, log: SharedLog) -> io::Result<Self> {
        let (mut follower, following) = Self::unthreaded(disk, directory, log);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new()
            .name("log-merkle".to_owned())
            .spawn(move || runtime.block_on(following))?;
        follower.thread = Some(thread);
        Ok(follower)
    }

    /// [`MerkleFollower::start`] without the thread: it follows while the future is polled. For simulations.
    pub fn unthreaded(
        disk: SharedDisk,
        directory: &Path,
        log: SharedLog,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (size_sender, size) = watch::channel(None);
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared { log, tree: RwLock::new(None), failure: RwLock::new(None) });
        let (following, directory) = (Arc::clone(&shared), directory.to_owned());
        let follow = async move {
            while let Err(error) =
                following.follow(&*disk, &directory, &size_sender, &stopped).await
            {
                let directory = directory.display();
                if !matches!(error, MerkleError::Io { .. }) {
                    tracing::error!(%directory, %error, "the Merkle tree stopped");
                    *following.failure.write() = Some(error);
                    return;
                }
                tracing::warn!(%directory, %error, "the Merkle tree cannot grow, and tries again");
                let mut stopped = stopped.clone();
                // Also where the follower is gone altogether.
                if tokio::time::timeout(RETRY_AFTER, stopped.wait_for(|is_stopped| *is_stopped))
                    .await
                    .is_ok()
                {
                    return;
                }
            }
        };
        (Self { shared, size, stop, thread: None }, follow)
    }

    /// How many records the tree covers.
    pub fn size(&self) -> u64 {
        self.size.borrow().unwrap_or_default()
    }

    /// Waits until the tree is loaded and covers this many records. Cancel safe.
    pub async fn wait_for(&self, asked: u64) -> Result<(), MerkleError> {
        let mut size = self.size.clone();
        match size.wait_for(|size| size.is_some_and(|size| size >= asked)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(self.shared.failure.read().clone().unwrap_or(MerkleError::Closed)),
        }
    }

    /// The root over the first `size` records.
    pub fn root(&self, size: u64) -> Result<TreeHash, MerkleError> {
        self.shared.with(size, |tree| tree.root(size))
    }

    /// Proves that the record at `position` is in the tree over the first `size` records; the record itself is read
    /// and compared.
    pub async fn inclusion(&self, position: Position, size: u64) -> Result<Inclusion, MerkleError> {
        let index = position.get();
        if index >= size {
            return Err(MerkleError::Beyond { size, asked: index });
        }
        let (path, root) =
            self.shared.with(size, |tree| Ok((tree.inclusion(index, size)?, tree.root(size)?)))?;
        let records = self.shared.log.read(position, 1).await?;
        let Some(Record { payload, .. }) = records.first() else {
            return Err(MerkleError::Beyond { size, asked: index });
        };
        let leaf = TreeHash::of_record(position, payload);
        if verify_inclusion(&leaf, index, size, &path, &root) {
            Ok(Inclusion { leaf, path })
        } else {
            Err(MerkleError::Leaves { position })
        }
    }

    /// Proves that the first `old_size` records are the beginning of the first `new_size`.
    pub fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<TreeHash>, MerkleError> {
        if old_size > new_size {
            return Err(MerkleError::Beyond { size: new_size, asked: old_size });
        }
        self.shared.with(new_size, |tree| tree.consistency(old_size, new_size))
    }
}

impl Shared {
    fn with<T>(
        &self,
        asked: u64,
        ask: impl FnOnce(&Tree<LeafFile>) -> io::Result<T>,
    ) -> Result<T, MerkleError> {
        let tree = self.tree.read();
        match &*tree {
            Some(tree) if tree.size() >= asked => Ok(ask(tree)?),
            other => Err(MerkleError::Beyond { size: other.as_ref().map_or(0, Tree::size), asked }),
        }
    }

    async fn follow(
        &self,
        disk: &dyn Disk,
        directory: &Path,
        size: &watch::Sender<Option<u64>>,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(), MerkleError> {
        let leaves = LeafFile::open(disk, directory)?;
        self.run(leaves, size, stopped.clone()).await
    }

    async fn run(
        &self,
        leaves: LeafFile,
        size: &watch::Sender<Option<u64>>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), MerkleError> {
        let mut durable = self.log.durable();
        let tree = self.load(leaves).await?;
        let mut tree_size = tree.size();
        // Who hears of the size finds the tree.
        *self.tree.write() = Some(tree);
        size.send_replace(Some(tree_size));
        loop {
            while tree_size < durable.borrow_and_update().get() {
                if *stopped.borrow() {
                    return Ok(());
                }
                let from = Position::new(tree_size);
                let records = self.log.read(from, READ_BYTES).await?;
                let hashes: Vec<_> = records.iter().map(leaf_of).collect();
                tree_size = {
                    let mut tree = self.tree.write();
                    let Some(tree) = tree.as_mut() else { return Ok(()) };
                    tree.append(&hashes)?;
                    tree.size()
                };
                size.send_replace(Some(tree_size));
            }
            tokio::select! {
                biased;
                _ = stopped.changed() => return Ok(()),
                changed = durable.changed() => if changed.is_err() {
                    return Ok(());
                },
            }
            tokio::select! {
                _ = stopped.changed() => return Ok(()),
                () = tokio::time::sleep(GATHER) => {}
            }
        }
    }

    /// The tree as far as the file has it. What may not have been synced is compared with the log, and what
    /// does not fit is made again.
    async fn load(&self, mut leaves: LeafFile) -> Result<Tree<LeafFile>, MerkleError> {
        let durable = self.log.durable().borrow().get();
        let count = leaves.count().min(durable);
        let sound = if leaves.count() > durable { 0 } else { self.sound(&leaves, count).await? };
        if sound < leaves.count() {
            tracing::warn!(sound, "leaf hashes do not fit the log: they are made again from there");
            leaves.truncate(sound)?;
        }
        let count = leaves.count();
        let mut tree = Tree::load(leaves, count)?;
        let size = tree.size();
        if size < count {
            tracing::warn!(
                size,
                "leaf hashes are not what was written: they are made again from there"
            );
            tree.leaves_mut().truncate(size)?;
        }
        Ok(tree)
    }

    /// How many of the leaves fit the log. Where not even the first that is looked at does, it is another log's.
    async fn sound(&self, leaves: &LeafFile, count: u64) -> Result<u64, MerkleError> {
        let start = count.saturating_sub(UNSYNCED_LEAVES_MAX);
        let mut at = start;
        while at < count {
            let records = self.log.read(Position::new(at), READ_BYTES).await?;
            let left = usize::try_from(count - at).unwrap_or(usize::MAX);
            let found: Vec<_> = records.iter().take(left).map(leaf_of).collect();
            let kept = leaves.read(at, found.len())?;
            let fitting = found.iter().zip(&kept).take_while(|(found, kept)| found == kept).count();
            at += u64::try_from(fitting).unwrap_or(0);
            if fitting < found.len() || found.is_empty() {
                return Ok(if at == start { 0 } else { at });
            }
        }
        Ok(at)
    }
}

fn leaf_of(record: &Record) -> TreeHash {
    TreeHash::of_record(record.position, &record.payload)
}
