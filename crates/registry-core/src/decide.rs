//! The rules.

use std::sync::Arc;

use lombard_types::Timestamp;

use crate::{
    Command, Event, Evidence, Health, Instance, InstanceKey, LeaseId, Limits, Liveness, Mode,
    Reason, Rejection, Reply, Services, Standing,
};

/// The outcome of a command that was not rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// These events happen together.
    Commit(Vec<Event>, Reply),
    /// Nothing happens.
    Answer(Reply),
}

impl Services {
    /// What would happen now, under `limits`. Those on counts hold for new instances only: lowering them evicts nobody.
    pub fn decide(
        &self,
        command: Command,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        Ok(match self.decide_alone(command, limits, now)? {
            Decision::Commit(events, reply) => Decision::Commit(self.reinstating(events), reply),
            answer @ Decision::Answer(_) => answer,
        })
    }

    /// What follows from the command by itself.
    fn decide_alone(
        &self,
        command: Command,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        match command {
            Command::Register { key, lease, address, attributes, health, evidence } => {
                let replaced = self.replaced_by(&key, &evidence, limits)?;
                let stood = self.stands_from_the_start(&key, health, &evidence);
                let registered = Event::Registered { key, lease, address, attributes, evidence };
                let events = replaced.into_iter().chain([registered]).chain(stood).collect();
                Ok(Decision::Commit(events, Reply::Registered))
            }
            Command::Report { key, lease_id, health, note, evidence } => {
                let instance = self.instance(&key).ok_or(Rejection::InstanceNotFound)?;
                if instance.lease.id != lease_id {
                    return Err(Rejection::LeaseUnknown);
                }
                let mode = instance.standing.mode;
                // In maintenance the note is the operator's.
                let note = match mode {
                    Mode::Maintenance => instance.standing.note.clone(),
                    Mode::Serving | Mode::Draining => note,
                };
                let damped = is_flapping(instance, instance.standing.health, health, limits, now)
                    .then(|| Event::DampingChanged { key: key.clone(), lease_id, is_damped: true });
                let standing = Standing { health, mode, note };
                Ok(match stand(key, instance, standing, evidence) {
                    Decision::Commit(mut events, reply) => {
                        events.extend(damped);
                        Decision::Commit(events, reply)
                    }
                    answer @ Decision::Answer(_) => answer,
                })
            }
            Command::Drain { key, is_admin, note, evidence } => {
                let instance = self.instance(&key).ok_or(Rejection::InstanceNotFound)?;
                if !is_admin && *instance.client_id() != evidence.client_id {
                    return Err(Rejection::NotRegistrant);
                }
                if instance.standing.mode == Mode::Maintenance {
                    return Ok(Decision::Answer(Reply::Stands));
                }
                let standing =
                    Standing { mode: Mode::Draining, health: instance.standing.health, note };
                Ok(stand(key, instance, standing, evidence))
            }
            Command::Maintain { key, is_out, note, evidence } => {
                let instance = self.instance(&key).ok_or(Rejection::InstanceNotFound)?;
                let mode = match instance.standing.mode {
                    _ if is_out => Mode::Maintenance,
                    Mode::Maintenance => Mode::Serving,
                    // There is nothing to put back.
                    Mode::Serving | Mode::Draining => return Ok(Decision::Answer(Reply::Stands)),
                };
                let standing = Standing { mode, health: instance.standing.health, note };
                Ok(stand(key, instance, standing, evidence))
            }
            Command::Deregister { key, is_admin, evidence } => {
                let instance = self.instance(&key).ok_or(Rejection::InstanceNotFound)?;
                if !is_admin && *instance.client_id() != evidence.client_id {
                    return Err(Rejection::NotRegistrant);
                }
                let event = gone(key, instance, Reason::Requested, Some(evidence));
                Ok(Decision::Commit(vec![event], Reply::Deregistered))
            }
            Command::Doubt { key, lease_id, doubt } => {
                Ok(self.observe(key, lease_id, |instance| match instance.liveness {
                    Liveness::Confirmed => Some(Liveness::Unknown(doubt)),
                    Liveness::Unknown(_) | Liveness::Lapsed => None,
                }))
            }
            Command::Confirm { key, lease_id } => Ok(self.observe(key, lease_id, |instance| {
                (instance.liveness != Liveness::Confirmed).then_some(Liveness::Confirmed)
            })),
            Command::Lapse { key, lease_id } => Ok(self.observe(key, lease_id, |instance| {
                (instance.liveness != Liveness::Lapsed).then_some(Liveness::Lapsed)
            })),
            Command::Observe { key, lease_id, health, note } => {
                let instance = self.under_lease(&key, lease_id);
                let Some((instance, before)) =
                    instance.and_then(|instance| Some((instance, instance.observed.as_ref()?)))
                else {
                    return Ok(Decision::Answer(Reply::NotUnderThisLease));
                };
                if before.health == health {
                    return Ok(Decision::Answer(Reply::Stands));
                }
                let damped = is_flapping(instance, before.health, health, limits, now)
                    .then(|| Event::DampingChanged { key: key.clone(), lease_id, is_damped: true });
                let observed = Event::Observed { key, lease_id, health, note };
                let events = [observed].into_iter().chain(damped).collect();
                Ok(Decision::Commit(events, Reply::Stands))
            }
            Command::Suspect { key, address, note, evidence } => {
                Ok(self.suspect(key, &address, note, evidence, limits))
            }
            Command::Release { key, lease_id } => Ok(match self.under_lease(&key, lease_id) {
                None => Decision::Answer(Reply::NotUnderThisLease),
                Some(instance) if !instance.is_damped => Decision::Answer(Reply::Stands),
                Some(_) => {
                    let event = Event::DampingChanged { key, lease_id, is_damped: false };
                    Decision::Commit(vec![event], Reply::Stands)
                }
            }),
            Command::Expire { key, lease_id } => Ok(match self.under_lease(&key, lease_id) {
                None => Decision::Answer(Reply::NotUnderThisLease),
                Some(instance) => {
                    let event = gone(key, instance, Reason::Expired, None);
                    Decision::Commit(vec![event], Reply::Deregistered)
                }
            }),
        }
    }

