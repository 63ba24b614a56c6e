//! What those who send an instance its traffic say of it: that it fails them.

use std::{collections::BTreeMap, sync::Arc};

use lombard_types::{Position, Timestamp};

use crate::{
    Address, Decision, Event, Evidence, Instance, InstanceKey, Limits, Liveness, Note, Reason,
    Recorded, Reply, Service, Services,
};

impl Services {
    /// An instance that fails its callers is damped: it gets no traffic for a while, then is tried again. Never all of a
    /// service at once: who says so may itself be cut off from them.
    pub(crate) fn suspect(
        &self,
        key: InstanceKey,
        address: &Address,
        note: Note,
        evidence: Arc<Evidence>,
        limits: Limits,
    ) -> Decision {
        let found = self.get(&key.service).zip(self.instance(&key));
        // Another process may have taken its name.
        let Some((service, instance)) = found.filter(|(_, found)| found.address == *address) else {
            return Decision::Answer(Reply::NotUnderThisLease);
        };
        if !instance.takes_traffic() {
            return Decision::Answer(Reply::Stands);
        }
        if !has_room(service, limits) {
            return Decision::Answer(Reply::Spared);
        }
        let lease_id = instance.lease.id;
        Decision::Commit(vec![Event::Suspected { key, lease_id, note, evidence }], Reply::Stands)
    }

    /// These events, and what must happen with them: where they leave a service without anybody who takes traffic, those
    /// that were only suspected take it again.
    pub(crate) fn reinstating(&self, mut events: Vec<Event>) -> Vec<Event> {
        // Most take nothing away, and need no look at the whole service.
        if !events.iter().any(may_take_traffic_away) {
            return events;
        }
        let Some(name) = events.first().map(|event| &event.key().service) else { return events };
        let Some(service) = self.get(name) else { return events };
        if !service.instances().any(|(_, instance)| instance.suspicion.is_some()) {
            return events;
        }
        let name = name.clone();
        let mut after = Self::from_parts(BTreeMap::from([(name.clone(), service.clone())]), 0);
        // Whether somebody takes traffic depends on neither.
        let recorded = Recorded { position: Position::START, time: Timestamp::EPOCH };
        events.iter().for_each(|event| after.apply(event, recorded));
        let left = after.get(&name).into_iter().flat_map(Service::instances);
        if left.clone().any(|(_, instance)| instance.takes_traffic()) {
            return events;
        }
        let suspected = left.filter(|(_, instance)| instance.suspicion.is_some());
        events.extend(suspected.map(|(id, instance)| Event::DampingChanged {
            key: InstanceKey { service: name.clone(), instance: id.clone() },
            lease_id: instance.lease.id,
            is_damped: false,
        }));
        events
    }
}

/// Whether an instance may have no traffic after this that had some before.
fn may_take_traffic_away(event: &Event) -> bool {
    match event {
        Event::Registered { attributes, .. } => {
            attributes.check().is_some_and(|check| !check.begins_passing)
        }
        Event::Stood { standing, .. } => !standing.takes_traffic(),
        Event::Observed { health, .. } => !health.can_serve(),
        Event::LivenessChanged { liveness, .. } => *liveness == Liveness::Lapsed,
        Event::DampingChanged { is_damped, .. } => *is_damped,
        Event::Suspected { .. } => true,
        // What replaces it, in the same record, says how it is from then on.
        Event::Deregistered { reason, .. } => *reason != Reason::Replaced,
    }
}

/// Whether one instance more may be without traffic on others' word: another one must have some.
fn has_room(service: &Service, limits: Limits) -> bool {
    let count = |is_so: fn(&Instance) -> bool| {
        service.instances().filter(|(_, instance)| is_so(instance)).count()
    };
    let suspected = count(|instance| instance.suspicion.is_some());
    let serving = count(Instance::takes_traffic);
    let share = (suspected + 1) * 100 <= service.instance_count() * limits.suspects_percent_max;
    serving >= 2 && share
}
