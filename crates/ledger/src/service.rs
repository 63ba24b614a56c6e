//! The role as a component: made from a configuration and what it depends on, then run until it is told to drain.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::Router;
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_engine::{Engine, Handle, Snapshots, StartError, StoppedError};
use lombard_ledger_core::{Command, HashSeed};
use lombard_log::SharedLog;
use lombard_token::Verifier;
use lombard_types::Timestamp;
use uuid::Uuid;

use crate::{
    Config,
    codec::EventCodec,
    directory::Directory,
    grpc,
    machine::LedgerMachine,
    metrics::LedgerMetrics,
    rest::{self, Api, InProgress},
    sealer::StatementSealer,
    spent::{SpentError, SpentIndex},
};

/// What the role is given.
pub struct Deps {
    /// The book's log; nobody else writes to it.
    pub log: SharedLog,
    /// Where snapshots of the state are kept; without it every start replays the whole log.
    pub snapshot_directory: Option<PathBuf>,
    /// Where the index of spent ids is kept; nobody else may have it open.
    pub index_directory: PathBuf,
    /// Verifies tokens that are issued for this role.
    pub verifier: Verifier,
    /// Told when the role is ready, and what is in the way.
    pub health: Health,
    /// Where the role counts.
    pub metrics: Metrics,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").field("log", &self.log).finish_non_exhaustive()
    }
}

/// The ledger role.
#[derive(Debug)]
pub struct Ledger {
    api: Api,
    engine: Engine,
    spent: SpentIndex,
    verifier: Verifier,
    health: Health,
}

/// The role did not start.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The configuration cannot be used.
    #[error("the configuration of the ledger has mistakes:\n{}", mistakes.join("\n"))]
    Config {
        /// One line each.
        mistakes: Vec<String>,
    },
    /// The index of spent ids cannot be used, and could not be made again.
    #[error("failed to open the index of spent ids")]
    Spent(#[from] SpentError),
    /// The log could not be replayed.
    #[error("failed to start the ledger")]
    Start(#[from] StartError),
}

impl Ledger {
    /// Reads the newest snapshot and replays the log from there. Blocks while it does.
    pub fn new(config: Config, deps: Deps) -> Result<Self, NewError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(NewError::Config { mistakes });
        }
        let Deps { log, snapshot_directory, index_directory, verifier, health, metrics } = deps;
        // Drawn anew at each start: nobody outside can choose ids that collide in the indexes.
        let seed = HashSeed(Uuid::new_v4().as_u128());
        let spent = SpentIndex::open(&index_directory, &log, config.index_memory_ids)?;
        let directory = Directory::new(seed);
        let of_machine = (spent.clone(), directory.clone());
        let empty = move || LedgerMachine::empty(seed, of_machine.0.clone(), of_machine.1.clone());
        let snapshots =
            snapshot_directory.map(|directory| Snapshots::new(directory, config.snapshot_policy()));
        let (writer, engine) = Engine::start_with_snapshots(
            "ledger",
            log,
            snapshots,
            empty,
            EventCodec,
            config.engine_limits(),
        )?;
        let metrics = LedgerMetrics::register(&metrics, writer.clone(), spent.clone());
        let config = Arc::new(config);
        let api = Api { writer, directory, metrics, config, in_progress: InProgress::default() };
        Ok(Self { api, engine, spent, verifier, health })
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        rest::router(self.api.clone(), self.verifier.clone())
    }

    /// The methods over gRPC.
    pub fn grpc_routes(&self) -> lombard_grpc::Routes {
        grpc::routes(self.api.clone())
    }

    /// What a gRPC server for them takes on at once.
    pub fn grpc_limits(&self) -> lombard_grpc::Limits {
        self.api.config.grpc.clone()
    }

    /// What records the statements that the read side draws up.
    pub fn sealer(&self) -> StatementSealer {
        StatementSealer { writer: self.api.writer.clone() }
    }

    /// The writer, for callers in the same process.
    pub fn handle(&self) -> Handle<LedgerMachine> {
        self.api.writer.clone()
    }

    /// Watches over the writer until `drain` is cancelled. It goes on for as long as a router or handle is left, so that
    /// requests under way are still answered during the drain. The ledger is ready from the start: `new` has replayed the
    /// log.
    ///
    /// An error means that the process must end: the writer stopped, and only a restart recovers.
    pub async fn run(self, drain: CancellationToken) -> Result<(), StoppedError> {
        let Self { api, engine, spent, health, .. } = self;
        let watch_index = watch_index(spent, health.clone());
        let end_pendings = end_pendings(api.writer.clone());
        health.ready();
        // The writer stops when nobody can ask it any more.
        drop(api);
        tokio::select! {
            stopped = engine.stopped() => stopped,
            () = watch_index => Ok(()),
            () = end_pendings => Ok(()),
            () = drain.cancelled() => Ok(()),
        }
    }
}

/// Records what time has ended, soon after it did. No decision and no read waits for it; it is for whoever follows the
/// events. Never ends.
async fn end_pendings(writer: Handle<LedgerMachine>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let due = writer.query(|machine| machine.book().next_ending()).await;
        let now = Timestamp::from_system_time(SystemTime::now());
        if let Ok((Some(due), _)) = due
            && due <= now
            && let Err(error) = writer.submit(Command::EndPendings).await
        {
            tracing::warn!(%error, "what time has ended could not be recorded yet");
        }
    }
}

/// Tells what is in the way of the index of spent ids. Never ends: without it, the index grows in memory.
async fn watch_index(spent: SpentIndex, health: Health) {
    const WHAT: &str = "index of spent ids";
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        match spent.obstacle() {
            Some(cause) => health.obstacle(WHAT, &*cause),
            None => health.clear(WHAT),
        }
    }
}
