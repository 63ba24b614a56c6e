//! One request, from its head to its response: check, route, authorize, forward.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use lombard_chassis::{
    Context, Problem,
    authenticate::{authenticate, insufficient_scope},
    context::REQUEST_ID,
    problems,
};
use lombard_gateway_core::{Access, NormalPath, OwnEndpoint, Refusal, Route, RouteFamily, Target};
use tower::ServiceExt;

use crate::{
    body::{RequestBody, ResponseBody},
    endpoints::Upstream,
    forward::forward,
    headers,
    problem::{self, Failure},
    worker::Worker,
};

/// Longest answer of the gateway's own endpoints.
const OWN_BYTES_MAX: usize = 4 << 20;

/// Answers a request. `refusal`: why its bytes are not beyond doubt.
pub(crate) async fn handle(
    worker: &Worker,
    peer: SocketAddr,
    refusal: Option<Refusal>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let start = Instant::now();
    let context = Context::from_headers(request.headers());
    let path = request.uri().path().to_owned();
    let mut family = RouteFamily::None;
    let answered = match refusal {
        Some(refusal) => Err(problem::from_wire_error(refusal.error)),
        None => Box::pin(answer(worker, peer, &context, request, &mut family)).await,
    };
    let mut response = answered.unwrap_or_else(|problem| {
        let response = problem.to_response(Some(&path), Some(context.request_id.as_str()));
        response.map(|body| ResponseBody::Own(Full::new(Bytes::from(body))))
    });
    if refusal.is_some() {
        worker.shared.metrics.framing_refused();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(id) = HeaderValue::from_str(context.request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    worker.shared.metrics.answered(family, response.status(), start.elapsed());
    response
}

async fn answer(
    worker: &Worker,
    peer: SocketAddr,
    context: &Context,
    request: Request<Incoming>,
    family: &mut RouteFamily,
) -> Result<Response<ResponseBody>, Problem> {
    check_target(&request)?;
    let path = NormalPath::parse(request.uri().path()).map_err(problem::from_path_error)?;
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let route = Route::of(&path, is_safe).ok_or_else(problem::not_found)?;
    *family = route.family();
    if let Target::Own(own) = route.target {
        return own_endpoint(worker, peer, own, request).await;
    }
    authorize(worker, &request, &route.access).await?;
    let upstream = upstream_of(worker, &route.target)?;
    check_length(worker, &request)?;
    let request = to_upstream(worker, peer, context, &route, request)?;
    let in_flight = worker.shared.metrics.begin();
    let forwarded = Box::pin(forward(worker, &upstream, request, is_safe, in_flight)).await;
    let mut response = forwarded.map_err(|failure| failed(worker, &upstream, failure, is_safe))?;
    headers::to_client(response.headers_mut());
    if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    Ok(response)
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

async fn authorize(
    worker: &Worker,
    request: &Request<Incoming>,
    access: &Access,
) -> Result<(), Problem> {
    let Access::Token { resource, required } = access else { return Ok(()) };
    let (verifier, is_kept) = worker.shared.verifiers.of(resource);
    let claims = authenticate(&verifier, request.headers()).await?;
    if !is_kept {
        worker.shared.verifiers.keep(resource, verifier);
    }
    if required.is_met_by(&claims) {
        return Ok(());
    }
    Err(insufficient_scope(&required.scope()))
}

fn upstream_of(worker: &Worker, target: &Target) -> Result<Arc<Upstream>, Problem> {
    match target {
        Target::Role(role) => worker.shared.endpoints.role(*role).ok_or_else(problem::not_found),
        Target::Service(service) => {
            worker.shared.endpoints.service(service).ok_or_else(|| problem::no_instances(service))
        }
        Target::Own(_) => Err(problem::not_found()),
    }
}

/// A body that says it is too long is refused before anything is sent.
fn check_length(worker: &Worker, request: &Request<Incoming>) -> Result<(), Problem> {
    let bytes_max = worker.config.request_body_bytes_max;
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max) {
        return Err(Failure::BodyTooLarge { bytes_max }.problem("", false));
    }
    Ok(())
}

fn to_upstream(
    worker: &Worker,
    peer: SocketAddr,
    context: &Context,
    route: &Route,
    request: Request<Incoming>,
) -> Result<Request<RequestBody>, Problem> {
    let (mut parts, body) = request.into_parts();
    headers::to_upstream(&mut parts.headers, context, peer.ip());
    let target = match parts.uri.query() {
        Some(query) => Uri::try_from(format!("{}?{query}", route.path)),
        None => Uri::try_from(&*route.path),
    };
    // Both parts were taken from a target that was accepted.
    parts.uri = target.map_err(|_| problem::ambiguous("the target cannot be passed on"))?;
    parts.version = http::Version::HTTP_11;
    parts.extensions.clear();
    let body = RequestBody::new(body, worker.config.request_body_bytes_max);
    Ok(Request::from_parts(parts, body))
}

fn failed(worker: &Worker, upstream: &Upstream, failure: Failure, is_safe: bool) -> Problem {
    if let Some(kind) = failure.upstream_kind() {
        worker.shared.metrics.upstream_failed(kind);
        tracing::debug!(upstream = &*upstream.name, kind, "no response from an upstream");
    }
    failure.problem(&upstream.name, is_safe)
}

/// `/livez`, `/readyz`, and for those on this machine `/metrics`.
async fn own_endpoint(
    worker: &Worker,
    peer: SocketAddr,
    own: OwnEndpoint,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Problem> {
    if own == OwnEndpoint::Metrics && !peer.ip().to_canonical().is_loopback() {
        return Err(problem::not_found());
    }
    let mut inner = Request::new(axum::body::Body::empty());
    *inner.method_mut() = request.method().clone();
    *inner.uri_mut() = request.uri().clone();
    let answered = worker.operations.clone().oneshot(inner).await;
    let (parts, body) = answered.unwrap_or_else(|never| match never {}).into_parts();
    let body = Limited::new(body, OWN_BYTES_MAX).collect().await.map_err(|error| {
        tracing::error!(%error, "failed to answer an endpoint of the gateway's own");
        Problem::new(&problems::INTERNAL)
    })?;
    Ok(Response::from_parts(parts, ResponseBody::Own(Full::new(body.to_bytes()))))
}
