//! Sends a request to an upstream and says what became of it.
//!
//! A request is sent again only where that cannot do anything twice: no connection was made, or the connection gave the
//! request back untouched, or repeating it is safe by its method or its Idempotency-Key and its body is still there.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header, uri::Scheme,
};
use http_body::Body;
use hyper::{body::Incoming, client::conn::TrySendError};

use crate::{
    body::{Progress, RequestBody, RequestBodyError, ResponseBody, UnderWay, UpstreamBody},
    cluster::{Busy, Cluster, Endpoint, Outcome, Protocol},
    deadline::Deadline,
    pool::{Returning, Sender},
    problem::Failure,
    worker::Worker,
};

/// Before a try at an endpoint that was tried already.
const PAUSE: Duration = Duration::from_millis(50);

/// How a request is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) tries_max: usize,
    /// Answers that lead to another try.
    pub(crate) statuses: &'a [u16],
    /// How long the upstream may take, counted from the last byte it was sent.
    pub(crate) timeout: Duration,
    /// How long one instance may take where another one can be asked.
    pub(crate) try_timeout: Option<Duration>,
    pub(crate) body_bytes_max: u64,
    pub(crate) deadline: Option<Deadline>,
    /// Whether sending it twice does no harm.
    pub(crate) can_repeat: bool,
}

/// A try that ended without a response that is passed on.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for a moment, on the path that a request takes anyway"
)]
enum Missed {
    /// Nothing was sent; here is the request again.
    NotSent(Request<RequestBody>),
    /// The connection broke; some of the request may have been received.
    Broken,
    /// No response in the time of one try.
    Slow,
    /// For good.
    Failed(Failure),
}

/// Sends a request whose headers are already those for the upstream. `under_way` is dropped when the response has ended.
pub(crate) async fn forward(
    worker: &Worker,
    cluster: &Arc<Cluster>,
    mut request: Request<RequestBody>,
    rules: &Rules<'_>,
    under_way: Option<UnderWay>,
) -> Result<Response<ResponseBody>, Failure> {
    if cluster.transport.protocol == Protocol::Http1 {
        set_framing(&mut request);
    }
    let again = (rules.can_repeat && rules.tries_max > 1).then(|| Again::of(&request)).flatten();
    let mut tries = Tries { worker, cluster, rules, tried: Vec::new(), is_given_back: false };
    let mut failure = Failure::Unreachable { is_role: cluster.is_role() };
    let mut first_sent = None;
    for number in 0..rules.tries_max {
        if number > 0 && !tries.may_go_on().await {
            break;
        }
        let Some(busy) = cluster.choose(&tries.tried, tries.now(), worker.random.next()) else {
            break;
        };
        if tries.was_tried(&busy) && !tries.is_given_back {
            tokio::time::sleep(PAUSE).await;
        }
        let Some(mut sender) = tries.connection(&busy.0, number == 0).await else {
            tries.tried.push(Arc::clone(&busy.0));
            continue;
        };
        address(&mut request, &busy.0, sender.is_h2());
        if let Some(deadline) = rules.deadline {
            deadline.write(request.headers_mut());
        }
        let sent = Instant::now();
        let is_last = number + 1 == rules.tries_max;
        let spent = sent.saturating_duration_since(*first_sent.get_or_insert(sent));
        let patience = Patience::of(rules, spent, again.is_some() && !is_last);
        match send(&mut sender, request, rules, (sent, patience)).await {
            Ok(response) => {
                tries.answered(&busy, response.status(), sent.elapsed());
                match &again {
                    Some(again)
                        if !is_last
                            && rules.statuses.contains(&response.status().as_u16())
                            && cluster.take_retry() =>
                    {
                        tries.is_given_back = true;
                        tries.tried.push(Arc::clone(&busy.0));
                        worker.shared.metrics.retried();
                        request = again.request();
                    }
                    _ => return Ok(received(worker, response, sender, busy, under_way)),
                }
            }
            Err(Missed::NotSent(same)) => {
                // A connection that was closed while it waited says nothing of the instance.
                tries.is_given_back = true;
                request = same;
            }
            Err(Missed::Failed(failed)) => {
                tries.failed(&busy, failed);
                return Err(failed);
            }
            Err(Missed::Slow) => {
                failure = Failure::Timeout;
                tries.failed(&busy, failure);
                let Some(again) = &again else { return Err(failure) };
                tries.tried.push(Arc::clone(&busy.0));
                request = again.request();
            }
            Err(Missed::Broken) => {
                failure = Failure::Broken;
                tries.failed(&busy, failure);
                let Some(again) = &again else { return Err(failure) };
                tries.tried.push(Arc::clone(&busy.0));
                request = again.request();
            }
        }
    }
    Err(failure)
}

