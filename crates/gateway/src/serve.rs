//! Serves one connection of a client to its end: TLS where it is asked for, then HTTP/1 or HTTP/2.

mod http1;

use std::{convert::Infallible, net::SocketAddr, pin::pin, rc::Rc, sync::Arc};

use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use lombard_chassis::CancellationToken;
use rustls::ServerConfig;
use tokio::net::TcpStream;

use crate::{
    connection::{Http1Stream, ReadStream, begins_h2},
    handle::{Peer, handle},
    local::LocalExecutor,
    tls,
    transport::Stream,
    worker::Worker,
};

/// Serves until the client ends it, or until what is under way is finished after `drain`.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    drain: CancellationToken,
) {
    // Without it a small response would wait for the acknowledgement of the one before.
    drop(stream.set_nodelay(true));
    // Apart, so that a connection does not hold for its whole life the memory that a handshake takes.
    let opening = Box::pin(open(stream, address, tls));
    let opened = tokio::select! {
        opened = tokio::time::timeout(worker.config.head_timeout(), opening) => opened,
        () = drain.cancelled() => return,
    };
    let opened = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            tracing::debug!(peer = %address, %error, "a connection was not opened");
            return;
        }
        Err(_) => {
            tracing::debug!(peer = %address, "a connection was not opened in time");
            return;
        }
    };
    let peer = Rc::new(opened.peer);
    let head_bytes_max = worker.config.head_bytes_max;
    let served = if opened.is_h2 {
        let clock = worker.shared.endpoints.clock;
        let stream = ReadStream::http2(opened.stream, opened.first, clock, head_bytes_max);
        Box::pin(serve_http2(&worker, stream, peer, &drain)).await
    } else {
        let stream = Http1Stream::new(opened.stream, opened.first, head_bytes_max);
        http1::serve(&worker, &stream, &peer, &drain).await
    };
    if let Err(error) = served {
        tracing::debug!(peer = %address, %error, "a connection ended");
    }
}

/// A connection whose protocol is known.
struct Opened {
    stream: Stream,
    first: Vec<u8>,
    is_h2: bool,
    peer: Peer,
}

async fn open(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
) -> std::io::Result<Opened> {
    let mut first = Vec::new();
    let Some(config) = tls else {
        let mut stream = Stream::Plain(stream);
        let is_h2 = begins_h2(&mut stream, &mut first).await?;
        let peer = Peer { address, is_tls: false, certificate: None };
        return Ok(Opened { stream, first, is_h2, peer });
    };
    let stream = tokio_rustls::TlsAcceptor::from(config).accept(stream).await?;
    let (_, session) = stream.get_ref();
    let is_h2 = tls::is_h2(session.alpn_protocol());
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = leaf.map(lombard_chassis::certificate_sha256);
    let peer = Peer { address, is_tls: true, certificate };
    Ok(Opened { stream: Stream::Tls(Box::new(stream.into())), first, is_h2, peer })
}

async fn serve_http2(
    worker: &Rc<Worker>,
    stream: ReadStream,
    peer: Rc<Peer>,
    drain: &CancellationToken,
) -> hyper::Result<()> {
    let of_requests = Rc::clone(worker);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (worker, peer) = (Rc::clone(&of_requests), Rc::clone(&peer));
        async move { Ok::<_, Infallible>(handle(&worker, &peer, None, None, request).await) }
    });
    let config = &worker.config;
    let head_bytes_max = u32::try_from(config.head_bytes_max).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(LocalExecutor)
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.http2_streams_max)
        .max_header_list_size(head_bytes_max)
        // Streams that the client resets before they were looked at, and that it makes us reset: more end the connection.
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(config.head_timeout())
        .keep_alive_timeout(config.head_timeout())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        served = &mut connection => return served,
        () = drain.cancelled() => {}
    }
    // GOAWAY: streams that are there go on, new ones find another connection.
    connection.as_mut().graceful_shutdown();
    connection.await
}

const RESETS_MAX: usize = 50;
/// Of one stream.
const SEND_BUFFER_BYTES: usize = 64 << 10;
