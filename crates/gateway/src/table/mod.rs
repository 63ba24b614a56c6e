//! The routes of a configuration, ready for requests. Made whole or not at all.

mod build;
mod kept;
mod policy;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use http::{HeaderMap, Method, header};
use lombard_gateway_core::{Asked, Captures, HeaderRule, NormalPath, RouteIndex};

pub(crate) use build::{Nowhere, Surroundings, build, mistakes};
pub(crate) use policy::{
    Access, Cors, DetailRule, Identity, Limit, LimitKind, Mirror, Network, Policy, RequiredLogin,
    Retry,
};

use crate::{Config, cluster::Cluster};

/// What one configuration says of requests.
#[derive(Debug)]
pub(crate) struct Table {
    /// That configuration.
    pub(crate) config: Arc<Config>,
    pub(crate) index: RouteIndex,
    /// In the order of the index, which is that of the configuration.
    pub(crate) policies: Vec<Arc<Policy>>,
    /// For what no route is configured: the roles and, if they are exposed, the services.
    pub(crate) fallback: Arc<Policy>,
    pub(crate) clusters: HashMap<Box<str>, Arc<Cluster>>,
    /// Where limits are: the route's number and the limit's, by the limit's id.
    pub(crate) limits: HashMap<u64, (usize, usize)>,
    pub(crate) trusted_proxies: Vec<Network>,
    /// What clients are shown with TLS.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) exposes_services: bool,
    pub(crate) adds_security_headers: bool,
}

impl Table {
    /// The limit with this id.
    pub(crate) fn limit(&self, id: u64) -> Option<&Limit> {
        let (policy, limit) = self.limits.get(&id)?;
        self.policies.get(*policy)?.limits.get(*limit)
    }

    /// The names of routes that another table has, and this one has not. Most stand where they stood.
    pub(crate) fn gone_since<'a>(&self, before: &'a Self) -> Vec<&'a str> {
        let now = self.policies.iter().map(|policy| &*policy.name);
        let moved: Vec<&str> = before
            .policies
            .iter()
            .enumerate()
            .filter(|(place, policy)| {
                self.policies.get(*place).is_none_or(|other| other.name != policy.name)
            })
            .map(|(_, policy)| &*policy.name)
            .collect();
        if moved.is_empty() {
            return moved;
        }
        let now: HashSet<&str> = now.collect();
        moved.into_iter().filter(|name| !now.contains(name)).collect()
    }

    /// The configured route of a request, and what it captures.
    pub(crate) fn find(
        &self,
        host: &str,
        path: &NormalPath,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<(Arc<Policy>, Captures)> {
        let has_header = |rule: &HeaderRule| {
            let mut values = headers.get_all(&*rule.name).iter();
            match &rule.value {
                Some(wanted) => values.any(|value| value.as_bytes() == wanted.as_bytes()),
                None => values.next().is_some(),
            }
        };
        // A preflight asks for the route of the request that it goes before.
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let method = match asked.and_then(|asked| asked.to_str().ok()) {
            Some(asked) if *method == Method::OPTIONS && headers.contains_key(header::ORIGIN) => {
                asked
            }
            _ => method.as_str(),
        };
        let (number, captures) = self.index.find(&Asked { host, path, method, has_header })?;
        Some((Arc::clone(self.policies.get(number)?), captures))
    }
}
