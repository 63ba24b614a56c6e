//! Signs how far the log has come, and never two things that contradict each other.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use lombard_log::{
    SharedLog,
    checkpoint::{CHECKPOINT_FILE, CHECKPOINT_KEY_FILE, Checkpoint, CheckpointError, SigningKey},
    merkle::{MerkleError, MerkleFollower},
};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::{Config, key_file::write};

/// A checkpoint that is on disk.
#[derive(Debug)]
pub(crate) struct Latest {
    pub(crate) size: u64,
    pub(crate) note: String,
}

/// Why no checkpoint was made this time.
#[derive(Debug, thiserror::Error)]
enum SignError {
    #[error("failed to compute the root")]
    Root(#[from] MerkleError),
    #[error("failed to sign")]
    Sign(#[from] CheckpointError),
    #[error("failed to write the checkpoint")]
    Write(#[from] io::Error),
}

#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) tree: MerkleFollower,
    pub(crate) log: SharedLog,
    pub(crate) origin: String,
    key: SigningKey,
    directory: PathBuf,
    /// What was signed before this start: the log must begin with it.
    kept: Option<(Checkpoint, String)>,
    latest: watch::Sender<Option<Arc<Latest>>>,
    contradiction: watch::Sender<Option<String>>,
    /// What works on threads that block: each holds the log, and goes on when nobody waits for it any more.
    pub(crate) blocking: TaskTracker,
}

impl Signer {
    /// Reads what was signed last. `directory` is the log's.
    pub(crate) fn new(
        tree: MerkleFollower,
        log: SharedLog,
        origin: String,
        key: SigningKey,
        directory: PathBuf,
    ) -> io::Result<Self> {
        leave_key(&directory, &key);
        let kept = match fs::read(directory.join(CHECKPOINT_FILE)) {
            Ok(note) => read_kept(note, &origin),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let latest = watch::Sender::new(None);
        let contradiction = watch::Sender::new(None);
        let blocking = TaskTracker::new();
        Ok(Self { tree, log, origin, key, directory, kept, latest, contradiction, blocking })
    }

    pub(crate) fn latest(&self) -> Option<Arc<Latest>> {
        self.latest.borrow().clone()
    }

    /// Why nothing is signed any more.
    pub(crate) fn contradiction(&self) -> Option<String> {
        self.contradiction.borrow().clone()
    }

    pub(crate) fn verifying_key(&self) -> String {
        self.key.verifying_key().to_string()
    }

    pub(crate) fn size(&self) -> u64 {
        self.tree.size()
    }

    pub(crate) fn durable(&self) -> u64 {
        self.log.durable().borrow().get()
    }

    /// Signs what is new, again and again. Ends only where nothing can be signed any more.
    pub(crate) async fn run(self: Arc<Self>, config: &Config) {
        match Arc::clone(&self).begins_with_kept().await {
            Ok(None) => {}
            Ok(Some(contradiction)) => {
                tracing::error!(contradiction, "nothing is signed any more");
                self.contradiction.send_replace(Some(contradiction));
                return;
            }
            Err(error) => return tracing::error!(%error, "the log cannot be signed"),
        }
        loop {
            let signer = Arc::clone(&self);
            match self.blocking.spawn_blocking(move || signer.sign()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "no checkpoint this time");
                    tokio::time::sleep(config.interval()).await;
                    continue;
                }
                Err(_) => return tracing::error!("signing panicked"),
            }
            if let Err(error) = self.wait_for_more(config).await {
                return tracing::info!(%error, "the checkpoints end with the tree");
            }
        }
    }

    /// Waits until many records are new, or the interval is over and any is.
    async fn wait_for_more(&self, config: &Config) -> Result<(), MerkleError> {
        let signed = self.latest().map_or(0, |latest| latest.size);
        let many = self.tree.wait_for(signed.saturating_add(config.checkpoint_records));
        match tokio::time::timeout(config.interval(), many).await {
            Ok(waited) => waited,
            Err(_) => self.tree.wait_for(signed.saturating_add(1)).await,
        }
    }

    /// Whether the log is still what was signed last; else what is different.
    async fn begins_with_kept(self: Arc<Self>) -> Result<Option<String>, MerkleError> {
        let Some((kept, note)) = &self.kept else {
            // The first checkpoint is over what is there now.
            self.tree.wait_for(self.durable()).await?;
            return Ok(None);
        };
        let durable = self.durable();
        if durable < kept.size {
            let contradiction = format!(
                "the log has {durable} records, its last checkpoint was made over {}",
                kept.size
            );
            return Ok(Some(contradiction));
        }
        self.tree.wait_for(kept.size).await?;
        let (signer, size) = (Arc::clone(&self), kept.size);
        let root = self.blocking.spawn_blocking(move || signer.tree.root(size)).await;
        let root = root.map_err(|_| MerkleError::Closed)??;
        if root != kept.root {
            return Ok(Some(format!(
                "the first {size} records are not those that the last checkpoint was made over"
            )));
        }
        // The key may be another than the one that signed it.
        if Checkpoint::verify(note.as_bytes(), self.key.verifying_key()).is_ok() {
            self.latest.send_replace(Some(Arc::new(Latest { size, note: note.clone() })));
        }
        Ok(None)
    }

    /// Signs all that the tree covers, if it is more than was signed. Blocks.
    fn sign(&self) -> Result<(), SignError> {
        let size = self.tree.size();
        if self.latest().is_some_and(|latest| latest.size >= size) {
            return Ok(());
        }
        let root = self.tree.root(size)?;
        let origin = self.origin.clone();
        let note = Checkpoint { origin, size, root, extensions: Vec::new() }.sign(&self.key)?;
        // What others may see must not be forgotten.
        write(&self.directory.join(CHECKPOINT_FILE), note.as_bytes(), 0o600)?;
        self.latest.send_replace(Some(Arc::new(Latest { size, note })));
        Ok(())
    }
}

/// Leaves the verifying key beside the log, for backups. A full disk keeps no role from starting.
fn leave_key(directory: &Path, key: &SigningKey) {
    let path = directory.join(CHECKPOINT_KEY_FILE);
    let text = format!("{}\n", key.verifying_key());
    if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
        return;
    }
    if let Err(error) = write(&path, text.as_bytes(), 0o600) {
        tracing::warn!(path = %path.display(), %error, "failed to leave the key beside the log");
    }
}

/// What was signed last, without believing it: it is compared with the log.
fn read_kept(note: Vec<u8>, origin: &str) -> Option<(Checkpoint, String)> {
    let checkpoint = match Checkpoint::parse_unverified(&note) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            tracing::warn!(%error, "the last checkpoint is not readable and counts for nothing");
            return None;
        }
    };
    if checkpoint.origin != origin {
        tracing::warn!(origin = checkpoint.origin, "the last checkpoint is of another log");
        return None;
    }
    String::from_utf8(note).ok().map(|note| (checkpoint, note))
}
