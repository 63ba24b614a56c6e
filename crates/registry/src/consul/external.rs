//! `/v1/catalog/register` and `/deregister`: services that somebody else registers and watches over, such as a monitor of
//! external ones. There is one node, so what is said of nodes is read over; a node alone is not registered.

use axum::{extract::State, response::Response};
use lombard_chassis::{Problem, extract::RawBody};
use lombard_registry_core::{Command, Health};

use super::{
    answer::{Refused, json},
    authority::Writer,
    definition::{self, Check, Definition, invalid},
    fields::{self, Fields},
};
use crate::rest::Api;

const DONE: &str = "true";

/// `PUT /v1/catalog/register`: a service, with or without its check, or its check alone.
pub(super) async fn register(
    State(api): State<Api>,
    writer: Writer,
    RawBody(body): RawBody,
) -> Result<Response, Refused> {
    let object = fields::object(&body)?;
    let fields = Fields::new(&object);
    let checks = Checks::read(&fields)?;
    let Some(service) = fields.object("service")? else {
        let id = checks.service_id.ok_or_else(|| invalid("Service: must be there, or a check with a ServiceID: nodes alone are not registered"))?;
        report(&api, &writer, id, checks.health).await?;
        return Ok(json(DONE));
    };
    let host = fields.text("address")?;
    let Definition { key, address, attributes, .. } =
        definition::read_external(&service, host, checks.id, &api.config)?;
    // Nobody is heard of it but by this: it lives until it is deregistered.
    let check = Check { ttl: None, deregister_after: None, health: checks.health, active: None };
    let registered = api.consul_register(&writer, key, address, attributes, check).await;
    api.count("register", &registered);
    registered?;
    Ok(json(DONE))
}

/// `PUT /v1/catalog/deregister`.
pub(super) async fn deregister(
    State(api): State<Api>,
    writer: Writer,
    RawBody(body): RawBody,
) -> Result<Response, Refused> {
    let object = fields::object(&body)?;
    let fields = Fields::new(&object);
    api.reach_start().await?;
    match (fields.text("serviceid")?, fields.text("checkid")?) {
        (Some(id), _) => {
            let (key, _) = api.instance_with_id(&writer, id)?;
            let evidence = writer.evidence_for(&key.service)?;
            let command = Command::Deregister { key, is_admin: writer.is_admin(), evidence };
            let gone = api.submit(command).await;
            api.count("deregister", &gone);
            gone?;
        }
        (None, Some(id)) => api.forget_check(&writer, id).await?,
        (None, None) => {
            return Err(invalid("ServiceID or CheckID: must be there: nodes are not served").into());
        }
    }
    Ok(json(DONE))
}

async fn report(api: &Api, writer: &Writer, id: &str, health: Health) -> Result<(), Problem> {
    api.reach_start().await?;
    let (key, instance) = api.instance_with_id(writer, id)?;
    let evidence = writer.evidence_for(&key.service)?;
    let (lease_id, note) = (instance.lease.id, Default::default());
    let reported = api.submit(Command::Report { key, lease_id, health, note, evidence }).await;
    api.count("report", &reported);
    reported.map(drop)
}

/// What all checks together say: the worst.
struct Checks<'a> {
    health: Health,
    id: Option<&'a str>,
    service_id: Option<&'a str>,
}

impl<'a> Checks<'a> {
    fn read(fields: &Fields<'a>) -> Result<Self, Problem> {
        let mut checks = fields.objects("checks")?;
        checks.extend(fields.object("check")?);
        let mut read = Self { health: Health::Passing, id: None, service_id: None };
        for check in &checks {
            // As Consul has it: what says nothing does not pass.
            let status = check.text("status")?.map_or(Ok(Health::Critical), definition::health)?;
            read.health = read.health.worse(status);
            read.id = read.id.or(check.text("checkid")?);
            read.service_id = read.service_id.or(check.text("serviceid")?);
        }
        Ok(read)
    }
}
