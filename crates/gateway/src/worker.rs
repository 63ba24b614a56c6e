//! A thread with a runtime of its own: accepts connections on the shared socket and serves them to their end.

use std::{cell::Cell, convert::Infallible, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use lombard_chassis::CancellationToken;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::LocalSet,
};

use arc_swap::ArcSwap;
use lombard_gateway_core::RouteFamily;
use lombard_token::SigningKey;
use tokio::sync::Notify;

use crate::{
    config::Config,
    connection::GatedStream,
    control::Reader,
    endpoints::Endpoints,
    handle::handle,
    identity::Identities,
    keys::Verifiers,
    limits::Limits,
    metrics::{GatewayMetrics, RouteCounters},
    pool::Pool,
    table::Table,
};

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) endpoints: Endpoints,
    pub(crate) verifiers: Verifiers,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) limits: Arc<Limits>,
    pub(crate) signing_key: Arc<SigningKey>,
    /// The routes in use. A request keeps those that it began with.
    pub(crate) table: ArcSwap<Table>,
    /// Reads the configuration anew.
    pub(crate) reader: Reader,
    /// Held while a configuration is applied.
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
    /// Copies of requests under way.
    pub(crate) mirrored: Rc<Cell<usize>>,
    /// In the order of [`RouteFamily::ALL`].
    counters: [RouteCounters; RouteFamily::ALL.len()],
    random: Cell<u64>,
}

impl Worker {
    pub(crate) fn new(config: Config, shared: Arc<Shared>, operations: axum::Router) -> Self {
        Self {
            pool: Rc::new(Pool::new(&config)),
            identity: Identities::new(Arc::clone(&shared.signing_key), shared.verifiers.issuer()),
            in_flight: Rc::default(),
            mirrored: Rc::default(),
            counters: RouteFamily::ALL.map(|family| shared.metrics.route(family.name())),
            random: Cell::new(uuid::Uuid::new_v4().as_u64_pair().0),
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

    /// The next number of SplitMix64 (Steele, Lea, Flood 2014): only choices between instances depend on it.
    pub(crate) fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Serves on this thread until `drain` is cancelled, then finishes what is under way.
pub(crate) fn run(
    listener: std::net::TcpListener,
    config: Config,
    shared: Arc<Shared>,
    operations: axum::Router,
    drain: CancellationToken,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worker = Rc::new(Worker::new(config, shared, operations));
    LocalSet::new().block_on(&runtime, serve(listener, worker, drain))
}

async fn serve(
    listener: std::net::TcpListener,
    worker: Rc<Worker>,
    drain: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let connections = Arc::new(Semaphore::new(worker.config.connections_max));
    let graceful = GracefulShutdown::new();
    let pool = Rc::clone(&worker.pool);
    let sweep = tokio::task::spawn_local(async move { pool.sweep().await });
    loop {
        let (permit, stream, peer) = tokio::select! {
            () = drain.cancelled() => break,
            accepted = accept(&listener, &connections) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        serve_connection(&worker, stream, peer, permit, &graceful);
    }
    drop(listener);
    if tokio::time::timeout(worker.config.drain_timeout(), graceful.shutdown()).await.is_err() {
        tracing::warn!("requests still under way after the drain timeout were cut off");
    }
    sweep.abort();
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    // Taken before accepting, so that what cannot be served stays in the system's queue.
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((permit, stream, peer)),
        Err(error) => {
            // Out of file descriptors, or the peer went away: neither is a reason to stop serving.
            tracing::warn!(%error, "failed to accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

fn serve_connection(
    worker: &Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
    graceful: &GracefulShutdown,
) {
    // Without it a small response would wait for the acknowledgement of the one before.
    drop(stream.set_nodelay(true));
    let (stream, doubts) = GatedStream::new(stream, worker.config.head_bytes_max);
    let of_requests = Rc::clone(worker);
    let service = service_fn(move |request| {
        let (worker, refusal) = (Rc::clone(&of_requests), doubts.of_next_request());
        async move { Ok::<_, Infallible>(handle(&worker, peer, refusal, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(worker.config.head_timeout())
        .max_headers(worker.config.headers_max)
        .max_buf_size(worker.config.head_bytes_max)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%peer, %error, "a connection ended");
        }
        drop(permit);
    });
}
