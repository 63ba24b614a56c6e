//! The event store in this process, on files, as its role runs it: with the Merkle tree behind the log.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use lombard_chassis::{Health, Metrics};
use lombard_engine::{Committed, Handle};
use lombard_eventstore::{Config, Deps, EventStore, EventStoreMachine, GroupsLog, Reply};
use lombard_eventstore_core::Append;
use lombard_log::{SegmentedConfig, SegmentedLog, SharedLog, disk::Real, merkle::MerkleFollower};
use lombard_token::{Jwks, KeySource, KeySourceError, Verifier};

/// An open store. Its parts end in the order in which they stand here.
pub struct Store {
    handle: Handle<EventStoreMachine>,
    role: EventStore,
    tree: MerkleFollower,
    log: SharedLog,
    directory: PathBuf,
}

/// No caller has a token: calls come from this process.
struct NoKeys;

impl KeySource for NoKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async { Ok(Jwks { keys: Vec::new() }) })
    }
}

impl Store {
    /// Opens the store in a directory, which may be empty.
    pub fn open(directory: &Path) -> anyhow::Result<Self> {
        let nobody = Verifier::new("http://bench", "http://bench", Arc::new(NoKeys));
        Self::open_for(directory, nobody)
    }

    /// [`Store::open`] for callers whose tokens `verifier` knows.
    pub fn open_for(directory: &Path, verifier: Verifier) -> anyhow::Result<Self> {
        let log_directory = directory.join("log");
        let log: SharedLog =
            Arc::new(SegmentedLog::open(&log_directory, SegmentedConfig::default())?);
        let tree = MerkleFollower::start(Arc::new(Real), &log_directory, Arc::clone(&log))?;
        let deps = Deps {
            log: Arc::clone(&log),
            index_directory: directory.join("index"),
            subjects_directory: directory.join("subjects"),
            disk: Arc::new(Real),
            groups: GroupsLog::in_memory(),
            verifier,
            health: Health::starting(),
            metrics: Metrics::new("eventstore"),
        };
        let role = EventStore::new(Config::default(), deps)?;
        let handle = role.handle();
        Ok(Self { handle, role, tree, log, directory: directory.to_owned() })
    }

    /// The writer.
    pub fn handle(&self) -> Handle<EventStoreMachine> {
        self.handle.clone()
    }

    /// The log.
    pub fn log(&self) -> &SharedLog {
        &self.log
    }

    /// The role.
    pub fn role(&self) -> &EventStore {
        &self.role
    }

    /// The Merkle tree behind the log.
    pub fn tree(&self) -> &MerkleFollower {
        &self.tree
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Appends, and makes an error of whatever is not a first success.
pub async fn append(
    handle: &Handle<EventStoreMachine>,
    append: Append,
) -> anyhow::Result<Committed<Reply>> {
    let committed = handle.submit(lombard_eventstore_core::Command::Append(append)).await?;
    anyhow::ensure!(committed.written, "nothing was appended");
    Ok(committed)
}
