//! A thread with a runtime of its own: accepts connections on the shared socket and serves them to their end.

use std::{cell::Cell, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use lombard_chassis::CancellationToken;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::LocalOptions,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::task::TaskTracker;

use arc_swap::{ArcSwap, ArcSwapOption};
use lombard_gateway_core::RouteFamily;
use lombard_token::SigningKey;
use tokio::sync::Notify;

use crate::{
    catalog::TokenSource,
    config::Config,
    control::Reader,
    endpoints::Endpoints,
    identity::Identities,
    keys::Verifiers,
    limits::Limits,
    metrics::{GatewayMetrics, RouteCounters},
    otlp::Spans,
    pool::Pool,
    random::Random,
    seen::{AccessLog, Audit},
    serve::serve,
    table::Table,
};

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) endpoints: Endpoints,
    pub(crate) verifiers: Verifiers,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) limits: Arc<Limits>,
    /// Tells this gateway from others.
    pub(crate) id: uuid::Uuid,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) audit: Option<Audit>,
    pub(crate) spans: Option<Spans>,
    /// What the gateway shows of itself.
    pub(crate) tokens: Arc<dyn TokenSource>,
    pub(crate) signing_key: Arc<SigningKey>,
    /// What clients are shown with TLS. A connection keeps what it began with.
    pub(crate) tls: ArcSwapOption<rustls::ServerConfig>,
    /// The routes in use. A request keeps those that it began with.
    pub(crate) table: ArcSwap<Table>,
    /// Reads the configuration anew.
    pub(crate) reader: Reader,
    /// Held while another configuration is applied.
    pub(crate) applying: parking_lot::Mutex<()>,
    /// Told when another configuration is in use.
    pub(crate) reconfigured: Notify,
}

/// What the requests of one worker share.
pub(crate) struct Worker {
    pub(crate) config: Config,
    pub(crate) shared: Arc<Shared>,
    pub(crate) operations: axum::Router,
    pub(crate) pool: Rc<Pool>,
    pub(crate) identity: Identities,
    /// Requests under way.
    pub(crate) in_flight: Rc<Cell<usize>>,
    /// Connections and tunnels.
    pub(crate) tasks: TaskTracker,
    /// Copies of requests under way.
    pub(crate) mirrored: Rc<Cell<usize>>,
    /// In the order of [`RouteFamily::ALL`].
    counters: [RouteCounters; RouteFamily::ALL.len()],
    pub(crate) random: Random,
}

impl Worker {
    pub(crate) fn new(config: Config, shared: Arc<Shared>, operations: axum::Router) -> Self {
        Self {
            pool: Rc::new(Pool::new(&config)),
            identity: Identities::new(Arc::clone(&shared.signing_key), shared.verifiers.issuer()),
            in_flight: Rc::default(),
            mirrored: Rc::default(),
            tasks: TaskTracker::new(),
            counters: RouteFamily::ALL.map(|family| shared.metrics.route(family.name())),
            random: Random::new(),
            config,
            shared,
            operations,
        }
    }

    /// The counters of what no route is configured for.
    #[expect(
        clippy::indexing_slicing,
        reason = "there is one for each family, and the first stands for none of them"
    )]
    pub(crate) fn counters_of(&self, family: RouteFamily) -> &RouteCounters {
        let index = RouteFamily::ALL.iter().position(|other| *other == family);
        &self.counters[index.unwrap_or_default()]
    }
}

/// Where clients connect: in clear text, and with TLS.
pub(crate) struct Listeners {
    pub(crate) plain: std::net::TcpListener,
    pub(crate) tls: Option<std::net::TcpListener>,
}

impl Listeners {
    pub(crate) fn try_clone(&self) -> std::io::Result<Self> {
        let tls = self.tls.as_ref().map(std::net::TcpListener::try_clone).transpose()?;
        Ok(Self { plain: self.plain.try_clone()?, tls })
    }
}

/// Serves on this thread until `drain` is cancelled, then finishes what is under way.
pub(crate) fn run(
    listeners: Listeners,
    config: Config,
    shared: Arc<Shared>,
    operations: axum::Router,
    drain: CancellationToken,
) -> std::io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(LocalOptions::default())?;
    let worker = Rc::new(Worker::new(config, shared, operations));
    runtime.block_on(accept_until(listeners, worker, drain))
}

async fn accept_until(
    listeners: Listeners,
    worker: Rc<Worker>,
    drain: CancellationToken,
) -> std::io::Result<()> {
    let plain = TcpListener::from_std(listeners.plain)?;
    let tls = listeners.tls.map(TcpListener::from_std).transpose()?;
    let connections = Arc::new(Semaphore::new(worker.config.connections_max));
    let pool = Rc::clone(&worker.pool);
    let sweep = tokio::task::spawn_local(async move { pool.sweep().await });
    loop {
        let (permit, (stream, peer), is_tls) = tokio::select! {
            () = drain.cancelled() => break,
            accepted = accept(&plain, tls.as_ref(), &connections) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        let config = is_tls.then(|| worker.shared.tls.load_full()).flatten();
        if is_tls && config.is_none() {
            continue;
        }
        let serving = serve(Rc::clone(&worker), stream, peer, config, drain.clone());
        worker.tasks.spawn_local(async move {
            serving.await;
            drop(permit);
        });
    }
    drop((plain, tls));
    worker.tasks.close();
    if tokio::time::timeout(worker.config.drain_timeout(), worker.tasks.wait()).await.is_err() {
        tracing::warn!("requests still under way after the drain timeout were cut off");
    }
    sweep.abort();
    Ok(())
}

async fn accept(
    plain: &TcpListener,
    tls: Option<&TcpListener>,
    connections: &Arc<Semaphore>,
) -> Option<(OwnedSemaphorePermit, (TcpStream, SocketAddr), bool)> {
    // Taken before accepting, so that what cannot be served stays in the system's queue.
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    let with_tls = async {
        match tls {
            Some(listener) => listener.accept().await,
            None => std::future::pending().await,
        }
    };
    let (accepted, is_tls) = tokio::select! {
        accepted = plain.accept() => (accepted, false),
        accepted = with_tls => (accepted, true),
    };
    match accepted {
        Ok(accepted) => Some((permit, accepted, is_tls)),
        Err(error) => {
            // Out of file descriptors, or the peer went away: neither is a reason to stop serving.
            tracing::warn!(%error, "failed to accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
