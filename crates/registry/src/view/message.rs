//! What watchers over gRPC are sent.

use bytes::Bytes;
use lombard_proto::registry::v1::{self, State};
use lombard_registry_core::{Instance, Service};
use lombard_types::{InstanceId, ServiceName};
use prost::Message as _;

pub(super) fn service(name: &ServiceName, service: Option<&Service>, index: u64) -> Bytes {
    let instances = service.into_iter().flat_map(Service::instances);
    let message = v1::WatchResponse {
        service: name.to_string(),
        index,
        instances: instances.map(|(id, each)| instance(id, each)).collect(),
    };
    message.encode_to_vec().into()
}

fn instance(id: &InstanceId, instance: &Instance) -> v1::Instance {
    let attributes = &instance.attributes;
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    v1::Instance {
        instance: id.to_string(),
        url: instance.address.to_string(),
        state: state(instance.state()).into(),
        note: instance.note().to_owned(),
        version: attributes.version().map(ToOwned::to_owned),
        zone: attributes.zone().map(ToOwned::to_owned),
        weight: attributes.weight().get().into(),
        tags: attributes.tags().map(ToOwned::to_owned).collect(),
        metadata: attributes.metadata().map(owned).collect(),
        registered_at: instance.registered_at.unix_nanos(),
        is_stale: instance.is_stale(),
        is_damped: instance.is_damped,
    }
}

fn state(name: &str) -> State {
    match name {
        "starting" => State::Starting,
        "passing" => State::Passing,
        "warning" => State::Warning,
        "critical" => State::Critical,
        "unknown" => State::Unknown,
        "draining" => State::Draining,
        "maintenance" => State::Maintenance,
        _ => State::Unspecified,
    }
}
