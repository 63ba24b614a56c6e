//! What readers of the Consul-compatible interface are sent.
//!
//! There is one node and one datacenter: instances have addresses of their own. Each has one check, named after it, and
//! one more while somebody keeps traffic away.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use lombard_registry_core::{Instance, Liveness, Mode, Service, Services};
use lombard_types::{InstanceId, ServiceName};
use serde::Serialize;
use serde_json::{Value, json};

use super::bodies::encode;

/// The name of the only node.
pub(crate) const NODE: &str = "lombard";
/// Its id.
pub(crate) const NODE_ID: &str = "6c6f6d62-6172-4464-8000-000000000001";
/// The name of the only datacenter.
pub(crate) const DATACENTER: &str = "dc1";
/// Instances have addresses of their own, so nobody should need it.
const NODE_ADDRESS: &str = "127.0.0.1";
/// The metadata in which a check's own id is kept. Not shown as metadata here.
pub(crate) const CHECK_ID: &str = "consul-check-id";

/// Which instances are wanted: with all these tags, and only those that take traffic without a warning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) is_passing: bool,
    pub(crate) tags: Vec<String>,
}

/// An instance with its service's name.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) service: &'a ServiceName,
    pub(crate) id: &'a InstanceId,
    pub(crate) instance: &'a Instance,
}

impl Filter {
    fn permits(&self, named: &Named<'_>) -> bool {
        let mut tags = self.tags.iter();
        let attributes = &named.instance.attributes;
        tags.all(|wanted| attributes.tags().any(|tag| tag == wanted))
            && (!self.is_passing || named.is_passing())
    }
}

/// `GET /v1/health/service/{service}`.
pub(super) fn health(name: &ServiceName, service: Option<&Service>, filter: &Filter) -> Bytes {
    let entries = chosen(name, service, filter).map(|named| Entry {
        node: Node::default(),
        service: named.service_value(),
        checks: named.checks(),
    });
    encode(&entries.collect::<Vec<_>>())
}

/// `GET /v1/catalog/service/{service}`: in the same order as [`health`], since some clients join both by position.
pub(super) fn catalog(name: &ServiceName, service: Option<&Service>, filter: &Filter) -> Bytes {
    let entries = chosen(name, service, filter).map(|named| named.catalog_value());
    encode(&entries.collect::<Vec<_>>())
}

/// `GET /v1/health/checks/{service}`.
pub(super) fn checks(name: &ServiceName, service: Option<&Service>) -> Bytes {
    let all = Filter::default();
    let entries = chosen(name, service, &all).flat_map(|named| named.checks());
    encode(&entries.collect::<Vec<_>>())
}

/// `GET /v1/health/state/{state}`; `None` for any.
pub(super) fn checks_in_state(services: &Services, status: Option<&str>) -> Bytes {
    let checks = all(services).flat_map(|named| named.checks());
    let wanted = checks.filter(|check| status.is_none_or(|status| check.status == status));
    encode(&wanted.collect::<Vec<_>>())
}

/// `GET /v1/catalog/services`.
pub(super) fn names(services: &Services) -> Bytes {
    encode(
        &services
            .iter()
            .map(|(name, service)| (name.as_str(), tags(service)))
            .collect::<BTreeMap<_, _>>(),
    )
}

/// `GET /v1/agent/services`.
pub(super) fn agent_services(services: &Services) -> Bytes {
    encode(
        &all(services)
            .map(|named| (named.id.as_str(), named.service_value()))
            .collect::<BTreeMap<_, _>>(),
    )
}

/// `GET /v1/agent/checks`.
pub(super) fn agent_checks(services: &Services) -> Bytes {
    let checks = all(services).flat_map(|named| named.checks());
    encode(&checks.map(|check| (check.check_id.clone(), check)).collect::<BTreeMap<_, _>>())
}

/// All tags that instances of a service have.
pub(super) fn tags(service: &Service) -> BTreeSet<&str> {
    service.instances().flat_map(|(_, instance)| instance.attributes.tags()).collect()
}

fn all(services: &Services) -> impl Iterator<Item = Named<'_>> {
    services.iter().flat_map(|(name, service)| {
        service.instances().map(move |(id, instance)| Named { service: name, id, instance })
    })
}

fn chosen<'a>(
    name: &'a ServiceName,
    service: Option<&'a Service>,
    filter: &'a Filter,
) -> impl Iterator<Item = Named<'a>> {
    let instances = service.into_iter().flat_map(Service::instances);
    let named = instances.map(move |(id, instance)| Named { service: name, id, instance });
    named.filter(|named| filter.permits(named))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    node: Node,
    service: Value,
    checks: Vec<Check<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(rename = "ID")]
    id: &'static str,
    node: &'static str,
    address: &'static str,
    datacenter: &'static str,
    tagged_addresses: BTreeMap<&'static str, &'static str>,
    meta: BTreeMap<&'static str, &'static str>,
    create_index: u64,
    modify_index: u64,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            id: NODE_ID,
            node: NODE,
            address: NODE_ADDRESS,
            datacenter: DATACENTER,
            tagged_addresses: BTreeMap::new(),
            meta: BTreeMap::new(),
            create_index: 1,
            modify_index: 1,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Check<'a> {
    node: &'static str,
    #[serde(rename = "CheckID")]
    check_id: String,
    name: String,
    status: &'static str,
    notes: &'static str,
    output: String,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: Vec<&'a str>,
    r#type: &'static str,
    definition: BTreeMap<&'static str, &'static str>,
    create_index: u64,
    modify_index: u64,
}

