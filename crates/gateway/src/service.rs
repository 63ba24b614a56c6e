//! The role as a component: made from a configuration and what it depends on, then run until it is told to drain.

use std::{net::TcpListener, sync::Arc};

use arc_swap::ArcSwap;
use lombard_chassis::{CancellationToken, Health, Metrics, operations};
use lombard_token::{KeySource, SigningKey};
use tokio::sync::{Notify, oneshot};

use crate::{
    ApplyError, Config, Control, RoleAddresses, TokenSource, catalog, dns,
    endpoints::Endpoints,
    keys::Verifiers,
    limits::Limits,
    metrics::GatewayMetrics,
    table,
    worker::{self, Shared},
};

/// What the role is given.
pub struct Deps {
    /// Where clients connect.
    pub listener: TcpListener,
    /// The platform's public URL, which is also the issuer of its tokens; no closing `/`.
    pub issuer: String,
    /// Where the roles listen.
    pub roles: RoleAddresses,
    /// Tokens for the registry.
    pub tokens: Arc<dyn TokenSource>,
    /// The issuer's public keys.
    pub keys: Arc<dyn KeySource>,
    /// Reads the configuration anew, for a reload; else says every mistake in it.
    pub reader: Arc<dyn Fn() -> Result<Config, Vec<String>> + Send + Sync>,
    /// Told when the role is ready, and what is in the way.
    pub health: Health,
    /// Where the role counts.
    pub metrics: Metrics,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// The gateway role.
pub struct Gateway {
    config: Config,
    /// One for each worker, all of the same socket.
    listeners: Vec<TcpListener>,
    registry: std::net::SocketAddr,
    tokens: Arc<dyn TokenSource>,
    shared: Arc<Shared>,
    health: Health,
    metrics: Metrics,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The role did not start.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The configuration cannot be used.
    #[error("the configuration of the gateway has mistakes:\n{}", mistakes.join("\n"))]
    Config {
        /// One line each.
        mistakes: Vec<String>,
    },
    /// No key for the gateway's own tokens.
    #[error("failed to make a key")]
    Key(#[source] lombard_token::KeyError),
    /// The listening socket cannot be used.
    #[error("failed to share the listening socket between the workers")]
    Listener(#[source] std::io::Error),
}

/// The role ended otherwise than by its drain.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A worker did not start, or its socket failed.
    #[error("failed to run a worker")]
    Worker(#[from] std::io::Error),
    /// A worker is gone.
    #[error("a worker ended by itself")]
    WorkerGone,
}

impl Gateway {
    /// Makes the role; nothing is accepted before [`Self::run`].
    pub fn new(config: Config, deps: Deps) -> Result<Self, NewError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(NewError::Config { mistakes });
        }
        deps.listener.set_nonblocking(true).map_err(NewError::Listener)?;
        let listeners = (0..config.worker_count())
            .map(|_| deps.listener.try_clone())
            .collect::<Result<_, _>>()
            .map_err(NewError::Listener)?;
        let empty = table::build(&Config::default(), &table::Nowhere)
            .map_err(|mistakes| NewError::Config { mistakes })?;
        let shared = Arc::new(Shared {
            endpoints: Endpoints::new(deps.roles, config.zone.as_deref()),
            verifiers: Verifiers::new(deps.issuer, deps.keys, config.services_max),
            metrics: GatewayMetrics::register(&deps.metrics),
            limits: Arc::new(Limits::new(config.limit_entries_max)),
            signing_key: Arc::new(SigningKey::generate().map_err(NewError::Key)?),
            table: ArcSwap::from_pointee(empty),
            reader: deps.reader,
            applying: parking_lot::Mutex::new(()),
            reconfigured: Notify::new(),
        });
        shared.apply(&config).map_err(|ApplyError { mistakes }| NewError::Config { mistakes })?;
        Ok(Self {
            config,
            listeners,
            registry: deps.roles.registry,
            tokens: deps.tokens,
            shared,
            health: deps.health,
            metrics: deps.metrics,
        })
    }

    /// Changes the configuration while the gateway runs.
    pub fn control(&self) -> Control {
        Control { shared: Arc::clone(&self.shared) }
    }

    /// Serves until `drain` is cancelled, then finishes what is under way. Not cancel safe: dropping the future leaves
    /// the workers running until `drain` is cancelled.
    pub async fn run(self, drain: CancellationToken) -> Result<(), RunError> {
        let stop = drain.child_token();
        let mut workers = Vec::with_capacity(self.listeners.len());
        for (index, listener) in self.listeners.into_iter().enumerate() {
            let (config, shared) = (self.config.clone(), Arc::clone(&self.shared));
            let operations = operations::router(self.health.clone(), self.metrics.clone());
            let (stop, (ended, when_ended)) = (stop.clone(), oneshot::channel());
            std::thread::Builder::new().name(format!("gateway-{index}")).spawn(move || {
                let result = worker::run(listener, config, shared, operations, stop);
                // Nobody waits any more when another worker failed first.
                drop(ended.send(result));
            })?;
            workers.push(async move {
                match when_ended.await {
                    Ok(result) => result.map_err(RunError::from),
                    Err(_) => Err(RunError::WorkerGone),
                }
            });
        }
        tracing::info!(workers = workers.len(), "accepting connections");
        // Said before the start is over, so that there is no moment in which the role looks ready and is not.
        self.health.obstacle("keys", "the authorization server's keys are not fetched yet");
        self.health.obstacle("catalog", "the registry's catalog of services is not fetched yet");
        self.health.ready();
        let serving = async {
            let result = futures_util::future::try_join_all(workers).await;
            // One that failed takes the others with it.
            stop.cancel();
            result
        };
        let (result, (), (), _) = tokio::join!(
            serving,
            self.shared.verifiers.run(&self.health, &stop),
            catalog::follow(self.registry, self.tokens, &self.shared, &self.health, &stop),
            stop.run_until_cancelled(dns::follow(&self.shared)),
        );
        drop(result?);
        if drain.is_cancelled() { Ok(()) } else { Err(RunError::WorkerGone) }
    }
}
