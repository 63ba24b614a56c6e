//! Serves routes on a listening socket, within limits, until it is told to drain.

use std::{fmt, sync::Arc, time::Duration};

use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_token::{Claims, Verifier};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use crate::{
    Limits, Routes,
    connection::{self, ConnectionError, RouteTable},
    health::HealthService,
    metrics::GrpcMetrics,
};

/// What is served, and how.
pub struct Server {
    /// The methods.
    pub routes: Routes,
    /// Verifies the tokens of calls.
    pub verifier: Verifier,
    /// What the health service says.
    pub health: Health,
    /// Where the server counts.
    pub metrics: Metrics,
    /// What it takes on at once.
    pub limits: Limits,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("routes", &self.routes).finish_non_exhaustive()
    }
}

/// What connections share.
pub(crate) struct Shared {
    pub(crate) routes: RouteTable,
    /// Whom a program on this machine is taken for that has no token.
    pub(crate) local_caller: Option<Claims>,
    pub(crate) verifier: Verifier,
    pub(crate) health: HealthService,
    pub(crate) metrics: GrpcMetrics,
    pub(crate) limits: Limits,
    pub(crate) drain: CancellationToken,
}

/// Serves until `drain` is cancelled, then finishes what is under way, at most as long as the limit says.
pub async fn serve(
    listener: std::net::TcpListener,
    server: Server,
    drain: CancellationToken,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let Server { routes, verifier, health, metrics, limits } = server;
    let metrics = GrpcMetrics::register(&metrics);
    let local_caller = routes.local_caller().cloned();
    let routes = routes.finish(&metrics);
    let health = HealthService::new(health, routes.keys().copied());
    let shared =
        Arc::new(Shared { routes, local_caller, verifier, health, metrics, limits, drain });
    let permits = Arc::new(Semaphore::new(shared.limits.connections_max));
    let mut connections = JoinSet::new();
    loop {
        // The permit is taken before accepting, so that what cannot be served stays in the system's queue.
        let accepted = tokio::select! {
            () = shared.drain.cancelled() => break,
            accepted = accept(&listener, &permits) => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let Some((permit, stream)) = accepted else { continue };
        connections.spawn(serve_connection(stream, Arc::clone(&shared), permit));
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(shared.limits.drain(), ended).await.is_err() {
        tracing::warn!("gRPC calls still under way after the drain timeout were cut off");
    }
    Ok(())
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>, permit: OwnedSemaphorePermit) {
    // What is to be sent is written together; waiting to fill a packet only costs time.
    drop(stream.set_nodelay(true));
    let peer = stream.peer_addr().ok();
    shared.metrics.connections.inc();
    let ended = connection::serve(stream, Arc::clone(&shared)).await;
    shared.metrics.connections.dec();
    if let Err(error) = ended {
        if !matches!(&error, ConnectionError::Http(error) if error.is_io()) {
            shared.metrics.connections_refused.inc();
        }
        tracing::debug!(?peer, %error, "gRPC connection ended");
    }
    drop(permit);
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(OwnedSemaphorePermit, TcpStream)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((permit, stream)),
        Err(error) => {
            // Out of file descriptors, or the peer went away: neither is a reason to stop serving.
            tracing::warn!(%error, "failed to accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
