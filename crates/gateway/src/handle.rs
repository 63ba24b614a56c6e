//! One request, from its head to its response: check, route, authorize, limit, forward.

use std::{
    cell::{Cell, RefCell},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use lombard_chassis::{Context, Problem, context::REQUEST_ID, problems};
use lombard_gateway_core::{NormalPath, OwnEndpoint, Refusal, RouteFamily, WireError, is_host};
use lombard_token::Claims;
use lombard_types::Timestamp;
use tower::ServiceExt;

use crate::{
    admin,
    body::{self, RequestBody, ResponseBody, UnderWay},
    bound, client,
    cluster::{Cluster, Protocol},
    connection::Doubts,
    deadline::Deadline,
    forward::{Rules, copy, forward},
    headers,
    idempotency::{self, Done, Once},
    limits::{Caller, Permitted},
    metrics::Shed,
    mirror,
    plan::{Forwarding, Label, Plan},
    problem::{self, Failure},
    seen::{Seen, TimeText},
    table::Table,
    tunnel,
    worker::Worker,
};

/// Longest answer of the gateway's own endpoints.
const OWN_BYTES_MAX: usize = 4 << 20;
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// Longest body that is kept, so that it can be sent again or copied.
const KEPT_BYTES_MAX: u64 = 64 << 10;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
    /// The SHA-256 of the certificate that it has shown.
    pub(crate) certificate: Option<[u8; 32]>,
}

/// Answers a request. `refusal`: why its bytes are not beyond doubt. `doubts`: of a connection that may become a tunnel.
pub(crate) async fn handle(
    worker: &Rc<Worker>,
    peer: &Peer,
    refusal: Option<Refusal>,
    doubts: Option<Doubts>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let start = Instant::now();
    let table = worker.shared.table.load_full();
    let exchange = Exchange {
        worker,
        table: &table,
        peer,
        doubts,
        is_grpc: is_grpc(request.headers()),
        start,
        context: Context::from_headers_or(request.headers(), || worker.random.request_id()),
        label: Cell::new(Some(Label::Family(RouteFamily::None))),
        claims: RefCell::new(None),
        upstream: RefCell::new(None),
        refused: Cell::new(None),
        address: Cell::new(None),
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answered = match refusal {
        Some(refusal) => Err(problem::from_wire_error(refusal.error)),
        None => Box::pin(exchange.answer(request)).await,
    };
    let mut response = answered.unwrap_or_else(|problem| exchange.refusal(&path, &problem));
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
    exchange.tell(&method, &path, &response);
    exchange.count(response.status());
    response
}

/// What belongs to one request.
struct Exchange<'a> {
    worker: &'a Rc<Worker>,
    table: &'a Table,
    peer: &'a Peer,
    doubts: Option<Doubts>,
    is_grpc: bool,
    start: Instant,
    context: Context,
    label: Cell<Option<Label>>,
    claims: RefCell<Option<Arc<Claims>>>,
    upstream: RefCell<Option<Arc<Cluster>>>,
    /// The problem that it was refused with.
    refused: Cell<Option<&'static str>>,
    /// The client's, once it is known.
    address: Cell<Option<IpAddr>>,
}

/// A request that may be sent, and what counts it.
struct Admission {
    address: IpAddr,
    deadline: Option<Deadline>,
    claims: Option<Arc<Claims>>,
    cluster: Arc<Cluster>,
    limit_headers: Vec<(HeaderValue, HeaderValue)>,
    under_way: UnderWay,
}

