//! The rules against a model of a few lines: a map from instance to owner and lease, and a list of deadlines.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers may panic")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lombard_registry_core::{
    Attributes, Command, Decision, Event, Evidence, Health, InstanceKey, Lease, LeaseId,
    LeasePolicy, Leases, Limits, Mode, Note, Recorded, Rejection, Reply, Services, Standing, Ttl,
    Verdict,
};
use lombard_types::{Position, Timestamp};
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    services_max: 2,
    instances_max: 2,
    flaps_max: 0,
    flap_window: Duration::ZERO,
    suspects_percent_max: 0,
};
/// Nobody is preserved here: see the simulation.
const POLICY: LeasePolicy = LeasePolicy {
    restart_grace: Duration::from_secs(GRACE),
    preserve_percent: 0,
    preserve_ttls: 3,
    stream_grace: Duration::ZERO,
    damping: Duration::ZERO,
};
const GRACE: u64 = 2;

#[derive(Clone, Debug)]
enum Step {
    Register {
        key: InstanceKey,
        client: u8,
        ttl: u64,
    },
    Deregister {
        key: InstanceKey,
        client: u8,
        is_admin: bool,
    },
    Renew {
        key: InstanceKey,
    },
    Report {
        key: InstanceKey,
        health: Health,
        is_of_an_old_lease: bool,
    },
    Drain {
        key: InstanceKey,
        client: u8,
        is_admin: bool,
    },
    Maintain {
        key: InstanceKey,
        is_out: bool,
    },
    /// Time passes and everything that is due expires, in order.
    Pass {
        seconds: u64,
    },
    /// An expiry that comes late, for a lease of long ago.
    ExpireOld {
        key: InstanceKey,
        lease: u128,
    },
    Restart,
}

/// Who registered it, under which lease, until when, for how long.
#[derive(Clone, Debug)]
struct Entry {
    client: u8,
    lease: u128,
    ttl: u64,
    deadline: u64,
    health: Health,
    mode: Mode,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || {
        ("[abc]", "[xyz]").prop_map(|(service, instance)| InstanceKey {
            service: service.parse().unwrap(),
            instance: instance.parse().unwrap(),
        })
    };
    prop_oneof![
        4 => (key(), 0..2u8, 1..6u64).prop_map(|(key, client, ttl)| Step::Register { key, client, ttl }),
        2 => (key(), 0..2u8, any::<bool>())
            .prop_map(|(key, client, is_admin)| Step::Deregister { key, client, is_admin }),
        3 => key().prop_map(|key| Step::Renew { key }),
        2 => (key(), prop::sample::select(Health::ALL), prop::bool::weighted(0.2)).prop_map(
            |(key, health, is_of_an_old_lease)| Step::Report { key, health, is_of_an_old_lease }
        ),
        1 => (key(), 0..2u8, any::<bool>())
            .prop_map(|(key, client, is_admin)| Step::Drain { key, client, is_admin }),
        1 => (key(), any::<bool>()).prop_map(|(key, is_out)| Step::Maintain { key, is_out }),
        2 => (0..4u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => (key(), 0..20u128).prop_map(|(key, lease)| Step::ExpireOld { key, lease }),
        1 => Just(Step::Restart),
    ]
}

fn evidence(client: u8) -> Arc<Evidence> {
    Arc::new(Evidence {
        client_id: format!("client-{client}").parse().unwrap(),
        subject: "somebody".into(),
        token_id: "token".into(),
        request_id: "request".parse().unwrap(),
        traceparent: None,
    })
}

/// The real thing, with its log.
struct Real {
    services: Services,
    leases: Leases,
    log: Vec<Vec<Event>>,
}

impl Real {
    fn new() -> Self {
        Self { services: Services::default(), leases: Leases::new(POLICY), log: Vec::new() }
    }

    /// Time passes, and what is due is done, in order.
    fn pass(&mut self, from: u64, until: u64) {
        let (mut now, until) = (Duration::from_secs(from), Duration::from_secs(until));
        while now < until {
            now += Leases::TICK;
            for due in self.leases.take_due(now) {
                assert_eq!(due.verdict, Verdict::Expire);
                let (key, lease_id) = (due.key, due.lease_id);
                let reply = self.submit(Command::Expire { key, lease_id }, now.as_secs());
                assert_eq!(reply, Ok(Reply::Deregistered));
            }
        }
    }