    /// What the registry itself has seen of a lease.
    fn observe(
        &self,
        key: InstanceKey,
        lease_id: LeaseId,
        seen: impl FnOnce(&Instance) -> Option<Liveness>,
    ) -> Decision {
        match self.under_lease(&key, lease_id).map(seen) {
            None => Decision::Answer(Reply::NotUnderThisLease),
            Some(None) => Decision::Answer(Reply::Stands),
            Some(Some(liveness)) => Decision::Commit(
                vec![Event::LivenessChanged { key, lease_id, liveness }],
                Reply::Stands,
            ),
        }
    }

    /// What a registration says beyond that the instance passes and serves.
    fn stands_from_the_start(
        &self,
        key: &InstanceKey,
        health: Health,
        evidence: &Arc<Evidence>,
    ) -> Option<Event> {
        let before = self.instance(key).map(|instance| &instance.standing);
        let kept = before.filter(|standing| standing.mode == Mode::Maintenance);
        let standing = Standing { health, ..kept.cloned().unwrap_or_default() };
        (standing != Standing::default()).then(|| Event::Stood {
            key: key.clone(),
            standing,
            evidence: Arc::clone(evidence),
        })
    }

    /// The end of the registration that a new one replaces; `None` where the instance is new and there is room for it.
    fn replaced_by(
        &self,
        key: &InstanceKey,
        evidence: &Arc<Evidence>,
        limits: Limits,
    ) -> Result<Option<Event>, Rejection> {
        if let Some(instance) = self.instance(key) {
            if *instance.client_id() != evidence.client_id {
                let client_id = instance.client_id().clone();
                return Err(Rejection::InstanceTaken { client_id });
            }
            let evidence = Some(Arc::clone(evidence));
            return Ok(Some(gone(key.clone(), instance, Reason::Replaced, evidence)));
        }
        match self.get(&key.service) {
            None if self.count() >= limits.services_max => {
                Err(Rejection::TooManyServices { count_max: limits.services_max })
            }
            Some(service) if service.instance_count() >= limits.instances_max => {
                Err(Rejection::TooManyInstances { count_max: limits.instances_max })
            }
            None | Some(_) => Ok(None),
        }
    }
}

/// Whether an instance that can serve again has become unable to too often lately.
fn is_flapping(
    instance: &Instance,
    before: Health,
    health: Health,
    limits: Limits,
    now: Timestamp,
) -> bool {
    let is_back = !before.can_serve() && health.can_serve();
    is_back
        && limits.flaps_max > 0
        && instance.falls.within(limits.flap_window, now) >= limits.flaps_max
}

fn stand(
    key: InstanceKey,
    instance: &Instance,
    standing: Standing,
    evidence: Arc<Evidence>,
) -> Decision {
    if instance.standing == standing {
        return Decision::Answer(Reply::Stands);
    }
    Decision::Commit(vec![Event::Stood { key, standing, evidence }], Reply::Stands)
}

fn gone(
    key: InstanceKey,
    instance: &Instance,
    reason: Reason,
    evidence: Option<Arc<Evidence>>,
) -> Event {
    Event::Deregistered { key, lease_id: instance.lease.id, reason, evidence }
}
