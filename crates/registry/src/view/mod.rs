//! The read side: what is registered, as far as this process has followed the log, with every answer kept encoded.

mod bodies;
pub(crate) mod consul;
mod departed;
mod encoded;
pub(crate) mod eureka;
mod history;
mod lookup;
mod message;
mod prometheus;
mod recent;

use std::{collections::BTreeMap, sync::OnceLock};

use bytes::Bytes;
use lombard_engine::{At, View};
use lombard_registry_core::{Event, InstanceKey, Liveness, Recorded, Service, Services};
use lombard_types::{InstanceId, Position, ServiceName, Timestamp};
use serde_json::Value;

use self::{
    consul::Filter, departed::Departed, encoded::Encoded, history::History, lookup::Lookup,
    recent::Recent,
};
use crate::{
    eureka::xml,
    lessor::Lessor,
    prober::Prober,
    watch::{Topic, Watches},
    xds,
};

/// The view. Applying an event also moves the leases and wakes those who wait.
#[derive(Debug)]
pub(crate) struct RegistryView {
    services: Services,
    departed: Departed,
    history: History,
    recent: Recent,
    lookup: Lookup,
    /// The index at which a service last came, went, or changed the tags of its instances.
    names_index: u64,
    bodies: Bodies,
    lessor: Lessor,
    prober: Prober,
    watches: Watches,
    /// Everything before was in the log when this process started.
    start_tail: Position,
}

/// Answers as they are sent, encoded when somebody first asks after a change.
#[derive(Debug, Default)]
struct Bodies {
    services: OnceLock<Bytes>,
    catalog: OnceLock<Encoded>,
    /// All services with their tags.
    names: OnceLock<Bytes>,
    applications: OnceLock<Bytes>,
    applications_xml: OnceLock<Bytes>,
    /// Those of each service that exists.
    by_service: BTreeMap<ServiceName, ServiceBodies>,
}

/// The answers about one service.
#[derive(Debug, Default)]
struct ServiceBodies {
    own: OnceLock<Encoded>,
    in_catalog: OnceLock<Bytes>,
    health: OnceLock<Bytes>,
    healthy: OnceLock<Bytes>,
    catalog: OnceLock<Bytes>,
    endpoints: OnceLock<Bytes>,
    message: OnceLock<Bytes>,
}

impl RegistryView {
    pub(crate) fn new(
        lessor: Lessor,
        prober: Prober,
        watches: Watches,
        services_max: usize,
        history_max: usize,
        start_tail: Position,
    ) -> Self {
        Self {
            services: Services::default(),
            departed: Departed::new(services_max),
            history: History::new(history_max),
            recent: Recent::new(history_max),
            lookup: Lookup::default(),
            names_index: 0,
            bodies: Bodies::default(),
            lessor,
            prober,
            watches,
            start_tail,
        }
    }

    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// All services with the count of their instances.
    pub(crate) fn services_body(&self) -> Bytes {
        self.bodies.services.get_or_init(|| bodies::services(&self.services)).clone()
    }

    /// All services with the addresses of their instances that take traffic.
    pub(crate) fn catalog_body(&self) -> Bytes {
        self.catalog().body()
    }

    fn catalog(&self) -> Encoded {
        let encode = || {
            let services = self.services.iter().zip(self.bodies.by_service.values());
            let services = services.map(|((name, service), bodies)| {
                (name, bodies.in_catalog.get_or_init(|| bodies::endpoints(service)))
            });
            bodies::catalog(self.services.index(), services)
        };
        self.bodies.catalog.get_or_init(encode).clone()
    }

    /// The newest changes of a service, the newest first.
    pub(crate) fn history_body(&self, name: &ServiceName, limit: usize) -> Bytes {
        bodies::history(name, &self.history, limit)
    }

    /// What a topic shows, as an event of a watch, and its index.
    pub(crate) fn event_of(&self, topic: &Topic) -> (u64, Bytes) {
        let encoded = match topic {
            Topic::Overall | Topic::Names => self.catalog(),
            Topic::Service(name) => self.service(name),
        };
        (encoded.index, encoded.event())
    }

    /// The index of what [`Self::service_body`] shows.
    pub(crate) fn service_index(&self, name: &ServiceName) -> u64 {
        self.services.get(name).map_or(self.services.index(), Service::index)
    }

