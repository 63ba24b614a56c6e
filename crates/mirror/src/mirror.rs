//! The copy as a component: opened, then run until it is told to drain.

use std::{fmt, io, path::PathBuf, sync::Arc};

use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_log::{
    AppendError, SegmentedConfig, SegmentedLog, SharedLog,
    checkpoint::{Checkpoint, CheckpointError, KeyError},
    disk::Real,
    merkle::{MerkleError, MerkleFollower},
};
use lombard_types::Position;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{Config, KeptError, Source, fetch, kept::Kept, metrics, verify};

/// What a mirror is given.
pub struct Deps<S> {
    /// The log to copy.
    pub source: S,
    /// Where the copy is kept. Nobody else may have it open.
    pub directory: PathBuf,
    /// Told what is in the way, and how far the copy is.
    pub health: Health,
    /// Where it counts.
    pub metrics: Metrics,
}

impl<S> fmt::Debug for Deps<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// The copy was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration cannot be used.
    #[error("the configuration of the mirror has mistakes:\n{}", mistakes.join("\n"))]
    Config {
        /// One line each.
        mistakes: Vec<String>,
    },
    /// Its log.
    #[error(transparent)]
    Log(#[from] lombard_log::OpenError),
    /// What it remembers of its source.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// Its Merkle tree could not be started.
    #[error("failed to follow the copy of the log")]
    Tree(#[from] io::Error),
    /// Its Merkle tree could not be read.
    #[error("failed to compare the copy of the log with its checkpoint")]
    Merkle(#[from] MerkleError),
    /// The copy is not what it was when it was compared with its source.
    #[error(
        "the copy of the log in {} is not what was compared with its source: remove the directory to copy anew",
        directory.display()
    )]
    Changed {
        /// Where the copy is.
        directory: PathBuf,
    },
}

/// The copy cannot go on: whoever runs it has to look.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// Another log than the one that was copied so far.
    #[error(
        "the source is {found}, and what was copied so far is of {kept}: remove the directory of the copy to copy the other"
    )]
    OtherLog {
        /// What was copied so far.
        kept: String,
        /// What the source says it is.
        found: String,
    },
    /// Another key than the one that is trusted.
    #[error("the source signs with the key {found}, and {trusted} is trusted")]
    OtherKey {
        /// The trusted one.
        trusted: String,
        /// The one that it shows.
        found: String,
    },
    /// The key that it shows is none.
    #[error("the source shows no key")]
    Key(#[from] KeyError),
    /// What it says it signed is not signed.
    #[error("the source's checkpoint cannot be trusted")]
    Checkpoint(#[from] CheckpointError),
    /// The source lost records that were copied, or is an older copy of itself.
    #[error("the source ends at record {source_records}, and {copied_records} were copied from it")]
    Shorter {
        /// How many it has.
        source_records: u64,
        /// How many were copied.
        copied_records: u64,
    },
    /// What was copied is not what was signed.
    #[error("the first {size} records that were copied are not those that the source signed")]
    Contradicted {
        /// How many were compared.
        size: u64,
    },
    /// The source left something out, or sent something else than what was asked for.
    #[error("the source sent record {found} where {expected} was asked for")]
    Sequence {
        /// What was asked for.
        expected: u64,
        /// What was sent.
        found: u64,
    },
    /// The copy cannot be written any more.
    #[error("failed to write the copy")]
    Append(#[from] AppendError),
    /// Its Merkle tree stopped.
    #[error("failed to read the copy's own tree")]
    Merkle(#[from] MerkleError),
    /// What is known of the source could not be kept.
    #[error(transparent)]
    Kept(#[from] KeptError),
}

/// What is known of the source, for metrics and health.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    pub(crate) source_records: u64,
    pub(crate) verified_records: u64,
    /// Requests for records that failed, one after the other.
    pub(crate) failures: u32,
    pub(crate) failures_total: u64,
}

/// What the two tasks of a mirror share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) directory: PathBuf,
    pub(crate) tree: MerkleFollower,
    pub(crate) log: SharedLog,
    pub(crate) health: Health,
    pub(crate) state: Mutex<State>,
    pub(crate) kept: Mutex<Option<Kept>>,
    /// Which log the source is, once that was heard, now or before.
    pub(crate) origin: watch::Sender<Option<Arc<str>>>,
    /// How many records the source said it has.
    pub(crate) source_records: watch::Sender<Option<u64>>,
}

/// A copy of a log, on disk.
pub struct Mirror<S> {
    source: S,
    shared: Arc<Shared>,
}

impl<S> fmt::Debug for Mirror<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror").field("log", &self.shared.log).finish_non_exhaustive()
    }
}

