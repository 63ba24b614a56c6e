//! Serves a router on a listening socket, within limits, until it is told to drain.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use ipnet::IpNet;
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    ClientCertificate, Metrics,
    context::Entered,
    extract,
    refuse::Refusing,
    server_metrics::{Limit, ServerMetrics},
};

/// A server's limits: the table `[server]` of the configuration, for every role but the gateway, which has its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerLimits {
    /// Connections at once; one more is answered with `overloaded`, and closed.
    pub connections_max: usize,
    /// Header lines of one request.
    pub headers_max: usize,
    /// Bytes of a request's head, and of the read buffer.
    pub head_bytes_max: usize,
    /// How long a request's head may take to arrive, also on an idle kept-alive connection.
    pub head_timeout_ms: u64,
    /// How long requests under way may take after the drain began.
    pub drain_timeout_ms: u64,
    /// The networks of proxies that end TLS and are believed which certificate a client has shown (RFC 9440, or the gateway's
    /// `x-lombard-client-certificate`). From elsewhere these headers are passed over.
    pub client_certificate_headers_from: Vec<IpNet>,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 16_384,
            headers_max: 64,
            head_bytes_max: 32 << 10,
            head_timeout_ms: 60_000,
            drain_timeout_ms: 10_000,
            client_certificate_headers_from: Vec::new(),
        }
    }
}

/// What is served, and how.
#[derive(Clone, Debug)]
pub struct Server {
    /// The routes. Each request gets its [`crate::Context`], and unknown paths and methods are answered with problems.
    pub router: Router,
    /// What it takes on.
    pub limits: ServerLimits,
    /// Where it counts.
    pub metrics: Metrics,
}

/// Serves until `drain` is cancelled, then finishes what is under way, at most `drain_timeout` long.
pub async fn serve(
    listener: std::net::TcpListener,
    server: Server,
    drain: CancellationToken,
) -> std::io::Result<()> {
    serve_with(listener, server, None, drain).await
}

/// The same over TLS. Requests have the [`ClientCertificate`] that was shown when their connection was made.
pub async fn serve_tls(
    listener: std::net::TcpListener,
    server: Server,
    tls: Arc<ServerConfig>,
    drain: CancellationToken,
) -> std::io::Result<()> {
    serve_with(listener, server, Some(TlsAcceptor::from(tls)), drain).await
}

async fn serve_with(
    listener: std::net::TcpListener,
    server: Server,
    tls: Option<TlsAcceptor>,
    drain: CancellationToken,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let Server { router, limits, metrics } = server;
    let router = router
        .fallback(extract::not_found)
        .method_not_allowed_fallback(extract::method_not_allowed);
    let metrics = metrics.server();
    let proxies: Arc<[IpNet]> = limits.client_certificate_headers_from.clone().into();
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let refusing = Refusing::default();
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = drain.cancelled() => break,
            accepted = accept(&listener) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
            metrics.refused(Limit::Connections);
            refusing.refuse(stream);
            continue;
        };
        // Answers are small and complete: waiting to fill a packet only costs time.
        drop(stream.set_nodelay(true));
        let (watcher, http) = (graceful.watcher(), http(&limits));
        let (router, place) = (router.clone(), Place::new(metrics.clone(), permit));
        let Some(tls) = tls.clone() else {
            let shown = Shown::to_proxies(&proxies, peer);
            let service = service_for(router, peer, shown, metrics.clone());
            let connection = http.serve_connection(TokioIo::new(stream), service);
            tokio::spawn(run(watcher.watch(connection), peer, place));
            continue;
        };
        let patience = Duration::from_millis(limits.head_timeout_ms);
        tokio::spawn(async move {
            let stream = match tokio::time::timeout(patience, tls.accept(stream)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::debug!(%peer, %error, "no handshake"),
                Err(_) => {
                    place.metrics.refused(Limit::HeadTimeout);
                    return tracing::debug!(%peer, "no handshake in time");
                }
            };
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let shown = Shown::Here(ClientCertificate::of_chain(chain));
            let service = service_for(router, peer, shown, place.metrics.clone());
            let connection = http.serve_connection(TokioIo::new(stream), service);
            run(watcher.watch(connection), peer, place).await;
        });
    }
    drop(listener);
    let drain_timeout = Duration::from_millis(limits.drain_timeout_ms);
    if tokio::time::timeout(drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests still under way after the drain timeout were cut off");
    }
    Ok(())
}

/// hyper's smallest buffer.
const MIN_BUFFER_BYTES: usize = 8192;

fn http(limits: &ServerLimits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.head_timeout_ms))
        .max_headers(limits.headers_max)
        .max_buf_size(limits.head_bytes_max.max(MIN_BUFFER_BYTES));
    http
}

/// One connection to its end.
async fn run(connection: impl Future<Output = hyper::Result<()>>, peer: SocketAddr, place: Place) {
    let Err(error) = connection.await else { return };
    if error.is_parse_too_large() {
        place.metrics.refused(Limit::Head);
    } else if error.is_timeout() {
        place.metrics.refused(Limit::HeadTimeout);
    }
    tracing::debug!(%peer, %error, "connection ended");
}

/// A place among the connections; dropping it makes room for another.
struct Place {
    metrics: ServerMetrics,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn new(metrics: ServerMetrics, permit: OwnedSemaphorePermit) -> Self {
        metrics.connections.inc();
        Self { metrics, _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

/// To whom a client has shown its certificate.
#[derive(Clone)]
enum Shown {
    /// To us, in the handshake: headers are passed over.
    Here(Option<ClientCertificate>),
    /// To a proxy, which says so in headers.
    ToProxy,
    /// To nobody who is believed.
    No,
}

impl Shown {
    fn to_proxies(proxies: &[IpNet], peer: SocketAddr) -> Self {
        let address = peer.ip().to_canonical();
        if proxies.iter().any(|network| network.contains(&address)) {
            Self::ToProxy
        } else {
            Self::No
        }
    }

    fn of_request(&self, headers: &http::HeaderMap) -> Option<ClientCertificate> {
        match self {
            Self::Here(certificate) => certificate.clone(),
            Self::ToProxy => ClientCertificate::of_headers(headers),
            Self::No => None,
        }
    }
}

async fn accept(listener: &tokio::net::TcpListener) -> Option<(tokio::net::TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            // Out of file descriptors, or the peer went away: neither is a reason to stop serving.
            tracing::warn!(%error, "failed to accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

fn service_for(
    router: Router,
    peer: SocketAddr,
    shown: Shown,
    metrics: ServerMetrics,
) -> impl hyper::service::Service<
    hyper::Request<Incoming>,
    Response = hyper::Response<Body>,
    Error = Infallible,
    Future: Send,
> {
    service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        ClientCertificate::put(shown.of_request(request.headers()), &mut request);
        // Not as a layer of the router, which would have every request boxed and every route cloned once more.
        let entered = Entered::new(&mut request);
        let (router, metrics) = (router.clone(), metrics.clone());
        async move {
            let mut response = pin!(router.oneshot(request)).await?;
            entered.complete(&mut response);
            metrics.answered(&response);
            Ok(response)
        }
    })
}
