//! What readers are sent, as JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use lombard_registry_core::{Instance, Service, Services};
use lombard_types::{InstanceId, ServiceName};
use serde::Serialize;

#[derive(Serialize)]
struct ServicesBody<'a> {
    index: u64,
    services: Vec<ServiceSummary<'a>>,
}

#[derive(Serialize)]
struct ServiceSummary<'a> {
    service: &'a str,
    instance_count: usize,
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
    tags: Vec<&'a str>,
    metadata: BTreeMap<&'a str, &'a str>,
    registered_at: String,
}

#[derive(Serialize)]
struct CatalogBody<'a> {
    index: u64,
    services: BTreeMap<&'a str, Vec<Endpoint<'a>>>,
}

#[derive(Serialize)]
struct Endpoint<'a> {
    instance: &'a str,
    url: String,
}

pub(super) fn services(services: &Services) -> Bytes {
    encode(&ServicesBody {
        index: services.index(),
        services: services
            .iter()
            .map(|(name, service)| ServiceSummary {
                service: name.as_str(),
                instance_count: service.instance_count(),
                index: service.index(),
            })
            .collect(),
    })
}

pub(super) fn service(name: &ServiceName, service: &Service) -> Bytes {
    encode(&ServiceBody {
        service: name.as_str(),
        index: service.index(),
        instances: service.instances().map(|(id, instance)| instance_body(id, instance)).collect(),
    })
}

pub(super) fn no_service(name: &ServiceName, index: u64) -> Bytes {
    encode(&ServiceBody { service: name.as_str(), index, instances: Vec::new() })
}

pub(super) fn catalog(services: &Services) -> Bytes {
    encode(&CatalogBody {
        index: services.index(),
        services: services
            .iter()
            .map(|(name, service)| {
                let endpoints = service.instances().map(|(id, instance)| Endpoint {
                    instance: id.as_str(),
                    url: instance.address.to_string(),
                });
                (name.as_str(), endpoints.collect())
            })
            .collect(),
    })
}

fn instance_body<'a>(id: &'a InstanceId, instance: &'a Instance) -> InstanceBody<'a> {
    InstanceBody {
        instance: id.as_str(),
        url: instance.address.to_string(),
        version: instance.attributes.version(),
        tags: instance.attributes.tags().collect(),
        metadata: instance.attributes.metadata().collect(),
        registered_at: instance.registered_at.to_string(),
    }
}

#[expect(
    clippy::expect_used,
    reason = "texts, numbers and maps with text keys always have a JSON form"
)]
fn encode(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("the body has a JSON form").into()
}
