//! What is registered.

use std::{collections::BTreeMap, sync::Arc};

use lombard_types::{ClientId, InstanceId, Position, ServiceName, Timestamp};

use crate::{
    Address, Attributes, Event, Evidence, Falls, Health, InstanceKey, Lease, LeaseId, Liveness,
    Mode, Note, Standing,
};

/// The state: all services with their instances. A service without instances is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    services: BTreeMap<ServiceName, Service>,
    index: u64,
    instance_count: usize,
}

/// A service that has instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    instances: BTreeMap<InstanceId, Instance>,
    index: u64,
}

/// One running instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Where it is reached.
    pub address: Address,
    /// What it says about itself.
    pub attributes: Attributes,
    /// The lease it lives under.
    pub lease: Lease,
    /// Who registered it.
    pub evidence: Arc<Evidence>,
    /// When.
    pub registered_at: Timestamp,
    /// How it stands.
    pub standing: Standing,
    /// What the registry has found by asking it, where it asks.
    pub observed: Option<Observation>,
    /// What is known of its process.
    pub liveness: Liveness,
    /// When it lately became unable to serve.
    pub falls: Falls,
    /// Whether it gets no traffic although it says that it could serve, because it has said otherwise too often, or because
    /// its callers say otherwise.
    pub is_damped: bool,
    /// What its callers say is wrong with it, while it is damped for that.
    pub suspicion: Option<Note>,
}

/// What the registry has found by asking an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// How it is.
    pub health: Health,
    /// Why, where it cannot serve.
    pub note: Note,
}

/// Where and when an event was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The record that holds it.
    pub position: Position,
    /// When it was decided.
    pub time: Timestamp,
}

impl Recorded {
    /// The index that an event recorded here gives to what it changes.
    pub const fn index(self) -> u64 {
        self.position.next().get()
    }
}

impl Services {
    /// Makes an event part of the state.
    pub fn apply(&mut self, event: &Event, recorded: Recorded) {
        self.index = recorded.index();
        match event {
            Event::Registered { key, lease, address, attributes, evidence } => {
                let service = match self.services.get_mut(&key.service) {
                    Some(service) => service,
                    None => self.services.entry(key.service.clone()).or_default(),
                };
                service.index = recorded.index();
                let instance = Instance {
                    address: address.clone(),
                    attributes: attributes.clone(),
                    lease: *lease,
                    evidence: Arc::clone(evidence),
                    registered_at: recorded.time,
                    standing: Standing::default(),
                    observed: attributes.check().map(Observation::first),
                    liveness: Liveness::Confirmed,
                    falls: Falls::default(),
                    is_damped: false,
                    suspicion: None,
                };
                if service.instances.insert(key.instance.clone(), instance).is_none() {
                    self.instance_count += 1;
                }
            }
            Event::Stood { key, standing, .. } => {
                let Some(instance) = self.changed(key, recorded) else { return };
                // What comes with the registration is how the instance begins, and no fall.
                let is_later = recorded.time > instance.registered_at;
                let (before, after) = (instance.standing.health, standing.health);
                if is_later && before.can_serve() && !after.can_serve() {
                    instance.falls.push(recorded.time);
                }
                instance.standing = standing.clone();
            }
            Event::Observed { key, health, note, .. } => {
                let Some(instance) = self.changed(key, recorded) else { return };
                let before = instance.observed.as_ref().map(|before| before.health);
                if before.is_some_and(Health::can_serve) && !health.can_serve() {
                    instance.falls.push(recorded.time);
                }
                instance.observed = Some(Observation { health: *health, note: note.clone() });
            }
            Event::LivenessChanged { key, liveness, .. } => {
                let Some(instance) = self.changed(key, recorded) else { return };
                instance.liveness = *liveness;
            }
            Event::DampingChanged { key, is_damped, .. } => {
                let Some(instance) = self.changed(key, recorded) else { return };
                instance.is_damped = *is_damped;
                if !is_damped {
                    instance.suspicion = None;
                }
            }
            Event::Suspected { key, note, .. } => {
                let Some(instance) = self.changed(key, recorded) else { return };
                (instance.is_damped, instance.suspicion) = (true, Some(note.clone()));
            }
            Event::Deregistered { key, .. } => {
                let Some(service) = self.services.get_mut(&key.service) else { return };
                service.index = recorded.index();
                if service.instances.remove(&key.instance).is_some() {
                    self.instance_count -= 1;
                }
                if service.instances.is_empty() {
                    self.services.remove(&key.service);
                }
            }
        }
    }

