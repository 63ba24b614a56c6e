//! Both variants of the protocol over what is registered.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hasher as _},
};

use bytes::Bytes;
use lombard_proto::xds::{
    Any,
    discovery::{
        DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
        Resource,
    },
};
use lombard_registry_core::Service;
use lombard_types::ServiceName;

use super::{
    delta::Delta,
    kind::Kind,
    protocol::{Broken, Protocol, Received, Wanted},
    resources,
    session::Session,
};
use crate::{view::RegistryView, watch::Topic};

impl Protocol for Session {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    fn new(names_max: usize) -> Self {
        Self::new(names_max)
    }

    fn node(request: &DiscoveryRequest) -> &str {
        request.node.as_ref().map(|node| node.id.as_str()).unwrap_or_default()
    }

    fn receive(&mut self, request: DiscoveryRequest) -> Result<Received, Broken> {
        self.receive(request)
    }

    fn wanted(&self, kind: Kind) -> Option<Wanted<'_>> {
        self.wanted(kind)
    }

    fn due(&mut self, view: &RegistryView) -> Vec<DiscoveryResponse> {
        let mut responses = Vec::new();
        for kind in Kind::ALL {
            let Some(wanted) = self.wanted(kind) else { continue };
            let shown = shown(kind, &wanted, view);
            let Some(nonce) = self.send(kind, shown) else { continue };
            let Some(wanted) = self.wanted(kind) else { continue };
            let resources = resources_of(kind, &wanted, view);
            responses.push(DiscoveryResponse {
                version_info: view.services().index().to_string(),
                resources: resources.into_values().map(|value| any(kind, &value)).collect(),
                type_url: kind.type_url().to_owned(),
                nonce,
            });
        }
        responses
    }
}

impl Protocol for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    fn new(names_max: usize) -> Self {
        Self::new(names_max)
    }

    fn node(request: &DeltaDiscoveryRequest) -> &str {
        request.node.as_ref().map(|node| node.id.as_str()).unwrap_or_default()
    }

    fn receive(&mut self, request: DeltaDiscoveryRequest) -> Result<Received, Broken> {
        self.receive(request)
    }

    fn wanted(&self, kind: Kind) -> Option<Wanted<'_>> {
        self.wanted(kind)
    }

    fn due(&mut self, view: &RegistryView) -> Vec<DeltaDiscoveryResponse> {
        let mut responses = Vec::new();
        for kind in Kind::ALL {
            let wanted = self.look_at(kind, |wanted| shown(kind, wanted, view));
            let Some(resources) = wanted.map(|wanted| resources_of(kind, &wanted, view)) else {
                continue;
            };
            let versions = resources.iter().map(|(name, value)| (name.clone(), version(value)));
            let versions: BTreeMap<String, String> = versions.collect();
            let Some(news) = self.send(kind, &versions) else { continue };
            let resource = |name: String| {
                let version = versions.get(&name)?.clone();
                let resource = Some(any(kind, resources.get(&name)?));
                Some(Resource { version, resource, name })
            };
            responses.push(DeltaDiscoveryResponse {
                system_version_info: view.services().index().to_string(),
                resources: news.changed.into_iter().filter_map(resource).collect(),
                type_url: kind.type_url().to_owned(),
                removed_resources: news.removed,
                nonce: news.nonce,
            });
        }
        responses
    }
}

/// What an answer depends on: where that is the same, so is the answer.
fn shown(kind: Kind, wanted: &Wanted<'_>, view: &RegistryView) -> Vec<u64> {
    match kind {
        Kind::Endpoints => {
            let index = |name: &String| {
                let name = name.parse::<ServiceName>().ok();
                let service = name.and_then(|name| view.services().get(&name));
                service.map_or(0, Service::index)
            };
            wanted.names.iter().map(index).collect()
        }
        Kind::Cluster if wanted.is_all => vec![view.index_of(&Topic::Names)],
        Kind::Cluster | Kind::Listener | Kind::Route => Vec::new(),
    }
}

/// All that is wanted of a type, by name. What can be no service's name is not there.
fn resources_of(kind: Kind, wanted: &Wanted<'_>, view: &RegistryView) -> BTreeMap<String, Bytes> {
    let named = wanted.names.iter().filter_map(|name| name.parse::<ServiceName>().ok());
    // Listeners are for clients that ask by name; a proxy has its own.
    let all = view.services().iter().filter(|_| wanted.is_all && kind == Kind::Cluster);
    let resource = |name: ServiceName| {
        let value = match kind {
            Kind::Cluster => resources::cluster(name.as_str()).into(),
            Kind::Endpoints => view.xds_endpoints(&name),
            Kind::Listener => resources::listener(name.as_str()).into(),
            Kind::Route => resources::route(name.as_str()).into(),
        };
        (name.to_string(), value)
    };
    named.chain(all.map(|(name, _)| name.clone())).map(resource).collect()
}

fn any(kind: Kind, value: &Bytes) -> Any {
    Any { type_url: kind.type_url().to_owned(), value: value.to_vec() }
}

/// Of what it says: a client that comes back after an upgrade has what is the same, and gets what is not.
fn version(value: &Bytes) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(value);
    format!("{:x}", hasher.finish())
}
