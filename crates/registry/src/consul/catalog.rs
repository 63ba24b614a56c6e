//! `/v1/catalog`, `/v1/health` and `/v1/status`: finding services, also as blocking queries.

use axum::{extract::State, response::Response};
use lombard_chassis::{Path, Problem};
use lombard_types::ServiceName;

use super::{
    answer::{Indexed, Refused, json},
    authority::Reader,
    query::{self, ConsulQuery},
};
use crate::{
    rest::Api,
    view::{
        RegistryView,
        consul::{self, Filter},
    },
    watch::Topic,
};

/// `GET /v1/catalog/services`: wakes when a service or a tag comes or goes.
pub(super) async fn names(
    State(api): State<Api>,
    _: Reader,
    query: ConsulQuery,
) -> Result<Indexed, Refused> {
    query.block(&api, Topic::Names).await?;
    Ok(api.indexed(&Topic::Names, RegistryView::consul_names))
}

/// `GET /v1/catalog/service/{service}`: all instances, also those without traffic.
pub(super) async fn service(
    State(api): State<Api>,
    _: Reader,
    path: Path<String>,
    query: ConsulQuery,
) -> Result<Indexed, Refused> {
    let Some(name) = api.name(&path.0, &query).await? else { return Ok(api.nothing()) };
    let filter = query.filter();
    Ok(api.indexed(&Topic::Service(name.clone()), |view| view.consul_catalog(&name, &filter)))
}

/// `GET /v1/health/service/{service}`.
pub(super) async fn health(
    State(api): State<Api>,
    _: Reader,
    path: Path<String>,
    query: ConsulQuery,
) -> Result<Indexed, Refused> {
    let Some(name) = api.name(&path.0, &query).await? else { return Ok(api.nothing()) };
    let filter = query.filter();
    Ok(api.indexed(&Topic::Service(name.clone()), |view| view.consul_health(&name, &filter)))
}

/// `GET /v1/health/checks/{service}`.
pub(super) async fn checks(
    State(api): State<Api>,
    _: Reader,
    path: Path<String>,
    query: ConsulQuery,
) -> Result<Indexed, Refused> {
    let Some(name) = api.name(&path.0, &query).await? else { return Ok(api.nothing()) };
    Ok(api.indexed(&Topic::Service(name.clone()), |view| view.consul_checks(&name)))
}

/// `GET /v1/health/state/{state}`.
pub(super) async fn state(
    State(api): State<Api>,
    _: Reader,
    path: Path<String>,
    query: ConsulQuery,
) -> Result<Indexed, Refused> {
    let status = match path.0.as_str() {
        "any" => None,
        status @ ("passing" | "warning" | "critical") => Some(status),
        _ => {
            return Err(
                query::invalid("the state must be any, passing, warning or critical").into()
            );
        }
    };
    query.block(&api, Topic::Overall).await?;
    Ok(api.indexed(&Topic::Overall, |view| view.consul_checks_in_state(status)))
}

/// `GET /v1/registry/prometheus-sd`: as on the port of the role, for who is on this machine and has no token.
pub(super) async fn prometheus(
    State(api): State<Api>,
    _: Reader,
    query: ConsulQuery,
) -> Result<Response, Refused> {
    api.reach_start().await?;
    let Filter { tags, .. } = query.filter();
    let service = query.get("service").map(ToOwned::to_owned);
    Ok(json(api.view.read(|view| view.prometheus_targets(service.as_deref(), &tags))))
}

/// `GET /v1/catalog/nodes`.
pub(super) async fn nodes(State(api): State<Api>, _: Reader) -> Indexed {
    api.indexed(&Topic::Overall, |_| consul::nodes().to_string().into())
}

/// `GET /v1/catalog/datacenters`.
pub(super) async fn datacenters(_: Reader) -> Response {
    json(serde_json::json!([consul::DATACENTER]).to_string())
}

/// `GET /v1/status/leader`: whoever asks it wants to know that there is one.
pub(super) async fn leader(_: Reader) -> Response {
    json(LEADER)
}

/// `GET /v1/status/peers`.
pub(super) async fn peers(_: Reader) -> Response {
    json(format!("[{LEADER}]"))
}

const LEADER: &str = "\"127.0.0.1:8300\"";

impl Api {
    /// Waits as the query asks. `None` where the name is none that any service can have.
    async fn name(&self, text: &str, query: &ConsulQuery) -> Result<Option<ServiceName>, Problem> {
        let Ok(name) = text.parse::<ServiceName>() else {
            self.reach_start().await?;
            return Ok(None);
        };
        query.block(self, Topic::Service(name.clone())).await?;
        Ok(Some(name))
    }

    fn indexed(&self, topic: &Topic, body: impl FnOnce(&RegistryView) -> bytes::Bytes) -> Indexed {
        self.view.read(|view| Indexed { index: view.index_of(topic), body: body(view) })
    }

    fn nothing(&self) -> Indexed {
        self.indexed(&Topic::Overall, |_| bytes::Bytes::from_static(b"[]"))
    }
}
