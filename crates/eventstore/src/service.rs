//! The role as a component: made from a configuration and what it depends on, then run until it is told to drain.

use std::{sync::Arc, time::Duration};

use axum::{Extension, Router};
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_engine::{Engine, Follower, Handle, StartError, StoppedError};
use lombard_eventstore_core::Store;
use lombard_log::SharedLog;
use lombard_token::Verifier;
use lombard_types::Position;

use crate::{
    Config,
    codec::AppendCodec,
    machine::EventStoreMachine,
    metrics::EventStoreMetrics,
    query::EventIndex,
    rest::{self, Api},
};

/// What the role is given.
pub struct Deps {
    /// The store's log; nobody else writes to it.
    pub log: SharedLog,
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

/// The event store role.
#[derive(Debug)]
pub struct EventStore {
    api: Api,
    engine: Engine,
    verifier: Verifier,
    health: Health,
}

/// The role did not start.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The configuration cannot be used.
    #[error("the configuration of the event store has mistakes:\n{}", mistakes.join("\n"))]
    Config {
        /// One line each.
        mistakes: Vec<String>,
    },
    /// The log could not be replayed.
    #[error("failed to start the event store")]
    Start(#[from] StartError),
}

impl EventStore {
    /// Replays the log. Blocks while it does.
    pub fn new(config: Config, deps: Deps) -> Result<Self, NewError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(NewError::Config { mistakes });
        }
        let Deps { log, verifier, health, metrics } = deps;
        let machine = EventStoreMachine::new(Store::new(config.store_limits()));
        let limits = config.engine_limits();
        let (writer, engine) =
            Engine::start("eventstore", Arc::clone(&log), machine, AppendCodec, limits)?;
        let index = Follower::start("eventstore", log, AppendCodec, EventIndex::default())?;
        let metrics = EventStoreMetrics::register(&metrics, writer.clone(), index.clone());
        let api = Api { writer, index, metrics, config: Arc::new(config) };
        Ok(Self { api, engine, verifier, health })
    }

    /// The HTTP interface.
    pub fn router(&self) -> Router {
        rest::router(self.api.clone()).layer(Extension(self.verifier.clone()))
    }

    /// The writer, for callers in the same process.
    pub fn handle(&self) -> Handle<EventStoreMachine> {
        self.api.writer.clone()
    }

    /// The read side, for callers in the same process.
    pub fn index(&self) -> Follower<EventIndex> {
        self.api.index.clone()
    }

    /// Serves until `drain` is cancelled. Becomes ready when the read side has caught up with the log.
    ///
    /// An error means that the process must end: the writer stopped, and only a restart recovers.
    pub async fn run(self, drain: CancellationToken) -> Result<(), StoppedError> {
        let Self { api, engine, health, .. } = self;
        let watch = watch_index(api.index.clone(), api.writer.log().tail(), health);
        // The writer stops when nobody can ask it any more.
        drop(api);
        tokio::select! {
            stopped = engine.stopped() => stopped,
            () = watch => Ok(()),
            () = drain.cancelled() => Ok(()),
        }
    }
}

/// Tells the readiness of the read side. Never ends: without it, writes go on.
async fn watch_index(index: Follower<EventIndex>, tail: Position, health: Health) {
    /// Longer than any process runs.
    const FOR_EVER: Duration = Duration::from_secs(1 << 32);
    if index.wait_for(tail, FOR_EVER).await.is_ok() {
        health.ready();
        // Never reached: the wait ends when the index has stopped following.
        while index.wait_for(Position::new(u64::MAX), FOR_EVER).await.is_ok() {}
    }
    health.obstacle("read side", "stopped following the log; see the log of the role");
    std::future::pending().await
}
