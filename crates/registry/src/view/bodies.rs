//! What readers are sent, as JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use lombard_registry_core::{Check, Instance, Question, Service, Services, Weight};
use lombard_types::{InstanceId, ServiceName};
use serde::Serialize;

use super::{
    encoded::Encoded,
    history::{Change, History},
};

#[derive(Serialize)]
struct ServicesBody<'a> {
    index: u64,
    services: Vec<ServiceSummary<'a>>,
}

#[derive(Serialize)]
struct ServiceSummary<'a> {
    service: &'a str,
    instance_count: usize,
    /// Those that take traffic.
    serving_count: usize,
    index: u64,
}

#[derive(Serialize)]
struct ServiceBody<'a> {
    service: &'a str,
    index: u64,
    instances: Vec<InstanceBody<'a>>,
}

#[derive(Serialize)]
struct InstanceBody<'a> {
    instance: &'a str,
    url: String,
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    #[serde(skip_serializing_if = "is_usual")]
    weight: u16,
    tags: Vec<&'a str>,
    metadata: BTreeMap<&'a str, &'a str>,
    registered_at: String,
    /// `starting`, `passing`, `warning`, `critical`, `unknown`, `draining` or `maintenance`.
    state: &'static str,
    /// Served on what was known earlier.
    #[serde(skip_serializing_if = "is_false")]
    stale: bool,
    /// Kept away from traffic because it goes up and down.
    #[serde(skip_serializing_if = "is_false")]
    damped: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<CheckBody<'a>>,
}

/// A check that the registry makes itself.
#[derive(Serialize)]
struct CheckBody<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    /// Where it is made, if not at the instance's own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    interval_ms: u32,
    timeout_ms: u32,
    successes_min: u8,
    failures_min: u8,
}

impl<'a> From<&'a Check> for CheckBody<'a> {
    fn from(check: &'a Check) -> Self {
        let (path, service) = match &check.question {
            Question::Http { path } => (Some(path.as_str()), None),
            Question::Tcp => (None, None),
            Question::Grpc { service } => (None, Some(service.as_str())),
        };
        Self {
            r#type: check.question.name(),
            path,
            service: service.filter(|service| !service.is_empty()),
            at: check.at.as_ref().map(ToString::to_string),
            interval_ms: check.interval_ms,
            timeout_ms: check.timeout_ms,
            successes_min: check.successes_min,
            failures_min: check.failures_min,
        }
    }
}

#[derive(Serialize)]
struct HistoryBody<'a> {
    service: &'a str,
    changes: Vec<ChangeBody<'a>>,
}

#[derive(Serialize)]
struct ChangeBody<'a> {
    index: u64,
    time: String,
    instance: &'a str,
    what: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Endpoint<'a> {
    instance: &'a str,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
}

pub(super) fn services(services: &Services) -> Bytes {
    encode(&ServicesBody {
        index: services.index(),
        services: services
            .iter()
            .map(|(name, service)| ServiceSummary {
                service: name.as_str(),
                instance_count: service.instance_count(),
                serving_count: serving(service).count(),
                index: service.index(),
            })
            .collect(),
    })
}

pub(super) fn service(name: &ServiceName, service: &Service) -> Encoded {
    let body = encode(&ServiceBody {
        service: name.as_str(),
        index: service.index(),
        instances: service.instances().map(|(id, instance)| instance_body(id, instance)).collect(),
    });
    Encoded::new(service.index(), &body)
}

pub(super) fn no_service(name: &ServiceName, index: u64) -> Encoded {
    let body = encode(&ServiceBody { service: name.as_str(), index, instances: Vec::new() });
    Encoded::new(index, &body)
}

/// The instances that take traffic.
fn serving(service: &Service) -> impl Iterator<Item = (&InstanceId, &Instance)> {
    service.instances().filter(|(_, instance)| instance.takes_traffic())
}

/// The endpoints of one service, as the catalog shows them.
pub(super) fn endpoints(service: &Service) -> Bytes {
    let endpoints = serving(service).map(|(id, instance)| Endpoint {
        instance: id.as_str(),
        url: instance.address.to_string(),
        zone: instance.attributes.zone(),
    });
    encode(&endpoints.collect::<Vec<_>>())
}

/// All services with their [`endpoints`]. What has not changed is not encoded again: with many services that would be most of
/// the work of each registration.
pub(super) fn catalog<'a>(
    index: u64,
    services: impl Iterator<Item = (&'a ServiceName, &'a Bytes)>,
) -> Encoded {
    Encoded::build(index, |out| {
        out.extend_from_slice(format!("{{\"index\":{index},\"services\":{{").as_bytes());
        for (number, (name, endpoints)) in services.enumerate() {
            if number > 0 {
                out.push(b',');
            }
            // A name has no letter that JSON writes otherwise.
            out.push(b'"');
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(endpoints);
        }
        out.extend_from_slice(b"}}");
    })
}

pub(super) fn history(name: &ServiceName, history: &History, limit: usize) -> Bytes {
    let changes = history.of(name).take(limit).map(ChangeBody::from).collect();
    encode(&HistoryBody { service: name.as_str(), changes })
}

impl<'a> From<&'a Change> for ChangeBody<'a> {
    fn from(change: &'a Change) -> Self {
        Self {
            index: change.index,
            time: change.time.to_string(),
            instance: change.key.instance.as_str(),
            what: change.what,
            note: &change.note,
            client_id: change.by.as_ref().map(|by| by.client_id.as_str()),
            request_id: change.by.as_ref().map(|by| by.request_id.as_str()),
        }
    }
}

fn instance_body<'a>(id: &'a InstanceId, instance: &'a Instance) -> InstanceBody<'a> {
    InstanceBody {
        instance: id.as_str(),
        url: instance.address.to_string(),
        version: instance.attributes.version(),
        zone: instance.attributes.zone(),
        weight: instance.attributes.weight().get(),
        tags: instance.attributes.tags().collect(),
        metadata: instance.attributes.metadata().collect(),
        registered_at: instance.registered_at.to_string(),
        state: instance.state(),
        stale: instance.is_stale(),
        damped: instance.is_damped,
        note: instance.note(),
        check: instance.attributes.check().map(CheckBody::from),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_usual(weight: &u16) -> bool {
    *weight == Weight::default().get()
}

#[expect(
    clippy::expect_used,
    reason = "texts, numbers and maps with text keys always have a JSON form"
)]
pub(super) fn encode(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("the body has a JSON form").into()
}