/// `GET /v1/agent/self`. Some clients wait for ever unless the datacenter is a text.
pub(crate) fn agent_self() -> Value {
    json!({
        "Config": {
            "Datacenter": DATACENTER, "PrimaryDatacenter": DATACENTER, "NodeName": NODE, "NodeID": NODE_ID,
            "Server": true, "Version": env!("CARGO_PKG_VERSION"), "Revision": "",
        },
        "Member": { "Name": NODE, "Addr": NODE_ADDRESS, "Port": 8301, "Status": 1, "Tags": {} },
        "Meta": {},
    })
}

/// `GET /v1/catalog/nodes`.
pub(crate) fn nodes() -> Value {
    json!([Node::default()])
}

impl<'a> Named<'a> {
    fn is_passing(&self) -> bool {
        self.checks().iter().all(|check| check.status == "passing")
    }

    fn status(&self) -> &'static str {
        match self.instance.state() {
            "warning" => "warning",
            "starting" | "critical" => "critical",
            // Also what is in doubt: it is served.
            _ if self.instance.liveness == Liveness::Lapsed => "critical",
            _ => "passing",
        }
    }

    fn checks(&self) -> Vec<Check<'a>> {
        let (note, own) = (self.instance.note(), self.own_check_id());
        let id = own.map_or_else(|| format!("service:{}", self.id), ToOwned::to_owned);
        let name = format!("Service '{}' check", self.service);
        let mut checks = vec![self.check(id, name, self.status(), note)];
        if self.instance.standing.mode != Mode::Serving {
            let (id, name) =
                (format!("_service_maintenance:{}", self.id), "Service Maintenance Mode");
            checks.push(self.check(id, name.to_owned(), "critical", note));
        }
        checks
    }

    fn check(&self, check_id: String, name: String, status: &'static str, note: &str) -> Check<'a> {
        Check {
            node: NODE,
            check_id,
            name,
            status,
            notes: if self.instance.is_stale() { "not heard lately; served as before" } else { "" },
            output: note.to_owned(),
            service_id: self.id.as_str(),
            service_name: self.service.as_str(),
            service_tags: self.instance.attributes.tags().collect(),
            r#type: match self.instance.attributes.check() {
                Some(check) => check.question.name(),
                None if self.instance.lease.is_permanent => "",
                None => "ttl",
            },
            definition: BTreeMap::new(),
            create_index: 1,
            modify_index: 1,
        }
    }

    fn own_check_id(&self) -> Option<&'a str> {
        self.instance.attributes.metadata().find(|(key, _)| *key == CHECK_ID).map(|(_, id)| id)
    }

    fn metadata(&self) -> BTreeMap<&'a str, &'a str> {
        let attributes = &self.instance.attributes;
        let own = attributes.metadata().filter(|(key, _)| *key != CHECK_ID);
        own.chain(attributes.version().map(|version| ("version", version))).collect()
    }

    fn address(&self) -> String {
        self.instance.address.host().trim_matches(['[', ']']).to_owned()
    }

    fn service_value(&self) -> Value {
        let weight = self.instance.attributes.weight().get();
        json!({
            "ID": self.id.as_str(), "Service": self.service.as_str(),
            "Tags": self.instance.attributes.tags().collect::<Vec<_>>(),
            "Address": self.address(), "TaggedAddresses": {}, "Meta": self.metadata(),
            "Port": self.instance.address.port(), "Weights": { "Passing": weight, "Warning": weight },
            "EnableTagOverride": false, "CreateIndex": 1, "ModifyIndex": 1,
        })
    }

    fn catalog_value(&self) -> Value {
        let weight = self.instance.attributes.weight().get();
        json!({
            "ID": NODE_ID, "Node": NODE, "Address": NODE_ADDRESS, "Datacenter": DATACENTER,
            "TaggedAddresses": {}, "NodeMeta": {}, "ServiceID": self.id.as_str(),
            "ServiceName": self.service.as_str(),
            "ServiceTags": self.instance.attributes.tags().collect::<Vec<_>>(),
            "ServiceAddress": self.address(), "ServicePort": self.instance.address.port(),
            "ServiceMeta": self.metadata(), "ServiceTaggedAddresses": {},
            "ServiceWeights": { "Passing": weight, "Warning": weight },
            "ServiceEnableTagOverride": false, "CreateIndex": 1, "ModifyIndex": 1,
        })
    }
}
