//! `/v1/agent/check`: an instance's word on itself, which also renews its lease.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use lombard_chassis::{Path, Problem, extract::RawBody};
use lombard_registry_core::{Attributes, Command, Health, Lease, Note, Ttl};

use super::{
    answer::Refused,
    authority::Writer,
    definition::{self, invalid},
    fields::{self, Fields},
    query::ConsulQuery,
};
use crate::{problem, rest::Api, view::consul::CHECK_ID};

/// `PUT /v1/agent/check/pass/{id}?note=`.
pub(super) async fn pass(
    State(api): State<Api>,
    writer: Writer,
    path: Path<String>,
    query: ConsulQuery,
) -> Result<Response, Refused> {
    api.consul_report(&writer, &path.0, Health::Passing, query.get("note")).await
}

/// `PUT /v1/agent/check/warn/{id}?note=`.
pub(super) async fn warn(
    State(api): State<Api>,
    writer: Writer,
    path: Path<String>,
    query: ConsulQuery,
) -> Result<Response, Refused> {
    api.consul_report(&writer, &path.0, Health::Warning, query.get("note")).await
}

/// `PUT /v1/agent/check/fail/{id}?note=`.
pub(super) async fn fail(
    State(api): State<Api>,
    writer: Writer,
    path: Path<String>,
    query: ConsulQuery,
) -> Result<Response, Refused> {
    api.consul_report(&writer, &path.0, Health::Critical, query.get("note")).await
}

/// `PUT /v1/agent/check/update/{id}`.
pub(super) async fn update(
    State(api): State<Api>,
    writer: Writer,
    path: Path<String>,
    RawBody(body): RawBody,
) -> Result<Response, Refused> {
    let object = fields::object(&body)?;
    let fields = Fields::new(&object);
    let status = fields.text("status")?.ok_or_else(|| invalid("Status: must be there"))?;
    api.consul_report(&writer, &path.0, definition::health(status)?, fields.text("output")?).await
}

/// `PUT /v1/agent/check/register`: a check for a service that has none, or another one for it.
pub(super) async fn register(
    State(api): State<Api>,
    writer: Writer,
    RawBody(body): RawBody,
) -> Result<Response, Refused> {
    let object = fields::object(&body)?;
    let fields = Fields::new(&object);
    let id = fields.text("serviceid")?;
    let id =
        id.ok_or_else(|| invalid("ServiceID: must be there; checks of nodes are not served"))?;
    let (check, check_id) = definition::read_check(&fields, &api.config)?;
    let check_id = check_id.or(fields.text("name")?);
    api.reach_start().await?;
    let (key, mut instance) = api.instance_with_id(&writer, id)?;
    let attributes = &instance.attributes;
    let metadata = attributes.metadata().filter(|(name, _)| *name != CHECK_ID);
    instance.attributes = Attributes::new(
        attributes.version(),
        attributes.tags(),
        metadata.chain(check_id.map(|id| (CHECK_ID, id))),
        api.config.attribute_limits(),
    )
    .and_then(|changed| changed.in_zone(attributes.zone()))
    .map_err(|error| problem::from_attributes_error(&error))?
    .with_weight(attributes.weight())
    .with_check(check.active.clone());
    instance.standing.health = check.health;
    api.consul_register_again(&writer, key, &instance, api.lease_of(&check)).await?;
    Ok(().into_response())
}

/// `PUT /v1/agent/check/deregister/{id}`: the service lives until it is deregistered, then.
pub(super) async fn deregister(
    State(api): State<Api>,
    writer: Writer,
    path: Path<String>,
) -> Result<Response, Refused> {
    api.reach_start().await?;
    api.forget_check(&writer, &path.0).await?;
    Ok(().into_response())
}

impl Api {
    pub(super) async fn forget_check(&self, writer: &Writer, id: &str) -> Result<(), Problem> {
        let (key, mut instance) = self.instance_with_check(writer, id)?;
        instance.standing.health = Health::Passing;
        instance.attributes = instance.attributes.with_check(None);
        let lease = Lease { is_permanent: true, ttl: Ttl::MAX, ..instance.lease };
        self.consul_register_again(writer, key, &instance, lease).await
    }

    async fn consul_report(
        &self,
        writer: &Writer,
        check_id: &str,
        health: Health,
        note: Option<&str>,
    ) -> Result<Response, Refused> {
        let reported = self.report_by_check(writer, check_id, health, note).await;
        self.count("report", &reported);
        reported?;
        Ok(().into_response())
    }

    async fn report_by_check(
        &self,
        writer: &Writer,
        check_id: &str,
        health: Health,
        note: Option<&str>,
    ) -> Result<(), Problem> {
        self.reach_start().await?;
        let (key, instance) = self.instance_with_check(writer, check_id)?;
        let evidence = writer.evidence_for(&key.service)?;
        if !writer.has_registered(&instance) && !writer.is_admin() {
            return Err(Problem::new(&problem::NOT_REGISTRANT)
                .detail("only the client that registered an instance may speak for it"));
        }
        if instance.attributes.check().is_some() {
            return Err(invalid("the check has no TTL: the registry makes it itself"));
        }
        let lease_id = instance.lease.id;
        self.renew(&key, lease_id).await?;
        // Consul's notes have no grammar: what does not fit is left out.
        let note: Note = note.and_then(|note| note.parse().ok()).unwrap_or_default();
        let is_new = instance.standing.health != health || instance.standing.note != note;
        if is_new {
            self.submit(Command::Report { key, lease_id, health, note, evidence }).await?;
        }
        Ok(())
    }
}
