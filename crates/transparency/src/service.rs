//! The component: made from a configuration and what it depends on, then run until it is told to drain.

use std::{fmt, io, path::PathBuf, sync::Arc};

use axum::{Extension, Router};
use lombard_chassis::{CancellationToken, Metrics};
use lombard_log::{LogId, SharedLog, disk::Real, merkle::MerkleFollower};
use lombard_token::Verifier;
use tokio::sync::Semaphore;

use crate::{
    Config, KeyFileError, key_file, metrics,
    rest::{self, Api},
    signer::Signer,
};

/// What it is given.
pub struct Deps {
    /// The role, as in `/v1/<role>/log`.
    pub role: &'static str,
    /// The family of its scopes: who has `<family>:audit` may read the records.
    pub family: &'static str,
    /// The role's log.
    pub log: SharedLog,
    /// Which log that is.
    pub log_id: LogId,
    /// Where the log is kept: the leaf hashes and the newest checkpoint stand beside it.
    pub directory: PathBuf,
    /// Where the signing key is kept; it is made if it is not there.
    pub key_file: PathBuf,
    /// Where the role counts.
    pub metrics: Metrics,
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps")
            .field("role", &self.role)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// What a role serves of its own log.
#[derive(Debug)]
pub struct Transparency {
    api: Api,
    role: &'static str,
}

/// The component did not start.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The configuration cannot be used.
    #[error("the configuration of checkpoints has mistakes:\n{}", mistakes.join("\n"))]
    Config {
        /// One line each.
        mistakes: Vec<String>,
    },
    /// There is no key to sign with.
    #[error("failed to start signing the log")]
    Key(#[from] KeyFileError),
    /// The files beside the log could not be read or written.
    #[error("failed to start signing the log in {}", directory.display())]
    Io {
        /// The log's directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What a role's log is called in its checkpoints.
pub fn origin(role: &str, log_id: LogId) -> String {
    format!("lombard/{role}/{log_id}")
}

impl Transparency {
    /// Reads the key and the last checkpoint, and begins to follow the log.
    pub fn new(config: Config, deps: Deps) -> Result<Self, NewError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(NewError::Config { mistakes });
        }
        let Deps { role, family, log, log_id, directory, key_file, metrics } = deps;
        let origin = origin(role, log_id);
        let key = key_file::read_or_create(&key_file, &origin)?;
        let signer = MerkleFollower::start(Arc::new(Real), &directory, Arc::clone(&log))
            .and_then(|tree| Signer::new(tree, log, origin, key, directory.clone()))
            .map_err(|source| NewError::Io { directory, source })?;
        let signer = Arc::new(signer);
        metrics::register(&metrics, Arc::clone(&signer));
        let queries = Arc::new(Semaphore::new(config.queries_max));
        let waiters = Arc::new(Semaphore::new(config.waiters_max));
        let (config, stopping) = (Arc::new(config), CancellationToken::new());
        Ok(Self { api: Api { signer, queries, waiters, stopping, config, family }, role })
    }

    /// The routes below `/v1/<role>/log`, for tokens that `verifier` accepts.
    pub fn router(&self, verifier: Verifier) -> Router {
        rest::router(self.role, self.api.clone()).layer(Extension(verifier))
    }

    /// Signs what is new until `drain` is cancelled. Where that fails it is logged, and proofs are still answered. Returns
    /// when nothing works on the log in the background any more: it can be closed.
    pub async fn run(self, drain: CancellationToken) {
        let Self { api, .. } = self;
        drain.run_until_cancelled(Arc::clone(&api.signer).run(&api.config)).await;
        drain.cancelled().await;
        api.stopping.cancel();
        api.signer.blocking.close();
        api.signer.blocking.wait().await;
    }
}
