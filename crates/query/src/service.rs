//! The index beside a log, and its routes.

use std::{path::PathBuf, sync::Arc};

use axum::{Extension, Router};
use lombard_chassis::Metrics;
use lombard_engine::{Codec, Follower, StartError};
use lombard_ledger_core::Event;
use lombard_log::SharedLog;
use lombard_token::Verifier;

use crate::{
    Config, History, LedgerIndex, OpenError, metrics,
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
        let api = Api { follower, records, log, config: Arc::new(config) };
        Ok(Self { api, verifier })
    }

    /// The routes, below `/v1/ledger`.
    pub fn router(&self) -> Router {
        rest::router(self.api.clone()).layer(Extension(self.verifier.clone()))
    }

    /// The index, for callers in the same process.
    pub fn follower(&self) -> Follower<LedgerIndex> {
        self.api.follower.clone()
    }
}