    /// The instance that an event recorded here changes.
    fn changed(&mut self, key: &InstanceKey, recorded: Recorded) -> Option<&mut Instance> {
        let service = self.services.get_mut(&key.service)?;
        service.index = recorded.index();
        service.instances.get_mut(&key.instance)
    }

    pub(crate) fn from_parts(services: BTreeMap<ServiceName, Service>, index: u64) -> Self {
        let instance_count = services.values().map(Service::instance_count).sum();
        Self { services, index, instance_count }
    }

    /// Adds a service whose name is new.
    pub(crate) fn add(&mut self, name: ServiceName, service: Service) {
        self.instance_count += service.instance_count();
        self.services.insert(name, service);
    }

    /// The index of the last change of anything; 0 where nothing was ever registered.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// A service.
    pub fn get(&self, name: &ServiceName) -> Option<&Service> {
        self.services.get(name)
    }

    /// An instance.
    pub fn instance(&self, key: &InstanceKey) -> Option<&Instance> {
        self.services.get(&key.service)?.instances.get(&key.instance)
    }

    /// An instance, if it lives under this lease.
    pub fn under_lease(&self, key: &InstanceKey, lease_id: LeaseId) -> Option<&Instance> {
        self.instance(key).filter(|instance| instance.lease.id == lease_id)
    }

    /// All services, in alphabetical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ServiceName, &Service)> {
        self.services.iter()
    }

    /// How many services there are.
    pub fn count(&self) -> usize {
        self.services.len()
    }

    /// How many instances there are of all services together.
    pub const fn instance_count(&self) -> usize {
        self.instance_count
    }
}

impl Service {
    pub(crate) fn from_parts(instances: BTreeMap<InstanceId, Instance>, index: u64) -> Self {
        Self { instances, index }
    }

    /// The index of the last change of this service.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Its instances, in alphabetical order.
    pub fn instances(&self) -> impl ExactSizeIterator<Item = (&InstanceId, &Instance)> + Clone {
        self.instances.iter()
    }

    /// How many instances it has: at least one.
    pub fn instance_count(&self) -> usize {
        self.instances.len()
    }
}

impl Instance {
    /// The client that registered it.
    pub fn client_id(&self) -> &ClientId {
        &self.evidence.client_id
    }

    /// Whether new requests may be sent to it.
    pub fn takes_traffic(&self) -> bool {
        self.standing.takes_traffic()
            && self.health().can_serve()
            && !self.is_damped
            && self.liveness != Liveness::Lapsed
    }

    /// How it is: by its own word, or by what the registry has found, whichever is worse.
    pub fn health(&self) -> Health {
        let said = self.standing.health;
        self.observed.as_ref().map_or(said, |observed| said.worse(observed.health))
    }

    /// Why it stands so: what its callers say, else what was said last by somebody, else what the registry has found.
    pub fn note(&self) -> &str {
        let suspected = self.suspicion.as_ref().map(Note::as_str);
        let said = Some(self.standing.note.as_str());
        let observed = self.observed.as_ref().map(|observed| observed.note.as_str());
        let all = [suspected, said, observed].into_iter().flatten();
        all.into_iter().find(|note| !note.is_empty()).unwrap_or_default()
    }

    /// Whether it is served on what was known earlier: its lease is not confirmed.
    pub const fn is_stale(&self) -> bool {
        matches!(self.liveness, Liveness::Unknown(_))
    }

    /// All of it in one word: `starting`, `passing`, `warning`, `critical`, `unknown`, `draining` or `maintenance`. What
    /// an operator or the instance decided counts first.
    pub fn state(&self) -> &'static str {
        match (self.standing.mode, self.liveness) {
            (Mode::Draining | Mode::Maintenance, _) => self.standing.state(),
            (Mode::Serving, Liveness::Lapsed) => "critical",
            (Mode::Serving, _) if self.is_damped => "critical",
            (Mode::Serving, Liveness::Unknown(_)) if self.takes_traffic() => "unknown",
            (Mode::Serving, _) => self.health().name(),
        }
    }
}

impl Observation {
    /// Before it was asked for the first time.
    fn first(check: &crate::Check) -> Self {
        let health = if check.begins_passing { Health::Passing } else { Health::Starting };
        Self { health, note: Note::default() }
    }
}
