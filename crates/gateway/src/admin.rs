//! `/v1/gateway`: what the gateway says of itself to operators, and how they change it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use lombard_chassis::{
    Problem,
    authenticate::{authenticate_unproved, insufficient_scope},
    problems,
};
use lombard_gateway_core::RouteFamily;
use serde_json::json;

use crate::{
    body::ResponseBody, bound, handle::Peer, metrics::RouteCounters, problem, worker::Worker,
};

/// The audience of tokens for it.
const RESOURCE: &str = "/v1/gateway";

/// Answers a request below `/v1/gateway`. All but the keys takes a token with `gateway:read` or `gateway:write`.
pub(crate) async fn answer(
    worker: &Worker,
    peer: &Peer,
    path: &str,
    request: &Request<Incoming>,
) -> Result<Response<ResponseBody>, Problem> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match path.strip_prefix(RESOURCE).unwrap_or_default() {
        // What the gateway says of callers can be checked by all who are told.
        "/jwks" if is_read => {
            return Ok(json_response(&json!({ "keys": [worker.identity.jwk()] })));
        }
        "/routes" | "/upstreams" | "/traffic" if !is_read => return Err(method_not_allowed()),
        "/reload" if *request.method() != Method::POST => return Err(method_not_allowed()),
        _ => {}
    }
    authorize(worker, peer, request, if is_read { "read" } else { "write" }).await?;
    match path.strip_prefix(RESOURCE).unwrap_or_default() {
        "/routes" => Ok(json_response(&json!({ "routes": routes(worker) }))),
        "/upstreams" => {
            let upstreams = worker.shared.endpoints.describe();
            Ok(json_response(&json!({ "upstreams": upstreams })))
        }
        "/traffic" => Ok(json_response(&traffic(worker))),
        "/reload" => {
            reload(worker).await?;
            let routes = worker.shared.table.load().policies.len();
            Ok(json_response(&json!({ "routes": routes })))
        }
        _ => Err(problem::not_found()),
    }
}

/// Reading a large configuration takes a while, in which this worker has other requests to serve.
async fn reload(worker: &Worker) -> Result<(), Problem> {
    let shared = Arc::clone(&worker.shared);
    match tokio::task::spawn_blocking(move || shared.reload()).await {
        Ok(reloaded) => reloaded.map_err(|error| problem::invalid_config(&error.mistakes)),
        Err(error) => {
            tracing::error!(%error, "failed to reload");
            Err(Problem::new(&problems::INTERNAL))
        }
    }
}

/// Whether the request has a token for an operation on the gateway.
pub(crate) async fn authorize(
    worker: &Worker,
    peer: &Peer,
    request: &Request<Incoming>,
    operation: &str,
) -> Result<(), Problem> {
    let (verifier, is_kept) = worker.shared.verifiers.of(RESOURCE);
    let claims = authenticate_unproved(&verifier, request.headers()).await?;
    if !is_kept {
        worker.shared.verifiers.keep(RESOURCE, verifier);
    }
    let asked = (request.method(), request.uri(), request.headers());
    bound::check(&worker.shared.verifiers, &claims, peer, asked)?;
    if claims.scope.permits("gateway", operation, None) {
        return Ok(());
    }
    Err(insufficient_scope(&format!("gateway:{operation}")))
}

fn routes(worker: &Worker) -> Vec<serde_json::Value> {
    let table = worker.shared.table.load();
    let rules = table.index.rules().iter();
    rules
        .zip(&table.policies)
        .zip(&table.config.route)
        .map(|((rule, policy), settings)| {
            let targets: Vec<&str> = policy.targets.iter().map(|target| &*target.name).collect();
            json!({
                "name": &*policy.name,
                "host": rule.host.to_string(),
                "path": rule.pattern.to_string(),
                "methods": rule.methods.iter().map(|method| &**method).collect::<Vec<_>>(),
                "upstreams": targets,
                "requests": policy.counters.total(),
                "settings": settings,
            })
        })
        .collect()
}

/// What was answered since the start, so that whoever asks twice knows the rate; and what goes on right now.
fn traffic(worker: &Worker) -> serde_json::Value {
    let counted = |name: &str, counters: &RouteCounters| {
        let answers: serde_json::Map<_, _> =
            counters.by_class().map(|(class, count)| (class.to_owned(), count.into())).collect();
        json!({ "name": name, "answers": answers })
    };
    let table = worker.shared.table.load();
    let routes = table.policies.iter().map(|policy| counted(&policy.name, &policy.counters));
    let families =
        RouteFamily::ALL.iter().map(|family| counted(family.name(), worker.counters_of(*family)));
    let shed: serde_json::Map<_, _> = worker
        .shared
        .metrics
        .shed_by_reason()
        .map(|(reason, count)| (reason.to_owned(), count.into()))
        .collect();
    json!({
        "routes": routes.chain(families).collect::<Vec<_>>(),
        "shed": shed,
        "in_flight": worker.shared.metrics.in_flight(),
        "upstreams": worker.shared.endpoints.describe(),
    })
}

fn method_not_allowed() -> Problem {
    Problem::new(&problems::METHOD_NOT_ALLOWED)
}

fn json_response(value: &serde_json::Value) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Own(Full::new(Bytes::from(value.to_string()))));
    *response.status_mut() = StatusCode::OK;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
