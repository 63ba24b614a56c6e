//! What is registered.

use std::time::{Duration, SystemTime};

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, header};
use lombard_chassis::{Path, Problem};
use lombard_registry_core::InstanceKey;
use lombard_types::Timestamp;

use super::definition::service_name;
use crate::{
    consul::{
        answer::{Refused, json},
        authority::Reader,
    },
    problem,
    rest::Api,
    view::eureka::Vip,
};

/// `GET /apps`.
pub(super) async fn all(
    State(api): State<Api>,
    _: Reader,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    accepts_json(&headers)?;
    api.reach_start().await?;
    Ok(json(api.view.read(|view| view.eureka_applications())))
}

/// Changes of this long are in a delta, as in Eureka: clients ask several times meanwhile.
const DELTA: Duration = Duration::from_secs(180);

/// `GET /apps/delta`.
pub(super) async fn delta(
    State(api): State<Api>,
    _: Reader,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    accepts_json(&headers)?;
    api.reach_start().await?;
    let since = Timestamp::from_system_time(SystemTime::now() - DELTA);
    Ok(json(api.view.read(|view| view.eureka_delta(since))))
}

/// `GET /apps/{app}`.
pub(super) async fn one(
    State(api): State<Api>,
    _: Reader,
    headers: HeaderMap,
    path: Path<String>,
) -> Result<Response, Refused> {
    accepts_json(&headers)?;
    api.reach_start().await?;
    let service = service_name(&path.0)?;
    let found = api.view.read(|view| view.eureka_application(&service));
    found.map(json).ok_or_else(|| not_found("application").into())
}

/// `GET /apps/{app}/{id}`.
pub(super) async fn instance(
    State(api): State<Api>,
    _: Reader,
    headers: HeaderMap,
    path: Path<(String, String)>,
) -> Result<Response, Refused> {
    accepts_json(&headers)?;
    let (app, id) = path.0;
    let instance = id.parse().map_err(|error| problem::invalid_path("id", error))?;
    let key = InstanceKey { service: service_name(&app)?, instance };
    api.eureka_instance_body(&key).await
}

/// `GET /instances/{id}`: of several applications' instances with this id, the first.
pub(super) async fn instance_by_id(
    State(api): State<Api>,
    _: Reader,
    headers: HeaderMap,
    path: Path<String>,
) -> Result<Response, Refused> {
    accepts_json(&headers)?;
    api.reach_start().await?;
    let id = path.0.parse().map_err(|error| problem::invalid_path("id", error))?;
    let keys = api.view.read(|view| view.instances_with_id(&id));
    let key = keys.first().ok_or_else(|| not_found("instance"))?;
    api.eureka_instance_body(key).await
}

/// `GET /vips/{vip}`.
pub(super) async fn by_vip(
    state: State<Api>,
    reader: Reader,
    headers: HeaderMap,
    path: Path<String>,
) -> Result<Response, Refused> {
    with_vip(state, reader, &headers, Vip::Plain(&path.0)).await
}

/// `GET /svips/{vip}`.
pub(super) async fn by_secure_vip(
    state: State<Api>,
    reader: Reader,
    headers: HeaderMap,
    path: Path<String>,
) -> Result<Response, Refused> {
    with_vip(state, reader, &headers, Vip::Secure(&path.0)).await
}

async fn with_vip(
    State(api): State<Api>,
    _: Reader,
    headers: &HeaderMap,
    vip: Vip<'_>,
) -> Result<Response, Refused> {
    accepts_json(headers)?;
    api.reach_start().await?;
    let found: Option<Bytes> = api.view.read(|view| view.eureka_with_vip(vip));
    found.map(json).ok_or_else(|| not_found("virtual address").into())
}

impl Api {
    async fn eureka_instance_body(&self, key: &InstanceKey) -> Result<Response, Refused> {
        self.reach_start().await?;
        let found = self.view.read(|view| view.eureka_instance(key));
        found.map(json).ok_or_else(|| not_found("instance").into())
    }
}

/// Old clients in Java ask for XML where nothing is configured.
fn accepts_json(headers: &HeaderMap) -> Result<(), Problem> {
    let accepted = headers.get_all(header::ACCEPT);
    let texts: Vec<&str> = accepted.iter().filter_map(|value| value.to_str().ok()).collect();
    let takes_it = |text: &&str| {
        text.contains("json") || text.contains("*/*") || text.contains("application/*")
    };
    if texts.is_empty() || texts.iter().any(takes_it) {
        return Ok(());
    }
    Err(Problem::new(&problem::NOT_ACCEPTABLE)
        .detail("ask for application/json: XML is not served"))
}

fn not_found(what: &'static str) -> Problem {
    Problem::new(&problem::INSTANCE_NOT_FOUND).detail(format!("there is no such {what}"))
}