    /// One service with all about its instances. Empty, with the overall index, where it does not exist.
    pub(crate) fn service_body(&self, name: &ServiceName) -> Bytes {
        self.service(name).body()
    }

    fn service(&self, name: &ServiceName) -> Encoded {
        match (self.services.get(name), self.bodies.by_service.get(name)) {
            (Some(service), Some(bodies)) => {
                bodies.own.get_or_init(|| bodies::service(name, service)).clone()
            }
            (Some(service), None) => bodies::service(name, service),
            (None, _) => bodies::no_service(name, self.services.index()),
        }
    }

    /// One service in Consul's form, with its checks. What has no tags to look for is shared by all readers.
    pub(crate) fn consul_health(&self, name: &ServiceName, filter: &Filter) -> Bytes {
        let encode = || consul::health(name, self.services.get(name), filter);
        match self.bodies.by_service.get(name) {
            Some(bodies) if filter.tags.is_empty() => {
                let shared = if filter.is_passing { &bodies.healthy } else { &bodies.health };
                shared.get_or_init(encode).clone()
            }
            _ => encode(),
        }
    }

    /// The same without checks.
    pub(crate) fn consul_catalog(&self, name: &ServiceName, filter: &Filter) -> Bytes {
        let encode = || consul::catalog(name, self.services.get(name), filter);
        match self.bodies.by_service.get(name) {
            Some(bodies) if *filter == Filter::default() => {
                bodies.catalog.get_or_init(encode).clone()
            }
            _ => encode(),
        }
    }

    pub(crate) fn consul_checks(&self, name: &ServiceName) -> Bytes {
        consul::checks(name, self.services.get(name))
    }

    pub(crate) fn consul_checks_in_state(&self, status: Option<&str>) -> Bytes {
        consul::checks_in_state(&self.services, status)
    }

    pub(crate) fn consul_names(&self) -> Bytes {
        self.bodies.names.get_or_init(|| consul::names(&self.services)).clone()
    }

    pub(crate) fn consul_agent_services(&self) -> Bytes {
        consul::agent_services(&self.services)
    }

    pub(crate) fn consul_agent_checks(&self) -> Bytes {
        consul::agent_checks(&self.services)
    }

    /// The endpoints of a service in the form of xDS; none where it does not exist.
    pub(crate) fn xds_endpoints(&self, name: &ServiceName) -> Bytes {
        let encode = || xds::resources::endpoints(name, self.services.get(name));
        let bodies = self.bodies.by_service.get(name);
        bodies.map_or_else(encode, |bodies| bodies.endpoints.get_or_init(encode).clone())
    }

    /// One service as a message of gRPC, and its index; without instances where it does not exist.
    pub(crate) fn service_message(&self, name: &ServiceName) -> (u64, Bytes) {
        let index = self.service_index(name);
        let encode = || message::service(name, self.services.get(name), index);
        let bodies = self.bodies.by_service.get(name);
        let shared = bodies.map(|bodies| bodies.message.get_or_init(encode).clone());
        (index, shared.unwrap_or_else(encode))
    }

    /// All services in Eureka's form.
    pub(crate) fn eureka_applications(&self) -> Bytes {
        let encode = || bodies::encode(&eureka::applications(&self.services));
        self.bodies.applications.get_or_init(encode).clone()
    }

    /// The same in XML.
    pub(crate) fn eureka_applications_xml(&self) -> Bytes {
        let encode = || xml::write(&eureka::applications(&self.services));
        self.bodies.applications_xml.get_or_init(encode).clone()
    }

    /// What changed since then, in Eureka's form.
    pub(crate) fn eureka_delta(&self, since: Timestamp) -> Value {
        eureka::delta(&self.services, &self.recent, since)
    }

    pub(crate) fn eureka_application(&self, name: &ServiceName) -> Option<Value> {
        eureka::application(name, self.services.get(name))
    }

    pub(crate) fn eureka_instance(&self, key: &InstanceKey) -> Option<Value> {
        eureka::instance(&self.services, key)
    }

    pub(crate) fn eureka_with_vip(&self, vip: eureka::Vip<'_>) -> Option<Value> {
        eureka::with_vip(&self.services, vip)
    }

    /// The targets of one service or of all, that have all these tags.
    pub(crate) fn prometheus_targets(&self, service: Option<&str>, tags: &[String]) -> Bytes {
        prometheus::targets(&self.services, service, tags)
    }

