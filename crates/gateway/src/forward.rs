//! Sends a request to an upstream and says what became of it.
//!
//! A request is sent again only where that cannot do anything twice: no connection was made, or the connection gave the
//! request back untouched, or the request only reads and has no body.

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use hyper::{body::Incoming, client::conn::TrySendError};

use crate::{
    body::{Progress, RequestBody, RequestBodyError, ResponseBody, UpstreamBody},
    endpoints::{Busy, Endpoint, Upstream},
    metrics::InFlight,
    pool::{Returning, Sender},
    problem::Failure,
    worker::Worker,
};

/// The first try and two more.
const TRIES_MAX: usize = 3;
/// Before a try at an endpoint that was tried already.
const PAUSE: Duration = Duration::from_millis(50);

/// A try that ended without a response.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for a moment, on the path that a request takes anyway"
)]
enum Missed {
    /// Nothing was sent; here is the request again.
    NotSent(Request<RequestBody>),
    /// The connection broke; some of the request may have been received.
    Broken,
    /// For good.
    Failed(Failure),
}

/// Sends a request whose headers are already those for the upstream.
pub(crate) async fn forward(
    worker: &Worker,
    upstream: &Upstream,
    mut request: Request<RequestBody>,
    is_safe: bool,
    in_flight: InFlight,
) -> Result<Response<ResponseBody>, Failure> {
    set_framing(&mut request);
    let again = (is_safe && request.body().is_end_stream()).then(|| without_body(&request));
    let mut tried: Vec<Arc<Endpoint>> = Vec::new();
    let mut failure = Failure::Unreachable { is_role: upstream.is_role };
    for number in 0..TRIES_MAX {
        let random = worker.random();
        let Some(busy) = worker.shared.endpoints.choose(upstream, &tried, random) else { break };
        if number > 0 {
            worker.shared.metrics.retried();
            if tried.iter().any(|endpoint| Arc::ptr_eq(endpoint, &busy.0)) {
                tokio::time::sleep(PAUSE).await;
            }
        }
        let Some(mut sender) = connection(worker, &busy.0, number == 0).await else {
            tried.push(Arc::clone(&busy.0));
            continue;
        };
        request.headers_mut().insert(header::HOST, busy.0.host.clone());
        match send(worker, &mut sender, request).await {
            Ok(response) => return Ok(received(worker, response, sender, busy, in_flight)),
            Err(Missed::NotSent(same)) => request = same,
            Err(Missed::Failed(failure)) => return Err(failure),
            Err(Missed::Broken) => {
                failure = Failure::Broken;
                let Some(again) = &again else { return Err(failure) };
                tried.push(Arc::clone(&busy.0));
                request = without_body(again);
            }
        }
    }
    Err(failure)
}

/// A body of unknown length is sent in chunks, whatever the method: without the header a GET's would be left out.
fn set_framing(request: &mut Request<RequestBody>) {
    let body = request.body();
    if !body.is_end_stream() && body.size_hint().exact().is_none() {
        request
            .headers_mut()
            .insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

fn without_body<B>(request: &Request<B>) -> Request<RequestBody> {
    let mut same = Request::new(RequestBody::empty());
    *same.method_mut() = request.method().clone();
    *same.uri_mut() = request.uri().clone();
    *same.headers_mut() = request.headers().clone();
    same
}

async fn connection(worker: &Worker, endpoint: &Endpoint, may_be_used: bool) -> Option<Sender> {
    if may_be_used && let Some(sender) = worker.pool.take(endpoint) {
        return Some(sender);
    }
    match worker.pool.connect(endpoint).await {
        Ok(sender) => {
            worker.shared.endpoints.connected(endpoint);
            Some(sender)
        }
        Err(error) => {
            tracing::debug!(endpoint = &*endpoint.authority, %error, "failed to connect");
            worker.shared.endpoints.connect_failed(endpoint);
            None
        }
    }
}

async fn send(
    worker: &Worker,
    sender: &mut Sender,
    request: Request<RequestBody>,
) -> Result<Response<Incoming>, Missed> {
    let progress = request.body().progress();
    let sending = sender.try_send_request(request);
    tokio::select! {
        result = sending => result.map_err(|error| missed(worker, error, &progress)),
        () = out_of_time(&progress, worker.config.response_timeout()) => {
            let is_stalled = progress.is_waiting.get();
            Err(Missed::Failed(if is_stalled { Failure::BodyStalled } else { Failure::Timeout }))
        }
    }
}

fn missed(
    worker: &Worker,
    mut error: TrySendError<Request<RequestBody>>,
    progress: &Progress,
) -> Missed {
    if let Some(request) = error.take_message() {
        return Missed::NotSent(request);
    }
    match progress.error.get() {
        Some(RequestBodyError::TooLarge) => {
            let bytes_max = worker.config.request_body_bytes_max;
            Missed::Failed(Failure::BodyTooLarge { bytes_max })
        }
        Some(RequestBodyError::Incomplete) => Missed::Failed(Failure::BodyIncomplete),
        None => {
            tracing::debug!(error = %error.into_error(), "an upstream broke off");
            Missed::Broken
        }
    }
}

/// Ends when the body has not moved on for this long.
async fn out_of_time(progress: &Rc<Progress>, timeout: Duration) {
    progress.last.set(std::time::Instant::now());
    loop {
        let rest = timeout.saturating_sub(progress.last.get().elapsed());
        if rest.is_zero() {
            return;
        }
        tokio::time::sleep(rest).await;
    }
}

fn received(
    worker: &Worker,
    response: Response<Incoming>,
    sender: Sender,
    busy: Busy,
    in_flight: InFlight,
) -> Response<ResponseBody> {
    let pool = Rc::clone(&worker.pool);
    let returning = Returning { pool, endpoint: Arc::clone(&busy.0), sender };
    let (mut parts, body) = response.into_parts();
    parts.version = http::Version::HTTP_11;
    let body = UpstreamBody::new(body, returning, busy, in_flight);
    Response::from_parts(parts, ResponseBody::Upstream(body))
}
