//! The index beside a log, and its routes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{Extension, Router};
use lombard_chassis::{Health, Metrics};
use lombard_engine::{Codec, Follower, StartError};
use lombard_ledger_core::Event;
use lombard_log::SharedLog;
use lombard_token::Verifier;
use lombard_types::Position;

use crate::{
    Config, History, Latest, LedgerIndex, OpenError, Sealer, metrics,
    rest::{self, Api},
};

/// What the read side is given.
pub struct Deps<C> {
    /// The ledger's log.
    pub log: SharedLog,
    /// How its events are stored.
    pub codec: C,
    /// Where the index is kept. Nobody else may have it open.
    pub directory: PathBuf,
    /// Verifies tokens that are issued for the ledger.
    pub verifier: Verifier,
    /// Where it counts.
    pub metrics: Metrics,
}

impl<C> std::fmt::Debug for Deps<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// The read side did not start.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The configuration cannot be used.
    #[error("the configuration of the ledger's read side has mistakes:\n{}", mistakes.join("\n"))]
    Config {
        /// One line each.
        mistakes: Vec<String>,
    },
    /// The index cannot be used, and could not be made again.
    #[error("failed to open the index of the ledger's read side")]
    Open(#[from] OpenError),
    /// It could not begin to follow the log.
    #[error("failed to start the ledger's read side")]
    Start(#[from] StartError),
}

/// The read side. It follows the log for as long as it, its router or a follower is left.
#[derive(Debug)]
pub struct Query {
    api: Api,
    verifier: Verifier,
    sealer: Option<Arc<dyn Sealer>>,
}

impl Query {
    /// Opens the index and begins to follow the log from where the index stands.
    pub async fn start<C>(config: Config, deps: Deps<C>) -> Result<Self, NewError>
    where
        C: Codec<Event = Event> + Clone,
    {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(NewError::Config { mistakes });
        }
        let Deps { log, codec, directory, verifier, metrics } = deps;
        let opened = LedgerIndex::open(&directory, &log, &codec, config.freeze_transfers).await;
        let (index, from) = opened?;
        let records = Arc::new(History::new(Arc::clone(&log), codec.clone()));
        let follower = Follower::start_at("ledger-query", Arc::clone(&log), codec, index, from)?;
        // The ledger's process counts other things too.
        let prefix = (!config.separate).then_some("query");
        metrics::register(&metrics, prefix, follower.clone(), Arc::clone(&log));
        let api = Api { follower, records, log, latest: None, config: Arc::new(config) };
        Ok(Self { api, verifier, sealer: None })
    }

    /// With who records statements: without, they can be read and not sealed.
    #[must_use]
    pub fn with_sealer(self, sealer: Arc<dyn Sealer>) -> Self {
        Self { sealer: Some(sealer), ..self }
    }

    /// Follows a copy of the ledger's log: linearizable reads ask the ledger first how far it is.
    #[must_use]
    pub fn with_latest(mut self, latest: Arc<dyn Latest>) -> Self {
        self.api.latest = Some(latest);
        self
    }

    /// The routes, below `/v1/ledger`.
    pub fn router(&self) -> Router {
        rest::router(self.api.clone(), self.sealer.clone()).layer(Extension(self.verifier.clone()))
    }

    /// Tells the readiness of the read side: not before it has caught up with what is durable now, and not any more when it
    /// has stopped following. Never ends: what lags is a read, and writes go on.
    pub fn watch(&self, health: Health) -> impl Future<Output = ()> + Send + 'static {
        /// Longer than any process runs.
        const FOR_EVER: Duration = Duration::from_secs(1 << 32);
        const WHAT: &str = "read side";
        health.obstacle(WHAT, "catching up with the log");
        let follower = self.api.follower.clone();
        let durable = *self.api.log.durable().borrow();
        async move {
            if follower.wait_for(durable, FOR_EVER).await.is_ok() {
                health.clear(WHAT);
            }
            // Never reached: the wait ends when the index has stopped following.
            if follower.wait_for(Position::new(u64::MAX), FOR_EVER).await.is_err() {
                health.obstacle(WHAT, "stopped following the log; see the log of the role");
            }
            std::future::pending().await
        }
    }

    /// The index, for callers in the same process.
    pub fn follower(&self) -> Follower<LedgerIndex> {
        self.api.follower.clone()
    }
}