/// How long a try may take.
#[derive(Clone, Copy, Debug)]
struct Patience {
    timeout: Duration,
    /// Whether another instance is asked then.
    is_of_try: bool,
}

impl Patience {
    /// `spent`: what earlier tries took. The time of all tries together is that of the rules.
    fn of(rules: &Rules<'_>, spent: Duration, can_try_again: bool) -> Self {
        let left = rules.timeout.saturating_sub(spent);
        match rules.try_timeout.filter(|try_timeout| can_try_again && *try_timeout < left) {
            Some(timeout) => Self { timeout, is_of_try: true },
            None => Self { timeout: left, is_of_try: false },
        }
    }
}

/// The tries of one request.
struct Tries<'a> {
    worker: &'a Worker,
    cluster: &'a Cluster,
    rules: &'a Rules<'a>,
    tried: Vec<Arc<Endpoint>>,
    /// The next try is not one that the budget counts: it is counted already, or nothing was tried.
    is_given_back: bool,
}

impl Tries<'_> {
    fn now(&self) -> Duration {
        self.worker.shared.endpoints.clock.now()
    }

    fn was_tried(&self, busy: &Busy) -> bool {
        self.tried.iter().any(|endpoint| Arc::ptr_eq(endpoint, &busy.0))
    }

    /// Whether there may be another try: time is left, and the budget has room.
    async fn may_go_on(&mut self) -> bool {
        if self.rules.deadline.is_some_and(|deadline| deadline.left().is_zero()) {
            return false;
        }
        if std::mem::take(&mut self.is_given_back) {
            return true;
        }
        if !self.cluster.take_retry() {
            self.worker.shared.metrics.retry_refused();
            return false;
        }
        self.worker.shared.metrics.retried();
        true
    }

    async fn connection(&self, endpoint: &Endpoint, may_be_used: bool) -> Option<Sender> {
        if may_be_used && let Some(sender) = self.worker.pool.take(endpoint) {
            return Some(sender);
        }
        match self.worker.pool.connect(endpoint).await {
            Ok(sender) => Some(sender),
            Err(error) => {
                tracing::debug!(endpoint = &*endpoint.authority, %error, "failed to connect");
                self.cluster.record(endpoint, Outcome::Failed, self.now());
                None
            }
        }
    }

    fn answered(&self, busy: &Busy, status: http::StatusCode, latency: Duration) {
        let outcome = match status.as_u16() {
            // Not implemented: it is well, it only cannot do that.
            501 => Outcome::Answered { latency },
            502..=504 => Outcome::Unwell { latency, is_unserved: true },
            500..=599 => Outcome::Unwell { latency, is_unserved: false },
            _ => Outcome::Answered { latency },
        };
        self.cluster.record(&busy.0, outcome, self.now());
    }

    fn failed(&self, busy: &Busy, failure: Failure) {
        // What the client did wrong is not the instance's failure.
        if failure.upstream_kind().is_some() {
            self.cluster.record(&busy.0, Outcome::Failed, self.now());
        }
    }
}

