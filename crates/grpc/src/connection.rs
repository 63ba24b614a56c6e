//! One connection and all its calls, driven by one task.
//!
//! The order matters: first everything that arrived is taken in, then the calls run, then what they have answered
//! leaves in one write. A task for each call would be woken, scheduled and written for on its own.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream as _, future::BoxFuture, stream::FuturesUnordered};
use h2::{Reason, server::Connection};
use http::{HeaderMap, Method, StatusCode, header};
use lombard_chassis::{Context as RequestContext, Problem, context};
use lombard_proto::{Code, timeout};
use lombard_types::RequestId;
use tokio::{
    net::TcpStream,
    time::{Instant, Sleep},
};
use uuid::Uuid;

use crate::{
    Call,
    authentication::Authentication,
    call::Grant,
    health,
    keepalive::Keepalive,
    outgoing::Sink,
    problems,
    routes::{Accepted, Ended, Exchange, Route},
    server::Shared,
    status,
};

/// Calls that may run for each that the client may have open: those it cancelled may still be at work.
const RUNNING_FACTOR: usize = 2;

/// Why a connection ended, where the client is at fault or the system.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("it did not speak HTTP/2 in time")]
    Handshake,
    #[error("it does not answer")]
    Silent,
    #[error("it cancels calls faster than they can end")]
    TooManyCancelled,
    #[error(transparent)]
    Http(#[from] h2::Error),
}

