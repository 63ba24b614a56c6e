//! Targets for Prometheus (HTTP service discovery).

use axum::extract::State;
use lombard_chassis::{Problem, Query};
use serde::Deserialize;

use super::{
    Api,
    answer::{Answer, Encoded},
    authority::Reader,
};

/// `?service=`: of this one only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    service: Option<String>,
}

/// `GET /prometheus-sd`.
pub(super) async fn get(
    State(api): State<Api>,
    _: Reader,
    Query(wanted): Query<Wanted>,
) -> Result<Answer<Encoded>, Problem> {
    api.reach_start().await?;
    let service = wanted.service.as_deref();
    let (body, end) = api.view.read_at(|view| view.prometheus_targets(service, &[]));
    Ok(Answer::ok(end.previous(), Encoded(body)))
}