/// Which bodies are read whole before they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeping {
    Nothing,
    /// Those that say that they are short.
    Short,
    All,
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
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        let plan = Plan::of(self.table, path, method, headers, authority);
        let plan = plan.ok_or_else(problem::not_found)?;
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
                let mut response = answered
                    .unwrap_or_else(|problem| self.refusal(forwarding.path.as_str(), &problem));
                cors.mark(&asked, response.headers_mut());
                Ok(response)
            }
        }
    }

    /// Tells the access log and the audit, where there are any.
    fn tell(&self, method: &Method, path: &str, response: &Response<ResponseBody>) {
        let shared = &self.worker.shared;
        let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let audit = shared.audit.as_ref().filter(|_| !is_read);
        if shared.access_log.is_none() && audit.is_none() {
            return;
        }
        let (claims, upstream) = (self.claims.borrow(), self.upstream.borrow());
        let label = self.label.take();
        let route = match &label {
            Some(Label::Route(policy)) => &*policy.name,
            Some(Label::Family(family)) => family.name(),
            None => "",
        };
        let answered = if upstream.is_some() { "forwarded" } else { "answered" };
        let position = response.headers().get("lombard-position");
        let seen = Seen {
            time: TimeText(Timestamp::from_system_time(std::time::SystemTime::now())),
            request_id: self.context.request_id.as_str(),
            traceparent: self.context.traceparent.as_deref(),
            address: self.address.get().unwrap_or_else(|| self.peer.address.ip()),
            method: method.as_str(),
            path,
            route,
            decision: self.refused.get().unwrap_or(answered),
            status: response.status().as_u16(),
            duration_us: u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX),
            upstream: upstream.as_ref().map(|upstream| &*upstream.name),
            client: claims.as_ref().map(|claims| &*claims.client_id),
            subject: claims.as_ref().map(|claims| &*claims.subject),
            token: claims.as_ref().map(|claims| &*claims.token_id),
            position: position.and_then(|position| position.to_str().ok()),
        };
        if let Some(log) = &shared.access_log {
            log.write(&seen);
        }
        if let Some(audit) = audit {
            audit.tell(&seen);
        }
        self.label.set(label);
    }

    /// A problem in the form that the caller reads: gRPC has one of its own.
    fn refusal(&self, path: &str, problem: &Problem) -> Response<ResponseBody> {
        self.refused.set(Some(problem.kind().slug));
        if self.is_grpc {
            let request_id = &self.context.request_id;
            let status = lombard_grpc::status::status(problem, Some(request_id));
            let mut response = Response::new(ResponseBody::Own(Full::new(Bytes::new())));
            // Headers alone, which are the trailers too.
            *response.headers_mut() = lombard_proto::trailers(Some(&status));
            response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
            return response;
        }
        let request_id = self.context.request_id.as_str();
        let response = problem.to_response(Some(path), Some(request_id));
        response.map(|body| ResponseBody::Own(Full::new(Bytes::from(body))))
    }

    async fn forward(
        &self,
        forwarding: &Forwarding,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Problem> {
        let admission = self.admit(forwarding, &request).await?;
        let limit_headers = admission.limit_headers.clone();
        let mut response = self.send(forwarding, admission, request).await?;
        add_limit_headers(response.headers_mut(), limit_headers);
        Ok(response)
    }

    /// Whether a request may be sent at all.
    async fn admit(
        &self,
        forwarding: &Forwarding,
        request: &Request<Incoming>,
    ) -> Result<Admission, Problem> {
        let (worker, policy) = (self.worker, &forwarding.policy);
        let (metrics, headers) = (&worker.shared.metrics, request.headers());
        let address = client::address(self.peer.address.ip(), headers, &self.table.trusted_proxies);
        self.address.set(Some(address));
        if !policy.allow.is_empty() && !policy.allow.iter().any(|network| network.contains(address))
        {
            return Err(problem::address_not_allowed());
        }
        if worker.in_flight.get() >= forwarding.priority().limit(worker.config.in_flight_max) {
            metrics.shed(Shed::Overloaded);
            return Err(problem::overloaded());
        }
        let in_flight = metrics.begin(&worker.in_flight);
        let deadline = Deadline::of(headers, self.start)?;
        let claims = forwarding.authorize(worker, headers).await?;
        if let Some(claims) = &claims {
            let asked = (request.method(), request.uri(), headers);
            bound::check(&worker.shared.verifiers, claims, self.peer, asked)?;
        }
        self.claims.replace(claims.clone());
        let permitted = self.limit(forwarding, claims.as_deref(), address)?;
        check_length(policy.body_bytes_max, request)?;
        let cluster = forwarding.target(worker)?;
        let admitted = cluster.admit(worker.shared.endpoints.clock.now()).map_err(|reason| {
            metrics.shed(Shed::CircuitOpen);
            problem::not_admitted(&cluster.name, reason)
        })?;
        if deadline.is_some_and(|deadline| deadline.left().is_zero()) {
            return Err(Failure::DeadlineBefore.problem(&cluster.name, true));
        }
        let Permitted { running, headers: limit_headers } = permitted;
        let under_way = UnderWay { _in_flight: in_flight, _admitted: admitted, _running: running };
        Ok(Admission { address, deadline, claims, cluster, limit_headers, under_way })
    }

    async fn send(
        &self,
        forwarding: &Forwarding,
        admission: Admission,
        mut request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, Problem> {
        let (worker, policy) = (self.worker, &forwarding.policy);
        let Admission { deadline, claims, cluster, under_way, .. } = admission;
        let is_safe = request.method().is_safe();
        let is_once = policy.keeps_idempotency && !is_safe;
        let asks_for_tunnel = self.doubts.is_some() && tunnel::is_asked(&request);
        let client = asks_for_tunnel.then(|| hyper::upgrade::on(&mut request));
        // Where the gateway keeps keys, the upstream knows nothing of them.
        let can_repeat = !asks_for_tunnel
            && (request.method().is_idempotent() || (!is_once && has_idempotency_key(&request)));
        let mirrored = policy
            .mirror
            .as_ref()
            .filter(|mirror| worker.random.next() % 100 < u64::from(mirror.percent));
        let keeping = if is_once {
            Keeping::All
        } else if mirrored.is_some() || (can_repeat && policy.retry.tries_max > 1) {
            Keeping::Short
        } else {
            Keeping::Nothing
        };
        let mut request = self.to_upstream(forwarding, admission.address, request)?;
        if let Some(claims) = &claims {
            worker.identity.write(policy.identity, claims, &cluster.name, request.headers_mut());
        }
        if asks_for_tunnel && cluster.transport.protocol == Protocol::Http1 {
            tunnel::mark(request.headers_mut());
        }
        if self.is_grpc {
            // What a server of gRPC asks for, to know that nothing on the way drops trailers.
            request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        }
        let request = self.keep_body(request, keeping, policy.body_bytes_max).await?;
        if let Some(mirror) = mirrored
            && let Some(copy) = copy(&request)
        {
            mirror::send(worker, &mirror.target, copy);
        }
        self.upstream.replace(Some(Arc::clone(&cluster)));
        let before = Instant::now();
        let sent = match &claims {
            Some(claims) if is_once => {
                let once = Once {
                    client: claims.client_id.clone(),
                    key: idempotency::key(request.headers())?.into(),
                    digest: idempotency::digest_of(&request).ok_or_else(problem::body_not_kept)?,
                    cluster: Arc::clone(&cluster),
                    policy: Arc::clone(policy),
                    deadline,
                };
                match once.run(worker, request, under_way).await? {
                    Done::Replayed(response) => return Ok(response),
                    Done::Sent(sent) => sent,
                }
            }
            _ => {
                let rules = Rules {
                    tries_max: policy.retry.tries_max,
                    statuses: &policy.retry.statuses,
                    timeout: policy.timeout,
                    body_bytes_max: policy.body_bytes_max,
                    deadline,
                    can_repeat,
                };
                Box::pin(forward(worker, &cluster, request, &rules, Some(under_way))).await
            }
        };
        let mut response = sent.map_err(|failure| self.failed(&cluster, failure, is_safe))?;
        headers::to_client(response.headers_mut());
        if policy.says_timing {
            self.add_timing(response.headers_mut(), before);
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.tunnel(client, response);
        }
        if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        Ok(response)
    }

    /// How long it took at the upstream and in all (W3C Server Timing). What the upstream says of itself stays.
    fn add_timing(&self, headers: &mut http::HeaderMap, before: Instant) {
        let milliseconds = |since: Instant| since.elapsed().as_secs_f64() * 1000.0;
        let (upstream, all) = (milliseconds(before), milliseconds(self.start));
        let text = format!("upstream;dur={upstream:.3}, total;dur={all:.3}");
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(HeaderName::from_static("server-timing"), value);
        }
    }

    /// Both sides agreed on another protocol: their bytes are passed on from now on.
    fn tunnel(
        &self,
        client: Option<OnUpgrade>,
        mut response: Response<ResponseBody>,
    ) -> Result<Response<ResponseBody>, Problem> {
        let upstream = hyper::upgrade::on(&mut response);
        let (parts, body) = response.into_parts();
        let (Some(client), Some(doubts), ResponseBody::Upstream(counted)) =
            (client, &self.doubts, body)
        else {
            return Err(problem::unexpected_upgrade());
        };
        doubts.becomes_tunnel();
        let idle = self.worker.config.tunnel_idle();
        self.worker.tasks.spawn_local(tunnel::run(client, upstream, counted, idle));
        let body = ResponseBody::Own(Full::new(Bytes::new()));
        let mut response = Response::from_parts(parts, body);
        tunnel::mark(response.headers_mut());
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
        let from = headers::From {
            address,
            scheme: if self.peer.is_tls { "https" } else { "http" },
            authority: parts.uri.authority().map(http::uri::Authority::as_str),
            random: &self.worker.random,
        };
        headers::to_upstream(&mut parts.headers, &self.context, &from);
        if let Some(thumbprint) = self.peer.certificate {
            headers::add_certificate(&mut parts.headers, &thumbprint);
        }
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

    /// A body that may be needed twice is read before anything is sent.
    async fn keep_body(
        &self,
        request: Request<RequestBody>,
        keeping: Keeping,
        bytes_max: u64,
    ) -> Result<Request<RequestBody>, Problem> {
        let length = http_body::Body::size_hint(request.body()).exact();
        let is_kept = match (keeping, length) {
            (_, Some(0)) | (Keeping::Nothing, _) | (Keeping::Short, None) => false,
            (Keeping::Short, Some(length)) => length <= KEPT_BYTES_MAX,
            (Keeping::All, _) => true,
        };
        if !is_kept {
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
            return admin::answer(self.worker, self.peer, &path, &request).await;
        }
        if own == OwnEndpoint::Metrics && !self.peer.address.ip().to_canonical().is_loopback() {
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
    if !is_host(authority.as_str().as_bytes()) {
        return Err(problem::from_wire_error(WireError::Host));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    // HTTP/2 names the host in the target, and may name it once more.
    if host.is_none() && request.version() == http::Version::HTTP_2 {
        return Ok(());
    }
    let host = host.filter(|_| another.is_none()).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str())) {
        return Ok(());
    }
    Err(problem::ambiguous("the target's authority is not that of the Host header"))
}

fn is_grpc(headers: &http::HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    media_type.is_some_and(|media_type| {
        media_type
            .strip_prefix(GRPC.as_bytes())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+") || rest.starts_with(b";"))
    })
}

/// A request that says that sending it twice does no harm.
fn has_idempotency_key(request: &Request<Incoming>) -> bool {
    request.headers().contains_key(HeaderName::from_static("idempotency-key"))
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
