//! `/v1/agent`: registering, and what is registered.

use std::net::SocketAddr;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use lombard_chassis::{Path, Problem, extract::RawBody};
use lombard_registry_core::{
    Address, Attributes, Command, Health, Instance, InstanceKey, Lease, LeaseId, Mode, Note, Ttl,
};
use uuid::Uuid;

use super::{
    answer::{Refused, json},
    authority::{Reader, Writer},
    definition::{self, Check, Definition, whole_seconds},
    fields::{self, Fields},
    query::{self, ConsulQuery},
};
use crate::{rest::Api, view::consul};

/// `GET /v1/agent/self`.
pub(super) async fn about(_: Reader) -> Response {
    json(consul::agent_self().to_string())
}

/// `GET /v1/agent/services`: there is one agent, so all of them.
pub(super) async fn services(State(api): State<Api>, _: Reader) -> Result<Response, Refused> {
    api.reach_start().await?;
    Ok(json(api.view.read(|view| view.consul_agent_services())))
}

/// `GET /v1/agent/checks`.
pub(super) async fn checks(State(api): State<Api>, _: Reader) -> Result<Response, Refused> {
    api.reach_start().await?;
    Ok(json(api.view.read(|view| view.consul_agent_checks())))
}

/// `PUT /v1/agent/service/register`.
pub(super) async fn register(
    State(api): State<Api>,
    writer: Writer,
    RawBody(body): RawBody,
) -> Result<Response, Refused> {
    let object = fields::object(&body)?;
    let peer = writer.peer.as_ref().map(SocketAddr::ip);
    let Definition { key, address, attributes, check } =
        definition::read(&Fields::new(&object), peer, &api.config)?;
    let registered = api.consul_register(&writer, key, address, attributes, check).await;
    api.count("register", &registered);
    registered?;
    Ok(().into_response())
}

/// `PUT /v1/agent/service/deregister/{id}`.
pub(super) async fn deregister(
    State(api): State<Api>,
    writer: Writer,
    path: Path<String>,
) -> Result<Response, Refused> {
    api.reach_start().await?;
    let (key, _) = api.instance_with_id(&writer, &path.0)?;
    let evidence = writer.evidence_for(&key.service)?;
    let command = Command::Deregister { key, is_admin: writer.is_admin(), evidence };
    let gone = api.submit(command).await;
    api.count("deregister", &gone);
    gone?;
    Ok(().into_response())
}

/// `PUT /v1/agent/service/maintenance/{id}?enable=&reason=`: administrators take out and put back; the client that
/// registered an instance drains it and has it served again.
pub(super) async fn maintenance(
    State(api): State<Api>,
    writer: Writer,
    path: Path<String>,
    query: ConsulQuery,
) -> Result<Response, Refused> {
    if query.get("enable").is_none() {
        return Err(query::invalid("enable: must be true or false").into());
    }
    let is_out = query.flag("enable");
    api.reach_start().await?;
    let (key, instance) = api.instance_with_id(&writer, &path.0)?;
    let evidence = writer.evidence_for(&key.service)?;
    // Consul's reasons have no grammar: what does not fit into a note is left out.
    let note: Note = query.get("reason").and_then(|note| note.parse().ok()).unwrap_or_default();
    let is_admin = writer.is_admin();
    if is_admin {
        api.submit(Command::Maintain { key, is_out, note, evidence }).await?;
    } else if is_out {
        api.submit(Command::Drain { key, is_admin, note, evidence }).await?;
    } else if instance.standing.mode == Mode::Draining {
        api.consul_register_again(&writer, key, &instance, instance.lease).await?;
    }
    Ok(().into_response())
}

impl Api {
    pub(super) async fn consul_register(
        &self,
        writer: &Writer,
        key: InstanceKey,
        address: Address,
        attributes: Attributes,
        check: Check,
    ) -> Result<(), Problem> {
        let evidence = writer.evidence_for(&key.service)?;
        let health = check.health;
        let lease = self.lease_of(&check);
        self.submit(Command::Register { key, lease, address, attributes, health, evidence })
            .await?;
        Ok(())
    }

    /// A new lease for what a check asks for. As in Consul, what lapses stays, unless it is said for how long.
    pub(super) fn lease_of(&self, check: &Check) -> Lease {
        let longest = self.config.deregister_after_seconds_max;
        let after = check.deregister_after.map_or(longest, |after| {
            u32::try_from(whole_seconds(after)).unwrap_or(longest).min(longest)
        });
        Lease {
            id: LeaseId::from_u128(Uuid::new_v4().as_u128()),
            ttl: check.ttl.unwrap_or(Ttl::MAX),
            deregister_after_seconds: after,
            is_permanent: check.ttl.is_none(),
        }
    }

    /// The same instance under another lease, served again if it was draining.
    pub(super) async fn consul_register_again(
        &self,
        writer: &Writer,
        key: InstanceKey,
        instance: &Instance,
        lease: Lease,
    ) -> Result<(), Problem> {
        let evidence = writer.evidence_for(&key.service)?;
        let id = LeaseId::from_u128(Uuid::new_v4().as_u128());
        let (address, attributes) = (instance.address.clone(), instance.attributes.clone());
        let (health, lease): (Health, Lease) = (instance.standing.health, Lease { id, ..lease });
        self.submit(Command::Register { key, lease, address, attributes, health, evidence })
            .await?;
        Ok(())
    }
}
