//! Where requests can be sent: the roles, which never change, and the instances of services, which come and go.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use http::HeaderValue;
use lombard_gateway_core::{Load, Role, choose, ejection};
use lombard_types::ServiceName;

/// Where the roles listen.
#[derive(Clone, Copy, Debug)]
pub struct RoleAddresses {
    /// Double-entry books.
    pub ledger: SocketAddr,
    /// Services and their instances.
    pub registry: SocketAddr,
    /// Clients, tokens and keys.
    pub auth: SocketAddr,
    /// Streams of events.
    pub eventstore: SocketAddr,
    /// Pages for people.
    pub console: SocketAddr,
}

/// One instance. Workers share what is counted.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// `host:port`
    pub(crate) authority: Box<str>,
    /// The same, as the Host header.
    pub(crate) host: HeaderValue,
    in_flight: AtomicU32,
    failures: AtomicU32,
    /// In milliseconds since the gateway started.
    ejected_until_ms: AtomicU64,
}

impl Endpoint {
    /// `None` where the authority cannot be a Host header.
    pub(crate) fn new(authority: &str) -> Option<Self> {
        Some(Self {
            authority: authority.into(),
            host: HeaderValue::from_str(authority).ok()?,
            in_flight: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            ejected_until_ms: AtomicU64::new(0),
        })
    }

    fn load(&self) -> Load {
        Load {
            in_flight: self.in_flight.load(Relaxed),
            ejected_until: Duration::from_millis(self.ejected_until_ms.load(Relaxed)),
            is_tried: false,
        }
    }
}

/// A role, or the instances of a service at one moment.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: Box<str>,
    pub(crate) is_role: bool,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Endpoints {
    start: Instant,
    roles: HashMap<Role, Arc<Upstream>>,
    services: ArcSwap<HashMap<ServiceName, Arc<Upstream>>>,
}

impl Endpoints {
    pub(crate) fn new(addresses: RoleAddresses) -> Self {
        let roles = [
            (Role::Ledger, addresses.ledger),
            (Role::Registry, addresses.registry),
            (Role::Auth, addresses.auth),
            (Role::Eventstore, addresses.eventstore),
            (Role::Console, addresses.console),
        ];
        let upstream = |(role, address): (Role, SocketAddr)| {
            let endpoints = Endpoint::new(&address.to_string()).map(Arc::new).into_iter().collect();
            (role, Arc::new(Upstream { name: role.name().into(), is_role: true, endpoints }))
        };
        Self {
            start: Instant::now(),
            roles: roles.into_iter().map(upstream).collect(),
            services: ArcSwap::default(),
        }
    }

    pub(crate) fn role(&self, role: Role) -> Option<Arc<Upstream>> {
        self.roles.get(&role).cloned()
    }

    /// `None` where no instance is known.
    pub(crate) fn service(&self, service: &ServiceName) -> Option<Arc<Upstream>> {
        let services = self.services.load();
        services.get(service).filter(|upstream| !upstream.endpoints.is_empty()).cloned()
    }

    /// Replaces the instances of all services. Instances that stay keep their counts.
    pub(crate) fn replace(&self, services: HashMap<ServiceName, Vec<Box<str>>>) {
        let known = self.services.load();
        let services = services.into_iter().map(|(service, authorities)| {
            let before = known.get(&service).map(|upstream| upstream.endpoints.as_slice());
            let endpoint = |authority: &str| {
                let before = before.unwrap_or_default();
                let kept = before.iter().find(|endpoint| &*endpoint.authority == authority);
                kept.cloned().or_else(|| Endpoint::new(authority).map(Arc::new))
            };
            let endpoints =
                authorities.iter().filter_map(|authority| endpoint(authority)).collect();
            let name = service.as_str().into();
            (service, Arc::new(Upstream { name, is_role: false, endpoints }))
        });
        self.services.store(Arc::new(services.collect()));
    }

    /// The endpoint for the next try; counted as busy until the guard is dropped.
    pub(crate) fn choose(
        &self,
        upstream: &Upstream,
        tried: &[Arc<Endpoint>],
        random: u64,
    ) -> Option<Busy> {
        let load = |index: usize| {
            let Some(endpoint) = upstream.endpoints.get(index) else { return Load::default() };
            let is_tried = tried.iter().any(|other| Arc::ptr_eq(other, endpoint));
            Load { is_tried, ..endpoint.load() }
        };
        let index = choose(upstream.endpoints.len(), load, self.start.elapsed(), random)?;
        let endpoint = Arc::clone(upstream.endpoints.get(index)?);
        endpoint.in_flight.fetch_add(1, Relaxed);
        Some(Busy(endpoint))
    }

    pub(crate) fn connected(&self, endpoint: &Endpoint) {
        endpoint.failures.store(0, Relaxed);
    }

    pub(crate) fn connect_failed(&self, endpoint: &Endpoint) {
        let failures = endpoint.failures.fetch_add(1, Relaxed).saturating_add(1);
        let until = self.start.elapsed() + ejection(failures);
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        endpoint.ejected_until_ms.store(until, Relaxed);
    }
}

/// A request at an endpoint.
#[derive(Debug)]
pub(crate) struct Busy(pub(crate) Arc<Endpoint>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(authorities: &[&str]) -> (Endpoints, ServiceName) {
        let any: SocketAddr = ([127, 0, 0, 1], 1).into();
        let addresses =
            RoleAddresses { ledger: any, registry: any, auth: any, eventstore: any, console: any };
        let endpoints = Endpoints::new(addresses);
        let service: ServiceName = "payments".parse().unwrap();
        let authorities = authorities.iter().map(|authority| (*authority).into()).collect();
        endpoints.replace([(service.clone(), authorities)].into());
        (endpoints, service)
    }

    #[test]
    fn an_instance_that_stays_keeps_its_counts() {
        let (endpoints, service) = endpoints(&["a:1", "b:1"]);
        let upstream = endpoints.service(&service).unwrap();
        let busy = endpoints.choose(&upstream, &[], 0).unwrap();
        let authority = busy.0.authority.clone();
        endpoints.replace([(service.clone(), vec![authority, "c:1".into()])].into());
        let after = endpoints.service(&service).unwrap();
        assert!(Arc::ptr_eq(&busy.0, &after.endpoints[0]));
        assert_eq!(after.endpoints[0].load().in_flight, 1);
        drop(busy);
        assert_eq!(after.endpoints[0].load().in_flight, 0);
        endpoints.replace(HashMap::new());
        assert!(endpoints.service(&service).is_none());
    }

    #[test]
    fn an_ejected_instance_is_avoided_until_it_is_the_last() {
        let (endpoints, service) = endpoints(&["a:1", "b:1"]);
        let upstream = endpoints.service(&service).unwrap();
        endpoints.connect_failed(&upstream.endpoints[0]);
        for random in 0..50_u64 {
            let busy = endpoints.choose(&upstream, &[], random << 32 | random).unwrap();
            assert_eq!(&*busy.0.authority, "b:1");
        }
        endpoints.connect_failed(&upstream.endpoints[1]);
        assert!(endpoints.choose(&upstream, &[], 0).is_some());
    }
}
