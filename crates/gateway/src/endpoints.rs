//! Where requests can be sent: the roles, which never change, the services of the registry, and the upstreams of the
//! configuration.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use lombard_gateway_core::Role;
use lombard_types::ServiceName;
use parking_lot::Mutex;

use crate::cluster::{Address, Clock, Cluster, ClusterRules, Source, Transport};

/// Where the roles listen.
#[derive(Clone, Copy, Debug)]
pub struct RoleAddresses {
    /// Double-entry books.
    pub ledger: SocketAddr,
    /// Reads of the books; the ledger answers them where this is not said.
    pub query: Option<SocketAddr>,
    /// Services and their instances.
    pub registry: SocketAddr,
    /// Clients, tokens and keys.
    pub auth: SocketAddr,
    /// Streams of events.
    pub eventstore: SocketAddr,
    /// Pages for people.
    pub console: SocketAddr,
}

/// More failures than there can be.
const NEVER: u32 = 101;

/// The instances of all services, as the registry last said.
type Catalog = HashMap<ServiceName, Vec<Address>>;

/// All of them.
#[derive(Debug)]
pub(crate) struct Endpoints {
    pub(crate) clock: Clock,
    own_zone: Option<Box<str>>,
    roles: HashMap<Role, Arc<Cluster>>,
    services: ArcSwap<HashMap<ServiceName, Arc<Cluster>>>,
    /// Held while the catalog or the configured upstreams change, so that none misses the other's change.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    catalog: Catalog,
    configured: HashMap<Box<str>, Arc<Cluster>>,
}

impl Endpoints {
    pub(crate) fn new(addresses: RoleAddresses, own_zone: Option<&str>) -> Self {
        let roles = [
            (Role::Ledger, addresses.ledger),
            (Role::Registry, addresses.registry),
            (Role::Auth, addresses.auth),
            (Role::Eventstore, addresses.eventstore),
            (Role::Console, addresses.console),
        ];
        let clock = Clock::start();
        let cluster = |(role, address): (Role, SocketAddr)| {
            // The supervisor holds a role's socket while it starts again: waiting there is better than a refusal.
            let mut rules = ClusterRules::default();
            rules.breaker.failure_percent = NEVER;
            let cluster = Cluster::new(role.name(), Source::Role, rules);
            let address = Address { authority: address.to_string().into(), zone: None };
            cluster.set_members(&[address], None, clock.now());
            (role, Arc::new(cluster))
        };
        let mut roles: HashMap<_, _> = roles.into_iter().map(cluster).collect();
        let query = match addresses.query {
            Some(address) => Some(cluster((Role::Query, address)).1),
            None => roles.get(&Role::Ledger).cloned(),
        };
        roles.extend(query.map(|query| (Role::Query, query)));
        Self {
            clock,
            own_zone: own_zone.map(Into::into),
            roles,
            services: ArcSwap::default(),
            known: Mutex::default(),
        }
    }

    pub(crate) fn role(&self, role: Role) -> Option<Arc<Cluster>> {
        self.roles.get(&role).cloned()
    }

    pub(crate) fn role_by_name(&self, name: &str) -> Option<Arc<Cluster>> {
        let found = self.roles.iter().find(|(role, _)| role.name() == name);
        found.map(|(_, cluster)| Arc::clone(cluster))
    }

    /// `None` where the registry knows nothing of it.
    pub(crate) fn service(&self, service: &ServiceName) -> Option<Arc<Cluster>> {
        self.services.load().get(service).cloned()
    }

    /// Instances of the registry's services that fail again and again, where plain HTTP was spoken to them.
    pub(crate) fn failing(&self) -> Vec<(ServiceName, Box<str>)> {
        let now = self.clock.now();
        let services: Vec<_> = self.services.load().values().cloned().collect();
        let configured: Vec<_> = self.known.lock().configured.values().cloned().collect();
        let mut failing = Vec::new();
        for cluster in services.iter().chain(&configured) {
            if let Source::Service(service) = &cluster.source
                && cluster.transport.tls.is_none()
            {
                let of_service = cluster.failing(now).into_iter();
                failing.extend(of_service.map(|authority| (service.clone(), authority)));
            }
        }
        failing
    }

