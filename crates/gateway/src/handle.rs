//! One request, from its head to its response: check, route, authorize, limit, forward.

use std::{cell::Cell, net::SocketAddr, rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use lombard_chassis::{Context, Problem, context::REQUEST_ID, problems};
use lombard_gateway_core::{NormalPath, OwnEndpoint, Refusal, RouteFamily};
use lombard_token::Claims;
use tower::ServiceExt;

use crate::{
    admin,
    body::{self, RequestBody, ResponseBody, UnderWay},
    client,
    cluster::Cluster,
    deadline::Deadline,
    forward::{Rules, copy, forward},
    headers,
    limits::{Caller, Permitted},
    metrics::Shed,
    mirror,
    plan::{Forwarding, Label, Plan},
    problem::{self, Failure},
    table::Table,
    worker::Worker,
};

/// Longest answer of the gateway's own endpoints.
const OWN_BYTES_MAX: usize = 4 << 20;
/// Longest body that is kept, so that it can be sent again or copied.
const KEPT_BYTES_MAX: u64 = 64 << 10;

/// Answers a request. `refusal`: why its bytes are not beyond doubt.
pub(crate) async fn handle(
    worker: &Rc<Worker>,
    peer: SocketAddr,
    refusal: Option<Refusal>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let start = Instant::now();
    let table = worker.shared.table.load_full();
    let exchange = Exchange {
        worker,
        table: &table,
        peer,
        start,
        context: Context::from_headers(request.headers()),
        label: Cell::new(Some(Label::Family(RouteFamily::None))),
    };
    let path = request.uri().path().to_owned();
    let answered = match refusal {
        Some(refusal) => Err(problem::from_wire_error(refusal.error)),
        None => Box::pin(exchange.answer(request)).await,
    };
    let mut response = answered.unwrap_or_else(|problem| {
        let request_id = exchange.context.request_id.as_str();
        let response = problem.to_response(Some(&path), Some(request_id));
        response.map(|body| ResponseBody::Own(Full::new(Bytes::from(body))))
    });
    if refusal.is_some() {
        worker.shared.metrics.framing_refused();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(id) = HeaderValue::from_str(exchange.context.request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    if table.adds_security_headers {
        headers::secure(response.headers_mut());
    }
    exchange.count(response.status());
    response
}

/// What belongs to one request.
struct Exchange<'a> {
    worker: &'a Rc<Worker>,
    table: &'a Table,
    peer: SocketAddr,
    start: Instant,
    context: Context,
    label: Cell<Option<Label>>,
}

impl Exchange<'_> {
    fn count(&self, status: StatusCode) {
        let metrics = &self.worker.shared.metrics;
        let took = self.start.elapsed();
        match self.label.take() {
            Some(Label::Route(policy)) => metrics.answered(&policy.counters, status, took),
            Some(Label::Family(family)) => {
                metrics.answered(self.worker.counters_of(family), status, took);
            }
            None => {}
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, Problem> {
        check_target(&request)?;
        let path = NormalPath::parse(request.uri().path()).map_err(problem::from_path_error)?;
        let (method, headers) = (request.method(), request.headers());
        let plan = Plan::of(self.table, path, method, headers).ok_or_else(problem::not_found)?;
        self.label.set(Some(plan.label()));
        match plan {
            Plan::Own(own) => self.own_endpoint(own, request).await,
            Plan::Forward(forwarding) => {
                let Some(cors) = &forwarding.policy.cors else {
                    return self.forward(&forwarding, request).await;
                };
                if let Some(preflight) = cors.preflight(request.method(), request.headers()) {
                    return Ok(preflight);
                }
                let origin = request.headers().get(header::ORIGIN).cloned();
                let answered = self.forward(&forwarding, request).await;
                let mut asked = http::HeaderMap::new();
                asked.extend(origin.map(|origin| (header::ORIGIN, origin)));
                let mut response =
                    answered.unwrap_or_else(|problem| self.refusal(&forwarding, &problem));
                cors.mark(&asked, response.headers_mut());
                Ok(response)
            }
        }
    }

    /// A problem as a page of another origin can read it.
    fn refusal(&self, forwarding: &Forwarding, problem: &Problem) -> Response<ResponseBody> {
        let request_id = self.context.request_id.as_str();
        let response = problem.to_response(Some(forwarding.path.as_str()), Some(request_id));
        response.map(|body| ResponseBody::Own(Full::new(Bytes::from(body))))
    }

    async fn forward(
        &self,
        forwarding: &Forwarding,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Problem> {
        let (worker, policy) = (self.worker, &forwarding.policy);
        let metrics = &worker.shared.metrics;
        let address =
            client::address(self.peer.ip(), request.headers(), &self.table.trusted_proxies);
        if !policy.allow.is_empty() && !policy.allow.iter().any(|network| network.contains(address))
        {
            return Err(problem::address_not_allowed());
        }
        if worker.in_flight.get() >= forwarding.priority().limit(worker.config.in_flight_max) {
            metrics.shed(Shed::Overloaded);
            return Err(problem::overloaded());
        }
        let in_flight = metrics.begin(&worker.in_flight);
        let deadline = Deadline::of(request.headers(), self.start)?;
        let claims = forwarding.authorize(worker, request.headers()).await?;
        let permitted = self.limit(forwarding, claims.as_deref(), address)?;
        let cluster = forwarding.target(worker)?;
        let admitted = cluster.admit(worker.shared.endpoints.clock.now()).map_err(|reason| {
            metrics.shed(Shed::CircuitOpen);
            problem::not_admitted(&cluster.name, reason)
        })?;
        check_length(policy.body_bytes_max, &request)?;
        if deadline.is_some_and(|deadline| deadline.left().is_zero()) {
            return Err(Failure::DeadlineBefore.problem(&cluster.name, true));
        }
        let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
        let can_repeat = can_repeat(&request);
        let mirrored = policy
            .mirror
            .as_ref()
            .filter(|mirror| worker.random() % 100 < u64::from(mirror.percent));
        let is_kept = mirrored.is_some() || (can_repeat && policy.retry.tries_max > 1);
        let mut request = self.to_upstream(forwarding, address, request)?;
        if let Some(claims) = &claims {
            worker.identity.write(policy.identity, claims, &cluster.name, request.headers_mut());
        }
        let request = self.keep_body(request, is_kept, policy.body_bytes_max).await?;
        if let Some(mirror) = mirrored
            && let Some(copy) = copy(&request)
        {
            mirror::send(worker, &mirror.target, copy);
        }
        let rules = Rules {
            tries_max: policy.retry.tries_max,
            statuses: &policy.retry.statuses,
            timeout: policy.timeout,
            body_bytes_max: policy.body_bytes_max,
            deadline,
            can_repeat,
        };
        let Permitted { running, headers: limit_headers } = permitted;
        let under_way = UnderWay { _in_flight: in_flight, _admitted: admitted, _running: running };
        let forwarded = Box::pin(forward(worker, &cluster, request, &rules, Some(under_way))).await;
        let mut response = forwarded.map_err(|failure| self.failed(&cluster, failure, is_safe))?;
        headers::to_client(response.headers_mut());
        if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        add_limit_headers(response.headers_mut(), limit_headers);
        Ok(response)
    }

    fn limit(
        &self,
        forwarding: &Forwarding,
        claims: Option<&Claims>,
        address: std::net::IpAddr,
    ) -> Result<Permitted, Problem> {
        let limits = &forwarding.policy.limits;
        if limits.is_empty() {
            return Ok(Permitted::default());
        }
        let caller = Caller { client: claims.map(|claims| &*claims.client_id), address };
        self.worker.shared.limits.admit(limits, caller).map_err(|exceeded| {
            self.worker.shared.metrics.shed(Shed::Limited);
            problem::limit_exceeded(&exceeded)
        })
    }

    fn to_upstream(
        &self,
        forwarding: &Forwarding,
        address: std::net::IpAddr,
        request: Request<Incoming>,
    ) -> Result<Request<RequestBody>, Problem> {
        let (mut parts, body) = request.into_parts();
        headers::to_upstream(&mut parts.headers, &self.context, address);
        let path = forwarding.path_for_upstream();
        let target = match parts.uri.query() {
            Some(query) => Uri::try_from(format!("{path}?{query}")),
            None => Uri::try_from(path),
        };
        // Both parts were taken from a target that was accepted.
        parts.uri = target.map_err(|_| problem::ambiguous("the target cannot be passed on"))?;
        parts.version = http::Version::HTTP_11;
        parts.extensions.clear();
        let body = RequestBody::new(body, forwarding.policy.body_bytes_max);
        Ok(Request::from_parts(parts, body))
    }

    /// A short body of known length is read before anything is sent, where it may be needed twice.
    async fn keep_body(
        &self,
        request: Request<RequestBody>,
        is_wanted: bool,
        bytes_max: u64,
    ) -> Result<Request<RequestBody>, Problem> {
        let length = http_body::Body::size_hint(request.body()).exact();
        let is_short = length.is_some_and(|length| length > 0 && length <= KEPT_BYTES_MAX);
        if !is_wanted || !is_short {
            return Ok(request);
        }
        let (parts, body) = request.into_parts();
        let timeout = self.worker.config.response_timeout();
        let bytes = body::read_whole(body, timeout).await.map_err(|error| {
            let failure = match error {
                body::ReadError::Stalled => Failure::BodyStalled,
                body::ReadError::Body(body::RequestBodyError::TooLarge) => {
                    Failure::BodyTooLarge { bytes_max }
                }
                body::ReadError::Body(body::RequestBodyError::Incomplete) => {
                    Failure::BodyIncomplete
                }
            };
            failure.problem("", true)
        })?;
        Ok(Request::from_parts(parts, RequestBody::whole(bytes)))
    }

    fn failed(&self, cluster: &Arc<Cluster>, failure: Failure, is_safe: bool) -> Problem {
        if let Some(kind) = failure.upstream_kind() {
            self.worker.shared.metrics.upstream_failed(kind);
            tracing::debug!(upstream = &*cluster.name, kind, "no response from an upstream");
        }
        failure.problem(&cluster.name, is_safe)
    }

    /// `/livez`, `/readyz`, for those on this machine `/metrics`, and what operators ask.
    async fn own_endpoint(
        &self,
        own: OwnEndpoint,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Problem> {
        if own == OwnEndpoint::Admin {
            let path = request.uri().path().to_owned();
            return admin::answer(self.worker, &path, &request).await;
        }
        if own == OwnEndpoint::Metrics && !self.peer.ip().to_canonical().is_loopback() {
            return Err(problem::not_found());
        }
        let mut inner = Request::new(axum::body::Body::empty());
        *inner.method_mut() = request.method().clone();
        *inner.uri_mut() = request.uri().clone();
        let answered = self.worker.operations.clone().oneshot(inner).await;
        let (parts, body) = answered.unwrap_or_else(|never| match never {}).into_parts();
        let body = Limited::new(body, OWN_BYTES_MAX).collect().await.map_err(|error| {
            tracing::error!(%error, "failed to answer an endpoint of the gateway's own");
            Problem::new(&problems::INTERNAL)
        })?;
        Ok(Response::from_parts(parts, ResponseBody::Own(Full::new(body.to_bytes()))))
    }
}

/// A target that names an authority must name that of the Host header (RFC 9112 section 3.2.2).
fn check_target(request: &Request<Incoming>) -> Result<(), Problem> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Problem::new(&problems::METHOD_NOT_ALLOWED));
    }
    let Some(authority) = request.uri().authority() else { return Ok(()) };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str())) {
        return Ok(());
    }
    Err(problem::ambiguous("the target's authority is not that of the Host header"))
}

/// Whether sending a request twice does no harm: by its method (RFC 9110 section 9.2.2), or since it says so itself.
fn can_repeat(request: &Request<Incoming>) -> bool {
    const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
    request.method().is_idempotent() || request.headers().contains_key(IDEMPOTENCY_KEY)
}

/// A body that says it is too long is refused before anything is sent.
fn check_length(bytes_max: u64, request: &Request<Incoming>) -> Result<(), Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max) {
        return Err(Failure::BodyTooLarge { bytes_max }.problem("", false));
    }
    Ok(())
}

/// What the limits say (draft-ietf-httpapi-ratelimit-headers); what an upstream says of its own stays beside it.
fn add_limit_headers(headers: &mut http::HeaderMap, limits: Vec<(HeaderValue, HeaderValue)>) {
    for (limit, policy) in limits {
        headers.append(HeaderName::from_static("ratelimit"), limit);
        headers.append(HeaderName::from_static("ratelimit-policy"), policy);
    }
}