    /// All instances with this id, of whatever service.
    pub(crate) fn instances_with_id(&self, id: &InstanceId) -> Vec<InstanceKey> {
        self.lookup.instances(id)
    }

    /// All instances whose check has this id of its own.
    pub(crate) fn instances_with_check(&self, id: &str) -> Vec<InstanceKey> {
        self.lookup.checks(id)
    }

    /// The index of what a topic shows.
    pub(crate) fn index_of(&self, topic: &Topic) -> u64 {
        match topic {
            Topic::Overall => self.services.index(),
            Topic::Names => self.names_index,
            Topic::Service(name) => self.service_index(name),
        }
    }

    /// Whether somebody who has seen a topic at `index` has something new to see. Also where `index` is not reached yet
    /// at all: then it comes from another log, and waiting for it would be waiting for ever.
    pub(crate) fn has_changed_since(&self, topic: &Topic, index: u64) -> bool {
        let overall = self.services.index();
        if index > overall {
            return true;
        }
        match topic {
            Topic::Overall => overall > index,
            Topic::Names => self.names_index > index,
            Topic::Service(name) => match self.services.get(name) {
                Some(service) => service.index() > index,
                // Index 0 has seen nothing: it is answered the overall index to go on from.
                None => (index == 0 && overall > 0) || self.departed.since(name) > index,
            },
        }
    }

    /// Leases and checks follow the log.
    fn move_lease(&self, event: &Event, is_replayed: bool) {
        match event {
            Event::Registered { key, lease, .. } => {
                self.lessor.grant(*lease, key.clone());
                self.prober.registered(&self.services, key);
            }
            Event::Stood { .. } => {}
            // What happens now was concluded by the prober.
            Event::Observed { lease_id, health, .. } if is_replayed => {
                self.prober.recall(*lease_id, *health);
            }
            Event::Observed { .. } => {}
            // What happens now was seen by the lessor first, and by now it may have seen more.
            Event::LivenessChanged { lease_id, liveness: Liveness::Lapsed, .. } if is_replayed => {
                self.lessor.lapse(*lease_id);
            }
            Event::LivenessChanged { key, lease_id, .. } if is_replayed => {
                self.lessor.renew(*lease_id, key);
            }
            Event::LivenessChanged { .. } => {}
            Event::DampingChanged { lease_id, is_damped, .. } => {
                self.lessor.damp(*lease_id, *is_damped);
            }
            Event::Suspected { lease_id, .. } => self.lessor.damp(*lease_id, true),
            Event::Deregistered { lease_id, .. } => {
                self.lessor.remove(*lease_id);
                self.prober.gone(*lease_id);
            }
        }
    }

    fn forget_bodies(&mut self, name: &ServiceName, index: u64) {
        self.bodies.services.take();
        self.bodies.catalog.take();
        self.bodies.applications.take();
        self.bodies.applications_xml.take();
        if self.services.get(name).is_some() {
            match self.bodies.by_service.get_mut(name) {
                Some(bodies) => *bodies = ServiceBodies::default(),
                None => {
                    self.bodies.by_service.insert(name.clone(), ServiceBodies::default());
                    self.departed.came_back(name);
                }
            }
        } else {
            self.bodies.by_service.remove(name);
            self.departed.left(name.clone(), index);
        }
    }
}

impl View for RegistryView {
    type Event = Event;

    fn apply(&mut self, event: &Event, at: At) {
        let recorded = Recorded { position: at.position, time: at.time };
        let names_went = self.lookup.before(event, &self.services);
        self.recent.push(event, &self.services, at.time);
        self.services.apply(event, recorded);
        let names_came = self.lookup.after(event);
        self.move_lease(event, at.position < self.start_tail);
        if at.position.next() == self.start_tail {
            // How long the replay took says nothing about the instances either.
            self.lessor.restart();
        }
        let service = &event.key().service;
        self.forget_bodies(service, recorded.index());
        self.history.push(event, recorded);
        if names_went || names_came {
            self.names_index = recorded.index();
            self.bodies.names.take();
            self.watches.wake_names();
        }
        // Those who wake read under the lock that is held now, so they see all events of the record.
        self.watches.wake(service);
    }
}

#[cfg(test)]
mod tests;
