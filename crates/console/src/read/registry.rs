//! What the registry answers, as far as the page shows it.

use lombard_types::ServiceName;
use serde::Deserialize;

use super::Unreadable;

#[derive(Debug, Deserialize)]
pub(super) struct Services {
    pub(super) services: Vec<ServiceEntry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ServiceEntry {
    pub(super) service: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Instances {
    pub(super) instances: Vec<Instance>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Instance {
    pub(crate) instance: String,
    pub(crate) url: String,
    pub(crate) version: Option<String>,
}

/// A service and its instances, or why they could not be read.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) instances: Result<Vec<Instance>, Unreadable>,
}

/// Some of the services.
#[derive(Clone, Debug)]
pub(crate) struct ServiceList {
    pub(crate) shown: Vec<Service>,
    /// How many there are beside them.
    pub(crate) rest: usize,
}

/// The path of a service. A name that is none is not put into a URL.
pub(super) fn path_of(service: &str) -> Option<String> {
    let name: ServiceName = service.parse().ok()?;
    Some(format!("/services/{name}"))
}