    /// Replaces the instances of all services. Instances that stay keep what is known of them.
    pub(crate) fn replace(&self, catalog: Catalog) {
        let mut known = self.known.lock();
        let before = self.services.load();
        let services = catalog.iter().map(|(service, addresses)| {
            let cluster = before.get(service).cloned().unwrap_or_else(|| {
                let source = Source::Service(service.clone());
                Arc::new(Cluster::new(service.as_str(), source, ClusterRules::default()))
            });
            self.set_members(&cluster, addresses);
            (service.clone(), cluster)
        });
        self.services.store(Arc::new(services.collect()));
        known.catalog = catalog;
        for cluster in known.configured.values() {
            self.seed(cluster, &known.catalog);
        }
    }

    pub(crate) fn set_members(&self, cluster: &Cluster, addresses: &[Address]) {
        cluster.set_members(addresses, self.own_zone.as_deref(), self.clock.now());
    }

    fn seed(&self, cluster: &Cluster, catalog: &Catalog) {
        if let Source::Service(service) = &cluster.source {
            self.set_members(cluster, catalog.get(service).map(Vec::as_slice).unwrap_or_default());
        }
    }

    /// An upstream of a configuration: the one that is in use where nothing about it changed, else a new one, which takes
    /// over what is known of the instances.
    pub(crate) fn cluster(
        &self,
        name: &str,
        source: Source,
        rules: ClusterRules,
        transport: Transport,
        fixed: &[Address],
    ) -> Arc<Cluster> {
        let known = self.known.lock();
        let before = known.configured.get(name);
        // The files that TLS is made of may be others than before.
        let is_same = |before: &&Arc<Cluster>| {
            before.source == source
                && before.rules == rules
                && before.transport.protocol == transport.protocol
                && before.transport.tls.is_none()
                && transport.tls.is_none()
        };
        let is_plain = transport.tls.is_none();
        let protocol = transport.protocol;
        let kept = before.filter(is_same).cloned();
        let cluster = kept.unwrap_or_else(|| {
            let cluster = Cluster::with_transport(name, source, rules, transport);
            let can_inherit = |before: &&Arc<Cluster>| {
                is_plain
                    && before.transport.tls.is_none()
                    && before.transport.protocol == protocol
                    && before.source == cluster.source
            };
            if let Some(before) = before.filter(can_inherit) {
                cluster.inherit(before);
            }
            Arc::new(cluster)
        });
        match cluster.source {
            Source::Static => self.set_members(&cluster, fixed),
            Source::Service(_) => self.seed(&cluster, &known.catalog),
            Source::Role | Source::Dns { .. } => {}
        }
        cluster
    }

    /// These are the upstreams of the configuration from now on.
    pub(crate) fn configure(&self, clusters: HashMap<Box<str>, Arc<Cluster>>) {
        let mut known = self.known.lock();
        known.configured = clusters;
        for cluster in known.configured.values() {
            self.seed(cluster, &known.catalog);
        }
    }

    /// Those whose addresses are looked up.
    pub(crate) fn with_dns(&self) -> Vec<Arc<Cluster>> {
        let known = self.known.lock();
        let is_dns = |cluster: &&Arc<Cluster>| matches!(cluster.source, Source::Dns { .. });
        known.configured.values().filter(is_dns).cloned().collect()
    }

    /// All of them, by name, for operators.
    pub(crate) fn describe(&self) -> Vec<serde_json::Value> {
        let now = self.clock.now();
        let known = self.known.lock();
        let services = self.services.load();
        let mut all: Vec<&Arc<Cluster>> = self.roles.values().collect();
        all.extend(known.configured.values());
        all.extend(services.iter().filter_map(|(service, cluster)| {
            (!known.configured.contains_key(service.as_str())).then_some(cluster)
        }));
        all.sort_by(|a, b| a.name.cmp(&b.name));
        // The ledger may be there twice: for itself, and for reads.
        all.dedup_by(|a, b| Arc::ptr_eq(a, b));
        all.into_iter().map(|cluster| cluster.describe(now)).collect()
    }
}