    fn submit(&mut self, command: Command, now: u64) -> Result<Reply, Rejection> {
        let (events, reply) = match self.services.decide(command, LIMITS, Timestamp::EPOCH)? {
            Decision::Commit(events, reply) => (events, reply),
            Decision::Answer(reply) => return Ok(reply),
        };
        let before = self.services.index();
        self.log.push(events);
        self.apply(self.log.len() - 1, now);
        assert!(self.services.index() > before, "the index grows with every change");
        Ok(reply)
    }

    fn apply(&mut self, position: usize, now: u64) {
        let position_in_log = Position::new(u64::try_from(position).unwrap());
        for event in &self.log[position] {
            let recorded = Recorded { position: position_in_log, time: Timestamp::EPOCH };
            self.services.apply(event, recorded);
            match event {
                Event::Stood { .. }
                | Event::LivenessChanged { .. }
                | Event::Observed { .. }
                | Event::DampingChanged { .. }
                | Event::Suspected { .. } => {}
                Event::Registered { key, lease, .. } => {
                    self.leases.grant(*lease, key.clone(), Duration::from_secs(now));
                }
                Event::Deregistered { lease_id, .. } => self.leases.remove(*lease_id),
            }
        }
    }

    fn restart(&mut self, now: u64) {
        let before = std::mem::take(&mut self.services);
        self.leases = Leases::new(POLICY);
        for position in 0..self.log.len() {
            self.apply(position, now);
        }
        self.leases.restart(Duration::from_secs(now));
        assert_eq!(self.services, before, "replay gives the same state");
    }
}

#[derive(Default)]
struct Model(BTreeMap<InstanceKey, Entry>);

impl Model {
    fn register(&mut self, key: &InstanceKey, mut entry: Entry) -> bool {
        let services =
            self.0.keys().map(|key| &key.service).collect::<std::collections::BTreeSet<_>>();
        let instances = self.0.keys().filter(|other| other.service == key.service).count();
        let is_allowed = match self.0.get(key) {
            Some(existing) => existing.client == entry.client,
            None if instances == 0 => services.len() < LIMITS.services_max,
            None => instances < LIMITS.instances_max,
        };
        if is_allowed {
            if let Some(existing) = self.0.get(key)
                && existing.mode == Mode::Maintenance
            {
                entry.mode = Mode::Maintenance;
            }
            self.0.insert(key.clone(), entry);
        }
        is_allowed
    }

