//! The rules.

use std::sync::Arc;

use crate::{
    Command, Event, Evidence, Health, Instance, InstanceKey, Limits, Mode, Reason, Rejection,
    Reply, Services, Standing,
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
    /// What would happen, under `limits`. They hold for new instances only: lowering them evicts nobody.
    pub fn decide(&self, command: Command, limits: Limits) -> Result<Decision, Rejection> {
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
                Ok(stand(key, instance, Standing { health, mode, note }, evidence))
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
            Command::Expire { key, lease_id } => {
                match self.instance(&key).filter(|instance| instance.lease.id == lease_id) {
                    Some(instance) => {
                        let event = gone(key, instance, Reason::Expired, None);
                        Ok(Decision::Commit(vec![event], Reply::Deregistered))
                    }
                    None => Ok(Decision::Answer(Reply::NotUnderThisLease)),
                }
            }
        }
    }

    /// The end of the registration that a new one replaces; `None` where the instance is new and there is room for it.
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
