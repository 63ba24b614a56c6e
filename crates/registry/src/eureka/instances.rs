//! What instances say: registering, heartbeats, status.

use axum::{
    extract::{Query, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};
use lombard_chassis::{Path, Problem, extract::RawBody};
use lombard_registry_core::{
    Attributes, Command, Health, Instance, InstanceKey, Lease, LeaseId, Mode, Note,
};
use uuid::Uuid;

use super::{
    definition::{self, Definition, invalid, service_name},
    profile::PROFILE,
};
use crate::{
    consul::{answer::Refused, authority::Writer},
    problem,
    rest::Api,
};

type Parameters = Query<Vec<(String, String)>>;

/// `POST /apps/{app}`.
pub(super) async fn register(
    State(api): State<Api>,
    writer: Writer,
    path: Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Refused> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // Some clients say nothing, and mean JSON.
    let is_xml = media_type.is_some_and(|media_type| media_type.contains("xml"));
    let read = if is_xml { definition::read_xml } else { definition::read };
    let Definition { key, address, attributes, ttl, health } = read(&path.0, &body, &api.config)?;
    let evidence = writer.evidence_for(&key.service)?;
    let lease = Lease { id: new_id(), ttl, deregister_after_seconds: 0, is_permanent: false };
    let command = Command::Register { key, lease, address, attributes, health, evidence };
    let registered = api.submit(command).await;
    api.count("register", &registered);
    registered?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `PUT /apps/{app}/{id}`: a heartbeat, which may say a status. 404 says to register again.
pub(super) async fn renew(
    State(api): State<Api>,
    writer: Writer,
    path: Path<(String, String)>,
    query: Parameters,
) -> Result<Response, Refused> {
    let (key, instance) = api.eureka_instance(&writer, &path.0).await?;
    let renewed = api.renew(&key, instance.lease.id).await;
    api.count("renew", &renewed);
    renewed?;
    if let Some(status) = parameter(&query, "status") {
        api.eureka_report(&writer, key, &instance, definition::health(status)?).await?;
    }
    Ok(StatusCode::OK.into_response())
}

/// `DELETE /apps/{app}/{id}`.
pub(super) async fn cancel(
    State(api): State<Api>,
    writer: Writer,
    path: Path<(String, String)>,
) -> Result<Response, Refused> {
    let (key, _) = api.eureka_instance(&writer, &path.0).await?;
    let evidence = writer.evidence_for(&key.service)?;
    let command = Command::Deregister { key, is_admin: writer.is_admin(), evidence };
    let gone = api.submit(command).await;
    api.count("deregister", &gone);
    gone?;
    Ok(StatusCode::OK.into_response())
}

/// `PUT /apps/{app}/{id}/status?value=`: `OUT_OF_SERVICE` drains, and `UP` takes that back.
pub(super) async fn set_status(
    State(api): State<Api>,
    writer: Writer,
    path: Path<(String, String)>,
    query: Parameters,
) -> Result<Response, Refused> {
    let status = parameter(&query, "value").ok_or_else(|| invalid("value: must be there"))?;
    let health = definition::health(status)?;
    let (key, instance) = api.eureka_instance(&writer, &path.0).await?;
    if status == "OUT_OF_SERVICE" {
        let evidence = writer.evidence_for(&key.service)?;
        let (is_admin, note) = (writer.is_admin(), Note::default());
        api.submit(Command::Drain { key, is_admin, note, evidence }).await?;
    } else if instance.standing.mode == Mode::Draining {
        api.eureka_register_again(&writer, key, &instance, health).await?;
    } else {
        api.eureka_report(&writer, key, &instance, health).await?;
    }
    Ok(StatusCode::OK.into_response())
}

/// `DELETE /apps/{app}/{id}/status`: no more draining.
pub(super) async fn forget_status(
    State(api): State<Api>,
    writer: Writer,
    path: Path<(String, String)>,
    query: Parameters,
) -> Result<Response, Refused> {
    let health = parameter(&query, "value").map_or(Ok(Health::Passing), definition::health)?;
    let (key, instance) = api.eureka_instance(&writer, &path.0).await?;
    if instance.standing.mode == Mode::Draining {
        api.eureka_register_again(&writer, key, &instance, health).await?;
    }
    Ok(StatusCode::OK.into_response())
}

/// `PUT /apps/{app}/{id}/metadata?key=value`: adds to what is there.
pub(super) async fn set_metadata(
    State(api): State<Api>,
    writer: Writer,
    path: Path<(String, String)>,
    query: Parameters,
) -> Result<Response, Refused> {
    let (key, mut instance) = api.eureka_instance(&writer, &path.0).await?;
    let before = &instance.attributes;
    let added = query.iter().filter(|(key, _)| key != PROFILE);
    let added = added.map(|(key, value)| (key.as_str(), value.as_str()));
    let changed = Attributes::new(
        before.version(),
        before.tags(),
        before.metadata().chain(added),
        api.config.attribute_limits(),
    )
    .and_then(|changed| changed.in_zone(before.zone()))
    .map_err(|error| problem::from_attributes_error(&error))?;
    instance.attributes = changed.with_weight(before.weight()).with_check(before.check().cloned());
    let health = instance.standing.health;
    api.eureka_register_again(&writer, key, &instance, health).await?;
    Ok(StatusCode::OK.into_response())
}

fn new_id() -> LeaseId {
    LeaseId::from_u128(Uuid::new_v4().as_u128())
}

fn parameter<'a>(Query(pairs): &'a Parameters, name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

impl Api {
    /// The instance that a path names, if the caller may speak for it.
    async fn eureka_instance(
        &self,
        writer: &Writer,
        (app, id): &(String, String),
    ) -> Result<(InstanceKey, Instance), Problem> {
        self.reach_start().await?;
        let instance = id.parse().map_err(|error| problem::invalid_path("id", error))?;
        let key = InstanceKey { service: service_name(app)?, instance };
        writer.evidence_for(&key.service)?;
        let found = self.view.read(|view| view.services().instance(&key).cloned());
        let found = found.ok_or_else(|| Problem::new(&problem::INSTANCE_NOT_FOUND))?;
        if !writer.has_registered(&found) && !writer.is_admin() {
            return Err(Problem::new(&problem::NOT_REGISTRANT)
                .detail("only the client that registered an instance may speak for it"));
        }
        Ok((key, found))
    }

    async fn eureka_report(
        &self,
        writer: &Writer,
        key: InstanceKey,
        instance: &Instance,
        health: Health,
    ) -> Result<(), Problem> {
        if instance.standing.health == health {
            return Ok(());
        }
        let evidence = writer.evidence_for(&key.service)?;
        let (lease_id, note) = (instance.lease.id, Note::default());
        let reported = self.submit(Command::Report { key, lease_id, health, note, evidence }).await;
        self.count("report", &reported);
        reported.map(|_| ())
    }

    async fn eureka_register_again(
        &self,
        writer: &Writer,
        key: InstanceKey,
        instance: &Instance,
        health: Health,
    ) -> Result<(), Problem> {
        let evidence = writer.evidence_for(&key.service)?;
        let lease = Lease { id: new_id(), ..instance.lease };
        let (address, attributes) = (instance.address.clone(), instance.attributes.clone());
        self.submit(Command::Register { key, lease, address, attributes, health, evidence })
            .await?;
        Ok(())
    }
}
