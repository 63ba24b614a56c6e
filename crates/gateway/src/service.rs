//! The role as a component: made from a configuration and what it depends on, then run until it is told to drain.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use lombard_chassis::{CancellationToken, Health, Metrics, operations};
use lombard_token::{DpopNonces, KeySource, SigningKey};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    ApplyError, Config, Control, RoleAddresses, TokenSource, audit, catalog, dns,
    endpoints::Endpoints,
    keys::Verifiers,
    limits::Limits,
    metrics::GatewayMetrics,
    otlp::{self, Collector, Ended, Spans},
    renewal,
    seen::{AccessLog, Audit, EVENTS_MAX},
    sharing, suspicions, table,
    worker::{self, Listeners, Shared},
};

/// What the role is given.
pub struct Deps {
    /// Where clients connect.
    pub listener: TcpListener,
    /// Where they connect with TLS, where a supervisor holds that socket; else it is bound here if `tls_listen` asks for it.
    pub tls_listener: Option<TcpListener>,
    /// The platform's public URL, which is also the issuer of its tokens; no closing `/`.
    pub issuer: String,
    /// Where the roles listen.
    pub roles: RoleAddresses,
    /// Tokens for the roles that the gateway calls for itself.
    pub tokens: Arc<dyn TokenSource>,
    /// The issuer's public keys.
    pub keys: Arc<dyn KeySource>,
    /// What proofs of possession must have nonces of, where they must have some.
    pub dpop_nonces: Option<Arc<DpopNonces>>,
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
    listeners: Vec<Listeners>,
    tls_address: Option<SocketAddr>,
    /// What the audit is told.
    told: Option<mpsc::Receiver<String>>,
    /// Requests that ended, and whom they are told.
    ended: Option<(Collector, mpsc::Receiver<Ended>)>,
    eventstore: SocketAddr,
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
    /// The access log cannot be written.
    #[error("failed to open the access log {}", path.display())]
    AccessLog {
        /// Which file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address for TLS cannot be listened on.
    #[error("failed to listen on {address}, which tls_listen names")]
    TlsListener {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
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

/// What listens with TLS may listen anywhere: nothing crosses the network in clear text.
fn listen(address: SocketAddr) -> Result<TcpListener, NewError> {
    let failed = |source| NewError::TlsListener { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

impl Gateway {
    /// Makes the role; nothing is accepted before [`Self::run`].
    pub fn new(config: Config, deps: Deps) -> Result<Self, NewError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(NewError::Config { mistakes });
        }
        deps.listener.set_nonblocking(true).map_err(NewError::Listener)?;
        let tls = match deps.tls_listener {
            Some(passed) => {
                passed.set_nonblocking(true).map_err(NewError::Listener)?;
                Some(passed)
            }
            None => config.tls_listen.map(listen).transpose()?,
        };
        let both = Listeners { plain: deps.listener, tls };
        let tls_address = both.tls.as_ref().and_then(|listener| listener.local_addr().ok());
        let listeners = (0..config.worker_count())
            .map(|_| both.try_clone())
            .collect::<Result<_, _>>()
            .map_err(NewError::Listener)?;
        let empty = table::build(Arc::default(), &table::Nowhere, None)
            .map_err(|mistakes| NewError::Config { mistakes })?;
        let metrics = GatewayMetrics::register(&deps.metrics);
        let access_log = config.access_log.clone().map(|path| {
            AccessLog::start(path.clone(), metrics.lost_lines.clone())
                .map_err(|source| NewError::AccessLog { path, source })
        });
        let (audit, told) = if config.audit {
            let (events, told) = mpsc::channel(EVENTS_MAX);
            (Some(Audit { events, lost: metrics.lost_events.clone() }), Some(told))
        } else {
            (None, None)
        };
        let (spans, ended) = match &config.otlp_traces_url {
            Some(url) => {
                let (queue, ended) = mpsc::channel(otlp::SPANS_MAX);
                let percent = config.trace_percent;
                let lost = metrics.lost_spans.clone();
                let collector = Collector::new(url, config.otlp_ca_file.as_deref())
                    .map_err(|mistake| NewError::Config { mistakes: vec![mistake] })?;
                (Some(Spans { queue, percent, lost }), Some((collector, ended)))
            }
            None => (None, None),
        };
        let verifiers = Verifiers::new(deps.issuer, deps.keys, config.services_max);
        if let Some(nonces) = deps.dpop_nonces {
            verifiers.require_nonces(nonces);
        }
        let shared = Arc::new(Shared {
            access_log: access_log.transpose()?,
            audit,
            spans,
            endpoints: Endpoints::new(deps.roles, config.zone.as_deref()),
            verifiers,
            metrics,
            tokens: Arc::clone(&deps.tokens),
            limits: Arc::new(Limits::new(config.limit_entries_max, !config.limit_peers.is_empty())),
            id: uuid::Uuid::new_v4(),
            signing_key: Arc::new(SigningKey::generate().map_err(NewError::Key)?),
            tls: ArcSwapOption::empty(),
            table: ArcSwap::from_pointee(empty),
            reader: deps.reader,
            applying: parking_lot::Mutex::default(),
            reconfigured: Notify::new(),
        });
        let of_worker = config.of_worker();
        shared
            .apply(Arc::new(config))
            .map_err(|ApplyError { mistakes }| NewError::Config { mistakes })?;
        Ok(Self {
            config: of_worker,
            listeners,
            tls_address,
            told,
            ended,
            eventstore: deps.roles.eventstore,
            registry: deps.roles.registry,
            tokens: deps.tokens,
            shared,
            health: deps.health,
            metrics: deps.metrics,
        })
    }

    /// Where clients connect with TLS.
    pub const fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
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
        let have_ended = CancellationToken::new();
        let telling = async {
            if let Some(told) = self.told {
                let tokens = Arc::clone(&self.tokens);
                audit::follow(self.eventstore, tokens, told, have_ended.clone()).await;
            }
        };
        let tracing = async {
            if let Some((collector, ended)) = self.ended {
                let lost = self.shared.metrics.lost_spans.clone();
                otlp::follow(collector, ended, lost, have_ended.clone()).await;
            }
        };
        let serving = async {
            let result = futures_util::future::try_join_all(workers).await;
            // One that failed takes the others with it.
            stop.cancel();
            have_ended.cancel();
            result
        };
        let (peers, every) = (&self.config.limit_peers, self.config.limit_exchange());
        let sharing = async {
            if !peers.is_empty() {
                sharing::follow(&self.shared, peers, every).await;
            }
        };
        let suspecting =
            suspicions::follow(self.registry, Arc::clone(&self.tokens), &self.shared.endpoints);
        let (result, (), (), _, _, _, _, (), ()) = tokio::join!(
            serving,
            self.shared.verifiers.run(&self.health, &stop),
            catalog::follow(
                self.registry,
                Arc::clone(&self.tokens),
                &self.shared,
                &self.health,
                &stop
            ),
            stop.run_until_cancelled(dns::follow(&self.shared)),
            stop.run_until_cancelled(renewal::follow(&self.shared)),
            stop.run_until_cancelled(sharing),
            stop.run_until_cancelled(suspecting),
            telling,
            tracing,
        );
        drop(result?);
        if drain.is_cancelled() { Ok(()) } else { Err(RunError::WorkerGone) }
    }
}