/// Serves a connection until the client closes it, or everything under way has ended after the drain began.
pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>) -> Result<(), ConnectionError> {
    let limits = &shared.limits;
    let is_local = stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(limits.connection_calls_max)
        .max_header_list_size(limits.header_bytes_max)
        .initial_window_size(limits.call_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_send_buffer_size(limits.send_buffer_bytes_max)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_pending_accept_reset_streams(limits.resets_max)
        .max_concurrent_reset_streams(limits.resets_max)
        .max_local_error_reset_streams(Some(limits.resets_max));
    let handshake = tokio::time::timeout(limits.handshake(), builder.handshake(stream)).await;
    let mut connection = handshake.map_err(|_| ConnectionError::Handshake)??;
    let ping_pong = connection.ping_pong();
    let local_caller = shared.local_caller.clone().filter(|_| is_local);
    let peer = Arc::new(Peer {
        authentication: Authentication::new(shared.verifier.clone(), local_caller),
        id: Uuid::now_v7(),
        shared: Arc::clone(&shared),
    });
    let driver = Driver {
        connection,
        calls: FuturesUnordered::new(),
        calls_seen: 0,
        keepalive: ping_pong.map(|pings| Keepalive::new(pings, limits.keepalive())),
        draining: Box::pin(shared.drain.clone().cancelled_owned()),
        is_draining: false,
        idle: Box::pin(tokio::time::sleep(limits.idle())),
        peer,
    };
    driver.await
}

/// Larger frames are fewer to take apart; a client cannot send one larger than its window.
const FRAME_BYTES_MAX: u32 = 1 << 18;

/// What the calls of a connection share.
struct Peer {
    authentication: Authentication,
    /// The beginning of the ids of requests that have none of their own.
    id: Uuid,
    shared: Arc<Shared>,
}

struct Driver {
    connection: Connection<TcpStream, Bytes>,
    calls: FuturesUnordered<BoxFuture<'static, ()>>,
    calls_seen: u64,
    keepalive: Option<Keepalive>,
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_draining: bool,
    idle: Pin<Box<Sleep>>,
    peer: Arc<Peer>,
}

impl Future for Driver {
    type Output = Result<(), ConnectionError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if !this.is_draining && this.draining.poll_unpin(cx).is_ready() {
            this.close();
        }
        if let Some(keepalive) = &mut this.keepalive
            && keepalive.poll(cx).is_ready()
        {
            this.connection.abrupt_shutdown(Reason::NO_ERROR);
            return Poll::Ready(Err(ConnectionError::Silent));
        }
        loop {
            // Takes in what arrived, and sends what is to be sent.
            loop {
                match this.connection.poll_accept(cx) {
                    Poll::Ready(Some(accepted)) => this.take(accepted?)?,
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Pending => break,
                }
            }
            let mut is_any_done = false;
            while let Poll::Ready(Some(())) = pin!(&mut this.calls).poll_next(cx) {
                is_any_done = true;
            }
            if !is_any_done {
                break;
            }
        }
        if this.calls.is_empty() && !this.is_draining {
            if this.calls_seen > 0 {
                this.calls_seen = 0;
                this.idle.as_mut().reset(Instant::now() + this.peer.shared.limits.idle());
            }
            if this.idle.as_mut().poll(cx).is_ready() {
                this.close();
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

impl Driver {
    /// No new call; those under way go on.
    fn close(&mut self) {
        self.is_draining = true;
        self.connection.graceful_shutdown();
    }

    fn take(&mut self, accepted: Accepted) -> Result<(), ConnectionError> {
        self.calls_seen += 1;
        let limits = &self.peer.shared.limits;
        let open_max = usize::try_from(limits.connection_calls_max).unwrap_or(usize::MAX);
        if self.calls.len() >= open_max.saturating_mul(RUNNING_FACTOR) {
            self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            return Err(ConnectionError::TooManyCancelled);
        }
        self.calls.push(Box::pin(run(Arc::clone(&self.peer), accepted)));
        Ok(())
    }
}

/// Runs one call from its head to its trailers.
async fn run(peer: Arc<Peer>, (request, respond): Accepted) {
    let shared = &peer.shared;
    let limits = &shared.limits;
    let stream_id = respond.stream_id().as_u32();
    let sink = Sink::new(respond, limits.stall());
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        return sink.refuse(StatusCode::METHOD_NOT_ALLOWED);
    }
    if !is_grpc(&head.headers) {
        return sink.refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let _open = Open::new(shared);
    let request_id = request_id(&head.headers, peer.id, stream_id);
    let (bytes_max, call_max) = (limits.message_bytes_max, limits.call());
    let exchange = Exchange { body, sink, message_bytes_max: bytes_max, call_max };
    let path = head.uri.path();
    let Some(route) = shared.routes.get(path) else {
        let (ended, sink) = match path {
            health::CHECK => shared.health.check(exchange).await,
            health::WATCH => shared.health.watch(exchange, shared.drain.clone()).await,
            _ => (Ended::Problem(Problem::new(&problems::UNKNOWN_METHOD)), exchange.sink),
        };
        end(ended, sink, &request_id).await;
        return;
    };
    let (ended, sink) = match call(&peer, head.headers, &request_id).await {
        Ok(call) => (route.handler)(call, exchange).await,
        Err(problem) => (Ended::Problem(problem), exchange.sink),
    };
    let code = end(ended, sink, &request_id).await;
    route.metrics.ended(code);
}

/// `application/grpc`, alone or with a suffix that names the messages' encoding, which is theirs.
fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    let rest = media_type.and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest, b"" | b"+proto") || rest.starts_with(b";"))
}

/// The caller's id for the request, or one made of the connection's and the call's number on it: a new one for each
/// call would ask the system for randomness.
fn request_id(headers: &HeaderMap, connection: Uuid, stream_id: u32) -> RequestId {
    let given = headers.get(context::REQUEST_ID).and_then(|value| value.to_str().ok());
    given
        .and_then(|text| text.parse().ok())
        .or_else(|| format!("{connection}-{stream_id}").parse().ok())
        .unwrap_or_else(context::new_request_id)
}

/// What the handler is told, from the call's metadata.
async fn call(peer: &Peer, headers: HeaderMap, request_id: &RequestId) -> Result<Call, Problem> {
    if let Some(encoding) = headers.get("grpc-encoding")
        && encoding != "identity"
    {
        return Err(Problem::new(&problems::UNSUPPORTED_ENCODING)
            .detail("messages cannot be compressed: send them with grpc-encoding identity"));
    }
    let deadline = match headers.get("grpc-timeout") {
        None => None,
        Some(value) => {
            let timeout = value.to_str().ok().and_then(timeout::parse).ok_or_else(|| {
                Problem::new(&lombard_chassis::problems::INVALID_HEADER)
                    .detail("grpc-timeout: must be up to eight digits and one of H, M, S, m, u, n")
            })?;
            Some(Instant::now() + timeout)
        }
    };
    let (claims, generation) = peer.authentication.claims(&headers).await?;
    let traceparent = headers.get(context::TRACEPARENT).and_then(|value| value.to_str().ok());
    let traceparent = traceparent.filter(|text| context::is_traceparent(text)).map(Into::into);
    let context = RequestContext { request_id: request_id.clone(), traceparent };
    let verifier = peer.authentication.verifier().clone();
    let grant = Grant { verifier, headers: Arc::new(headers), generation };
    Ok(Call { context, claims, deadline, drain: peer.shared.drain.clone(), grant })
}

/// Says how the call ended.
async fn end(ended: Ended, sink: Sink, request_id: &RequestId) -> Code {
    let problem = match ended {
        Ended::Well => {
            // The client may have gone away; then nobody needs the answer.
            return match sink.finish(None).await {
                Ok(()) => Code::Ok,
                Err(_) => Code::Cancelled,
            };
        }
        Ended::Gone => {
            sink.reset();
            return Code::Cancelled;
        }
        Ended::Problem(problem) => problem,
    };
    let status = status::status(&problem, Some(request_id));
    match sink.finish(Some(&status)).await {
        Ok(()) => status.grpc_code(),
        Err(_) => Code::Cancelled,
    }
}

/// Counts a call while it is under way.
struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.metrics.calls_open.inc();
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.metrics.calls_open.dec();
    }
}

/// The methods by path.
pub(crate) type RouteTable = std::collections::BTreeMap<&'static str, Route>;