impl<S: Source> Mirror<S> {
    /// Opens the copy, and compares it with the last checkpoint that it fitted. Nothing is asked of the source before
    /// [`Self::run`].
    pub async fn open(config: Config, deps: Deps<S>) -> Result<Self, OpenError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(OpenError::Config { mistakes });
        }
        let Deps { source, directory, health, metrics } = deps;
        let path = directory.join("log");
        let log: SharedLog = Arc::new(SegmentedLog::open(&path, SegmentedConfig::default())?);
        let tree = MerkleFollower::start(Arc::new(Real), &path, Arc::clone(&log))?;
        let kept = Kept::read(&directory)?;
        let verified_records = fits_kept(&tree, &log, kept.as_ref(), &directory).await?;
        let state = Mutex::new(State { verified_records, ..State::default() });
        let origin = kept.as_ref().map(|kept| kept.origin.as_str().into());
        let shared = Arc::new(Shared {
            config,
            directory,
            tree,
            log,
            health,
            state,
            kept: Mutex::new(kept),
            origin: watch::Sender::new(origin),
            source_records: watch::Sender::new(None),
        });
        metrics::register(&metrics, Arc::clone(&shared));
        shared.health.obstacle("source", "has not answered yet");
        Ok(Self { source, shared })
    }

    /// The copy, to be read and followed. It is a log like any other; only this mirror may append to it.
    pub fn log(&self) -> SharedLog {
        Arc::clone(&self.shared.log)
    }

    /// What the source calls itself in its checkpoints; `None` until it was heard for the first time.
    pub fn origin(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.shared.origin.subscribe()
    }

    /// How many records the source has; `None` until it was heard.
    pub fn source_records(&self) -> watch::Receiver<Option<u64>> {
        self.shared.source_records.subscribe()
    }

    /// Copies and compares until `drain` is cancelled. A source that is away is asked again and again; an error means
    /// that the copy cannot go on.
    pub async fn run(self, drain: CancellationToken) -> Result<(), MirrorError> {
        let Self { source, shared } = self;
        let mirror = async {
            tokio::select! {
                ended = fetch::run(&source, &shared) => ended,
                ended = verify::run(&source, &shared) => ended,
            }
        };
        match drain.run_until_cancelled(mirror).await {
            Some(Err(error)) => Err(error),
            Some(Ok(never)) => match never {},
            None => Ok(()),
        }
    }
}

impl Shared {
    /// The next record to copy. Each append is waited for, so all before it are durable.
    pub(crate) fn tail(&self) -> Position {
        self.log.tail()
    }
}

/// How many records of the copy were compared before, and are still the same.
async fn fits_kept(
    tree: &MerkleFollower,
    log: &SharedLog,
    kept: Option<&Kept>,
    directory: &std::path::Path,
) -> Result<u64, OpenError> {
    let note = kept.and_then(|kept| kept.checkpoint.as_ref());
    let checkpoint = note.and_then(|note| Checkpoint::parse_unverified(note.as_bytes()).ok());
    // A copy that was removed is made again, and compared with what comes next.
    let Some(checkpoint) =
        checkpoint.filter(|checkpoint| checkpoint.size <= log.durable().borrow().get())
    else {
        return Ok(0);
    };
    tree.wait_for(checkpoint.size).await?;
    if tree.root(checkpoint.size)? != checkpoint.root {
        return Err(OpenError::Changed { directory: directory.to_owned() });
    }
    Ok(checkpoint.size)
}