/// Says to whom the request goes: in HTTP/1 by the Host header, in HTTP/2 by the target's authority.
fn address(request: &mut Request<RequestBody>, endpoint: &Endpoint, is_h2: bool) {
    if !is_h2 {
        request.headers_mut().insert(header::HOST, endpoint.host.clone());
        return;
    }
    *request.version_mut() = http::Version::HTTP_2;
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    let scheme = if endpoint.transport.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
    parts.scheme = Some(scheme);
    parts.authority = endpoint.host.to_str().ok().and_then(|host| host.parse().ok());
    // An authority that is none leaves the target without one, and the library refuses it.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
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

/// What a request is made of once more. Nearly none is, so headers are a list: a copy of the map would cost each of them more.
#[derive(Debug)]
pub(crate) struct Again {
    method: Method,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Again {
    /// Of a request whose body is still there.
    pub(crate) fn of(request: &Request<RequestBody>) -> Option<Self> {
        let headers = request.headers().iter();
        Some(Self {
            body: request.body().kept()?,
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: headers.map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }

    /// The same request.
    pub(crate) fn request(&self) -> Request<RequestBody> {
        let mut same = Request::new(RequestBody::whole(self.body.clone()));
        *same.method_mut() = self.method.clone();
        *same.uri_mut() = self.uri.clone();
        let headers = same.headers_mut();
        headers.reserve(self.headers.len());
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        same
    }
}

async fn send(
    sender: &mut Sender,
    request: Request<RequestBody>,
    rules: &Rules<'_>,
    (sent, patience): (Instant, Patience),
) -> Result<Response<Incoming>, Missed> {
    let progress = request.body().progress();
    progress.last.set(sent);
    let sending = sender.send(request);
    tokio::select! {
        biased;
        result = sending => result.map_err(|error| missed(rules, error, &progress)),
        failure = out_of_time(&progress, patience.timeout, rules.deadline) => Err(match failure {
            Failure::Timeout if patience.is_of_try => Missed::Slow,
            failure => Missed::Failed(failure),
        }),
    }
}

fn missed(
    rules: &Rules<'_>,
    mut error: TrySendError<Request<RequestBody>>,
    progress: &Progress,
) -> Missed {
    if let Some(request) = error.take_message() {
        return Missed::NotSent(request);
    }
    match progress.error.get() {
        Some(RequestBodyError::TooLarge) => {
            Missed::Failed(Failure::BodyTooLarge { bytes_max: rules.body_bytes_max })
        }
        Some(RequestBodyError::Incomplete) => Missed::Failed(Failure::BodyIncomplete),
        None => {
            tracing::debug!(error = %error.into_error(), "an upstream broke off");
            Missed::Broken
        }
    }
}

/// Ends when the body has not moved on for too long, or the caller does not wait any more.
async fn out_of_time(
    progress: &Rc<Progress>,
    timeout: Duration,
    deadline: Option<Deadline>,
) -> Failure {
    // When it was sent, at first: nothing can be late yet.
    let mut now = progress.last.get();
    loop {
        let rest = timeout.saturating_sub(now.saturating_duration_since(progress.last.get()));
        if rest.is_zero() {
            let is_stalled = progress.is_waiting.get();
            return if is_stalled { Failure::BodyStalled } else { Failure::Timeout };
        }
        let left = deadline.map_or(rest, Deadline::left);
        if left.is_zero() {
            return Failure::DeadlinePassed;
        }
        tokio::time::sleep_until((now + rest.min(left)).into()).await;
        now = Instant::now();
    }
}

fn received(
    worker: &Worker,
    response: Response<Incoming>,
    sender: Sender,
    busy: Busy,
    under_way: Option<UnderWay>,
) -> Response<ResponseBody> {
    let pool = Rc::clone(&worker.pool);
    let returning = Returning { pool, endpoint: Arc::clone(&busy.0), sender };
    let (mut parts, body) = response.into_parts();
    parts.version = http::Version::HTTP_11;
    // After an upgrade the connection is no HTTP any more.
    let is_tunnel = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    let returning = (!is_tunnel).then_some(returning);
    let body = UpstreamBody::new(body, returning, busy, under_way);
    Response::from_parts(parts, ResponseBody::Upstream(body))
}