    fn deregister(&mut self, key: &InstanceKey, client: u8, is_admin: bool) -> bool {
        let is_allowed = self.0.get(key).is_some_and(|entry| is_admin || entry.client == client);
        if is_allowed {
            self.0.remove(key);
        }
        is_allowed
    }
}

fn run(steps: Vec<Step>) {
    let (mut real, mut model) = (Real::new(), Model::default());
    let (mut now, mut leases) = (0, 0);
    for step in steps {
        match step {
            Step::Register { key, client, ttl } => {
                leases += 1;
                let (id, granted) = (LeaseId::from_u128(leases), Ttl::from_seconds(ttl).unwrap());
                let lease =
                    Lease { id, ttl: granted, deregister_after_seconds: 0, is_permanent: false };
                let (health, mode) = (Health::Starting, Mode::Serving);
                let deadline = now + ttl;
                let entry = Entry { client, lease: leases, ttl, deadline, health, mode };
                let expected = model.register(&key, entry);
                let command = Command::Register {
                    key,
                    lease,
                    address: "http://127.0.0.1:9000".parse().unwrap(),
                    attributes: Attributes::default(),
                    health,
                    evidence: evidence(client),
                };
                assert_eq!(real.submit(command, now).is_ok(), expected);
            }
            Step::Deregister { key, client, is_admin } => {
                let expected = model.deregister(&key, client, is_admin);
                let command = Command::Deregister { key, is_admin, evidence: evidence(client) };
                assert_eq!(real.submit(command, now).is_ok(), expected);
            }
            Step::Renew { key } => {
                let Some(entry) = model.0.get_mut(&key) else { continue };
                entry.deadline = now + entry.ttl;
                let id = LeaseId::from_u128(entry.lease);
                assert!(real.leases.renew(id, &key, Duration::from_secs(now)).is_some());
            }
            Step::Report { key, health, is_of_an_old_lease } => {
                let entry = model.0.get_mut(&key);
                let lease = entry.as_ref().map_or(0, |entry| entry.lease);
                let lease_id =
                    LeaseId::from_u128(if is_of_an_old_lease { 1 << 100 } else { lease });
                let (note, evidence) = (Note::default(), evidence(0));
                let command = Command::Report { key, lease_id, health, note, evidence };
                let expected = match entry {
                    None => Err(Rejection::InstanceNotFound),
                    Some(_) if is_of_an_old_lease => Err(Rejection::LeaseUnknown),
                    Some(entry) => {
                        entry.health = health;
                        Ok(Reply::Stands)
                    }
                };
                assert_eq!(real.submit(command, now), expected);
            }
            Step::Drain { key, client, is_admin } => {
                let entry = model.0.get_mut(&key);
                let (note, evidence) = (Note::default(), evidence(client));
                let expected = match entry {
                    None => Err(Rejection::InstanceNotFound),
                    Some(entry) if !is_admin && entry.client != client => {
                        Err(Rejection::NotRegistrant)
                    }
                    Some(entry) => {
                        if entry.mode != Mode::Maintenance {
                            entry.mode = Mode::Draining;
                        }
                        Ok(Reply::Stands)
                    }
                };
                let command = Command::Drain { key, is_admin, note, evidence };
                assert_eq!(real.submit(command, now), expected);
            }
            Step::Maintain { key, is_out } => {
                let (note, evidence) = (Note::default(), evidence(0));
                let expected = match model.0.get_mut(&key) {
                    None => Err(Rejection::InstanceNotFound),
                    Some(entry) => {
                        match entry.mode {
                            _ if is_out => entry.mode = Mode::Maintenance,
                            Mode::Maintenance => entry.mode = Mode::Serving,
                            Mode::Serving | Mode::Draining => {}
                        }
                        Ok(Reply::Stands)
                    }
                };
                let command = Command::Maintain { key, is_out, note, evidence };
                assert_eq!(real.submit(command, now), expected);
            }
            Step::Pass { seconds } => {
                real.pass(now, now + seconds);
                now += seconds;
                model.0.retain(|_, entry| entry.deadline > now);
            }
            Step::ExpireOld { key, lease } => {
                if model.0.get(&key).is_some_and(|entry| entry.lease == lease) {
                    continue;
                }
                let command = Command::Expire { key, lease_id: LeaseId::from_u128(lease) };
                assert_eq!(real.submit(command, now), Ok(Reply::NotUnderThisLease));
            }
            Step::Restart => {
                real.restart(now);
                for entry in model.0.values_mut() {
                    entry.deadline = now + entry.ttl + GRACE;
                }
            }
        }
        check(&real, &model);
    }
}

fn check(real: &Real, model: &Model) {
    let found: Vec<_> = real
        .services
        .iter()
        .flat_map(|(service, instances)| {
            assert!(instances.instance_count() > 0 && instances.index() <= real.services.index());
            instances.instances().map(|(instance, details)| {
                let key = InstanceKey { service: service.clone(), instance: instance.clone() };
                let client = details.client_id().to_string();
                (key, client, details.lease.id.as_u128(), details.standing.clone())
            })
        })
        .collect();
    let expected: Vec<_> = model
        .0
        .iter()
        .map(|(key, entry)| {
            let Entry { client, lease, health, mode, .. } = *entry;
            let standing = Standing { health, mode, note: Note::default() };
            (key.clone(), format!("client-{client}"), lease, standing)
        })
        .collect();
    assert_eq!(found, expected);
    assert_eq!(real.services.instance_count(), expected.len());
    assert_eq!(real.leases.count(), expected.len(), "every instance has exactly one lease");
    let next = model.0.values().map(|entry| Duration::from_secs(entry.deadline)).min();
    assert_eq!(real.leases.next_deadline(), next);
}

proptest! {
    #[test]
    fn agrees_with_the_model(steps in prop::collection::vec(step(), 1..60)) {
        run(steps);
    }
}
