//! The registry's judgement of who lives, from seeds: restarts, pauses of the process, partitions of part of the
//! heartbeats, proxies that break every stream, wall clocks that jump, and instances that really die.
//!
//! What must hold: no healthy instance is ever without traffic; nobody dead is served beyond the bound; who watches sees
//! every final state; the index never falls, also where the process was killed; what the gateway says of instances that
//! fail never leaves a service without anybody. `checks.rs` has the same for instances that the registry asks itself.
//! `LOMBARD_SEEDS=10000 cargo test -p lombard-registry-core --test simulation` tries more; a failure names its seed.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers may panic")]

mod checks;
mod random;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lombard_registry_core::{
    Attributes, Command, Decision, Ended, Event, Evidence, Health, Instance, InstanceKey, Lease,
    LeaseId, LeasePolicy, Leases, Limits, Liveness, Recorded, Services, Ttl, Verdict,
};
use lombard_types::{Position, Timestamp};

use self::random::Random;

const POLICY: LeasePolicy = LeasePolicy {
    restart_grace: Duration::from_secs(5),
    preserve_percent: 30,
    preserve_ttls: 3,
    stream_grace: Duration::from_millis(500),
    damping: Duration::from_secs(30),
};
const LIMITS: Limits = Limits {
    services_max: 100,
    instances_max: 100,
    flaps_max: 5,
    flap_window: Duration::from_secs(60),
    suspects_percent_max: 50,
};
const SERVICES: [&str; 3] = ["accounts", "ledgers", "payments"];
const SEEDS_DEFAULT: u64 = 1000;
/// Ticks with faults, and ticks after them in which everything must come to rest.
const FAULTY: u32 = 600;
const QUIET: u32 = 600;

/// The registry's process, as long as it lives, and its log.
struct Registry {
    services: Services,
    leases: Leases,
    log: Vec<(Vec<Event>, Timestamp)>,
    index_seen: u64,
}

impl Registry {
    fn submit(&mut self, command: Command, wall: Timestamp, now: Duration) {
        // The engine's clock strictly increases, whatever the wall clock does.
        let last = self.log.last().map_or(Timestamp::EPOCH, |(_, time)| *time);
        let time = wall.max(last.plus(Duration::from_nanos(1)));
        let decision = self.services.decide(command, LIMITS, time).unwrap();
        if let Decision::Commit(events, _) = decision {
            for event in &events {
                match event {
                    Event::Suspected { lease_id, .. } => self.leases.damp(*lease_id, true, now),
                    Event::DampingChanged { lease_id, is_damped, .. } => {
                        self.leases.damp(*lease_id, *is_damped, now);
                    }
                    _ => {}
                }
            }
            self.log.push((events, time));
            self.apply(self.log.len() - 1);
        }
        assert!(self.services.index() >= self.index_seen, "the index falls");
        self.index_seen = self.services.index();
    }

    fn apply(&mut self, number: usize) {
        let (events, time) = &self.log[number];
        let position = Position::new(number.try_into().unwrap());
        for event in events {
            self.services.apply(event, Recorded { position, time: *time });
        }
    }

    fn grant(&mut self, number: usize, now: Duration) {
        for event in &self.log[number].0 {
            match event {
                Event::Registered { key, lease, .. } => self.leases.grant(*lease, key.clone(), now),
                Event::Deregistered { lease_id, .. } => self.leases.remove(*lease_id),
                Event::LivenessChanged { lease_id, liveness: Liveness::Lapsed, .. } => {
                    self.leases.lapse(*lease_id, now);
                }
                Event::LivenessChanged { key, lease_id, .. } => {
                    self.leases.renew(*lease_id, key, now);
                }
                Event::Suspected { lease_id, .. } => self.leases.damp(*lease_id, true, now),
                Event::DampingChanged { lease_id, is_damped, .. } => {
                    self.leases.damp(*lease_id, *is_damped, now);
                }
                Event::Stood { .. } | Event::Observed { .. } => {}
            }
        }
    }

    /// Killed and started again: all it knows is its log.
    fn restart(&mut self, now: Duration, wall: Timestamp) {
        self.services = Services::default();
        self.leases = Leases::new(POLICY);
        for number in 0..self.log.len() {
            self.apply(number);
            self.grant(number, now);
        }
        assert_eq!(self.services.index(), self.index_seen, "a restart forgets nothing");
        self.leases.restart(now);
        for (key, lease_id) in self.leases.unconfirmed() {
            let doubt = lombard_registry_core::Doubt::Restart;
            self.submit(Command::Doubt { key, lease_id, doubt }, wall, now);
        }
    }

    /// What the log says of an instance.
    fn story(&self, key: &InstanceKey) -> String {
        let mut lines = String::new();
        for (events, time) in &self.log {
            for event in events.iter().filter(|event| event.key() == key) {
                lines.push_str(&format!("{time:?} {event:?}\n"));
            }
        }
        lines
    }

    fn judge(&mut self, now: Duration, wall: Timestamp) {
        for due in self.leases.take_due(now) {
            let (key, lease_id) = (due.key, due.lease_id);
            let command = match due.verdict {
                Verdict::Doubt(doubt) => Command::Doubt { key, lease_id, doubt },
                Verdict::Lapse => Command::Lapse { key, lease_id },
                Verdict::Expire => Command::Expire { key, lease_id },
                Verdict::Release => Command::Release { key, lease_id },
            };
            self.submit(command, wall, now);
        }
    }
}

/// One process of a user's service.
struct Process {
    key: InstanceKey,
    lease: Lease,
    is_alive: bool,
    /// Whether it binds its lease to a stream, and whether that is open for the registry.
    wants_stream: bool,
    has_stream: bool,
    /// Until when nothing of it reaches the registry.
    cut_off_until: Duration,
    next_renewal: Duration,
    /// How long it was served after its death, while the registry ran; anew after each restart.
    served_dead: Duration,
    /// Until when it fails whoever calls it, although it lives.
    sick_until: Duration,
}

#[derive(Default)]
struct Watcher {
    seen: u64,
    shown: BTreeMap<String, &'static str>,
}

struct World {
    random: Random,
    now: Duration,
    /// How far the wall clock is off, in seconds.
    wall_off: u64,
    registry: Registry,
    away_until: Duration,
    is_killed: bool,
    processes: Vec<Process>,
    watchers: BTreeMap<&'static str, Watcher>,
    /// A service is partitioned once at a time.
    partition_until: BTreeMap<String, Duration>,
    names: u64,
}

fn evidence() -> Arc<Evidence> {
    Arc::new(Evidence {
        client_id: "client".parse().unwrap(),
        subject: "client".into(),
        token_id: "token".into(),
        request_id: "request".parse().unwrap(),
        traceparent: None,
    })
}

impl World {
    fn new(seed: u64) -> Self {
        let registry = Registry {
            services: Services::default(),
            leases: Leases::new(POLICY),
            log: Vec::new(),
            index_seen: 0,
        };
        let mut world = Self {
            random: Random(seed),
            now: Duration::ZERO,
            wall_off: 1_000_000,
            registry,
            away_until: Duration::ZERO,
            is_killed: false,
            processes: Vec::new(),
            watchers: SERVICES.into_iter().map(|name| (name, Watcher::default())).collect(),
            partition_until: BTreeMap::new(),
            names: 0,
        };
        for service in SERVICES {
            for _ in 0..3 + world.random.below(6) {
                world.start(service);
            }
        }
        world
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.wall_off).plus(self.now)
    }

    fn is_away(&self) -> bool {
        self.now < self.away_until
    }

    fn start(&mut self, service: &str) {
        self.names += 1;
        let instance = format!("i{}", self.names).parse().unwrap();
        let key = InstanceKey { service: service.parse().unwrap(), instance };
        // One time to live a service.
        let ttl = Ttl::from_seconds(2 + 2 * u64::try_from(service.len()).unwrap() % 7).unwrap();
        let deregister_after_seconds = if self.random.is_one_in(3) { 20 } else { 0 };
        let id = LeaseId::from_u128(self.names.into());
        let lease = Lease { id, ttl, deregister_after_seconds, is_permanent: false };
        let command = Command::Register {
            key: key.clone(),
            lease,
            address: "http://127.0.0.1:9000".parse().unwrap(),
            attributes: Attributes::default(),
            health: Health::Passing,
            evidence: evidence(),
        };
        self.registry.submit(command, self.wall(), self.now);
        self.registry.leases.grant(lease, key.clone(), self.now);
        self.processes.push(Process {
            key,
            lease,
            is_alive: true,
            wants_stream: self.names.is_multiple_of(2),
            has_stream: false,
            cut_off_until: Duration::ZERO,
            next_renewal: self.now,
            served_dead: Duration::ZERO,
            sick_until: Duration::ZERO,
        });
    }

    fn cause_a_fault(&mut self) {
        let seconds = Duration::from_secs;
        match self.random.below(9) {
            0 => {
                self.is_killed = true;
                self.away_until = self.now + self.random.duration(seconds(0), seconds(10));
                for process in &mut self.processes {
                    process.has_stream = false;
                }
            }
            1 => self.away_until = self.now + self.random.duration(seconds(0), seconds(30)),
            2 => self.wall_off = 1_000_000 + self.random.below(7200),
            3 => self.partition(),
            4 => {
                let service = SERVICES[usize::try_from(self.random.below(3)).unwrap()];
                if !self.is_away() && !self.is_partitioned(service) {
                    self.start(service);
                }
            }
            5 => self.break_all_streams(),
            6 => self.blink(),
            7 => self.sicken(),
            _ => self.kill(),
        }
    }

    fn is_partitioned(&self, service: &str) -> bool {
        self.partition_until.get(service).is_some_and(|until| self.now < *until)
    }

    /// At least 40 % of a service is not heard, for at most two of its leases.
    fn partition(&mut self) {
        let is_broken =
            |process: &Process| process.is_alive && process.wants_stream && !process.has_stream;
        // One of them whose stream alone is still broken then cannot be told from one that died.
        if self.processes.iter().any(is_broken) {
            return;
        }
        let service = SERVICES[usize::try_from(self.random.below(3)).unwrap()];
        let mut alive: Vec<_> = self
            .processes
            .iter_mut()
            .filter(|process| process.is_alive && process.key.service.as_str() == service)
            .collect();
        if alive.len() < 3
            || self.partition_until.contains_key(service) && {
                let until = self.partition_until[service];
                // They must have been heard in between.
                self.now < until + alive[0].lease.ttl.duration()
            }
        {
            return;
        }
        let ttl = alive[0].lease.ttl.duration();
        let until = self.now + self.random.duration(Duration::from_millis(1), ttl * 2);
        let count = (alive.len() * 2).div_ceil(5);
        for process in alive.iter_mut().take(count) {
            process.cut_off_until = until;
        }
        self.partition_until.insert(service.to_owned(), until);
    }

    /// A proxy that all of them pass is started again.
    fn break_all_streams(&mut self) {
        let until = self.now + self.random.duration(Duration::ZERO, Duration::from_secs(2));
        let is_cut_off = self.processes.iter().any(|process| self.now < process.cut_off_until);
        let services = &self.registry.services;
        let has_stream = |process: &&Process| {
            let is_known = services.under_lease(&process.key, process.lease.id).is_some();
            process.has_stream && is_known
        };
        let streams = self.processes.iter().filter(has_stream).count();
        // One alone that breaks cannot be told from a death.
        if streams < 2 || self.is_away() || is_cut_off {
            return;
        }
        for process in self.processes.iter_mut().filter(|process| process.has_stream) {
            process.has_stream = false;
            process.next_renewal = process.next_renewal.min(until);
            process.cut_off_until = process.cut_off_until.max(until);
            self.registry.leases.close_stream(process.lease.id, Ended::ByPeer, self.now);
        }
    }

    /// One connection breaks, and is there again at once.
    fn blink(&mut self) {
        let now = self.now;
        if let Some(process) = self
            .processes
            .iter_mut()
            .find(|process| process.is_alive && process.has_stream && process.cut_off_until <= now)
            && now >= self.away_until
        {
            process.has_stream = false;
            process.next_renewal = now;
            self.registry.leases.close_stream(process.lease.id, Ended::ByPeer, now);
        }
    }

    /// One that lives fails whoever calls it, for a while.
    fn sicken(&mut self) {
        let until = self.now + self.random.duration(Duration::ZERO, Duration::from_secs(20));
        let count = self.processes.len() as u64;
        let chosen = usize::try_from(self.random.below(count)).unwrap();
        self.processes[chosen].sick_until = until;
    }

    /// The gateway tells of those that fail it, as soon as it has sent them enough.
    fn suspect(&mut self) {
        let (now, wall) = (self.now, self.wall());
        for process in &self.processes {
            let found = self.registry.services.under_lease(&process.key, process.lease.id);
            let fails = now < process.sick_until || !process.is_alive;
            if fails && found.is_some_and(Instance::takes_traffic) && self.random.is_one_in(4) {
                let command = Command::Suspect {
                    key: process.key.clone(),
                    address: "http://127.0.0.1:9000".parse().unwrap(),
                    note: "it fails".parse().unwrap(),
                    evidence: evidence(),
                };
                self.registry.submit(command, wall, now);
            }
        }
    }

    /// A process dies, or its whole host, which breaks no stream.
    fn kill(&mut self) {
        let alive: Vec<_> =
            (0..self.processes.len()).filter(|number| self.processes[*number].is_alive).collect();
        if alive.is_empty() {
            return;
        }
        let chosen = alive[usize::try_from(self.random.below(alive.len() as u64)).unwrap()];
        let is_host = self.random.is_one_in(3);
        let (now, is_away) = (self.now, self.is_away());
        let process = &mut self.processes[chosen];
        process.is_alive = false;
        let is_heard = process.has_stream && !is_host && process.cut_off_until <= now && !is_away;
        if is_heard {
            process.has_stream = false;
            self.registry.leases.close_stream(process.lease.id, Ended::ByPeer, now);
        }
    }

    fn tick(&mut self) {
        let was_away = self.is_away();
        self.now += Leases::TICK;
        if self.is_away() {
            return;
        }
        let (now, wall) = (self.now, self.wall());
        if was_away && std::mem::take(&mut self.is_killed) {
            self.registry.restart(now, wall);
            for process in &mut self.processes {
                process.served_dead = Duration::ZERO;
            }
        }
        // The worst order: what is due is judged before what waits in the sockets is read.
        self.registry.judge(now, wall);
        self.renew();
        self.suspect();
        self.check();
    }

    fn renew(&mut self) {
        let (now, wall) = (self.now, self.wall());
        for process in &mut self.processes {
            if !process.is_alive || now < process.next_renewal || now < process.cut_off_until {
                continue;
            }
            let (leases, id) = (&mut self.registry.leases, process.lease.id);
            let is_known = if process.wants_stream && !process.has_stream {
                process.has_stream = true;
                leases.open_stream(id, &process.key, now).is_some()
            } else {
                leases.renew(id, &process.key, now).is_some()
            };
            assert!(is_known, "{} lives and has lost its lease", process.key);
            let share = Duration::from_millis(800 + self.random.below(400)).as_secs_f64();
            process.next_renewal = now + process.lease.ttl.duration().mul_f64(share / 3.0);
            let instance = self.registry.services.instance(&process.key).unwrap();
            if instance.liveness != Liveness::Confirmed {
                let command = Command::Confirm { key: process.key.clone(), lease_id: id };
                self.registry.submit(command, wall, now);
            }
        }
    }

    fn check(&mut self) {
        for process in &mut self.processes {
            let found = self.registry.services.under_lease(&process.key, process.lease.id);
            let is_served = found.is_some_and(Instance::takes_traffic);
            let is_suspected = found.is_some_and(|found| found.suspicion.is_some());
            if process.is_alive {
                let key = &process.key;
                let story = || self.registry.story(key);
                assert!(is_served || is_suspected, "{key} lives and gets no traffic:\n{}", story());
            } else if is_served {
                process.served_dead += Leases::TICK;
                let bound = process.lease.ttl.duration() * POLICY.preserve_ttls
                    + POLICY.restart_grace
                    + Leases::PAUSE_MIN;
                assert!(process.served_dead <= bound, "{} is dead and served", process.key);
            }
        }
        for (name, service) in self.registry.services.iter() {
            let instances = || service.instances().map(|(_, instance)| instance);
            let is_left = instances().any(Instance::takes_traffic);
            let are_suspected = instances().any(|instance| instance.suspicion.is_some());
            assert!(is_left || !are_suspected, "{name} has nobody left, on others' word");
        }
        for (name, watcher) in &mut self.watchers {
            let service = self.registry.services.get(&name.parse().unwrap());
            let shown: BTreeMap<_, _> = service
                .into_iter()
                .flat_map(|service| service.instances())
                .map(|(id, instance)| (id.to_string(), instance.state()))
                .collect();
            let index = service.map_or(self.registry.services.index(), |service| service.index());
            if index > watcher.seen {
                // A watcher may be slow, and then sees the last of several changes.
                if self.random.is_one_in(3) {
                    *watcher = Watcher { seen: index, shown };
                }
            } else {
                assert_eq!(watcher.shown, shown, "{name} changed, and its index did not");
            }
        }
    }

    fn check_at_rest(&mut self) {
        assert!(!self.is_away());
        for (name, watcher) in &self.watchers {
            let service = self.registry.services.get(&name.parse().unwrap());
            let instances: Vec<_> =
                service.into_iter().flat_map(|service| service.instances()).collect();
            let shown: Vec<_> = instances.iter().map(|(id, _)| id.to_string()).collect();
            assert_eq!(watcher.shown.keys().cloned().collect::<Vec<_>>(), shown, "{name}");
            for (id, instance) in instances {
                assert_eq!(instance.state(), "passing", "{name}/{id}");
                assert!(self.processes.iter().any(|p| p.key.instance == *id && p.is_alive));
            }
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..FAULTY {
        if world.random.is_one_in(12) {
            world.cause_a_fault();
        }
        world.tick();
    }
    for _ in 0..QUIET {
        world.tick();
    }
    world.check_at_rest();
}

/// Runs one seed after the other, or the one that `LOMBARD_SEED` says.
fn all_seeds(run: fn(u64)) {
    #[expect(clippy::disallowed_methods, reason = "a test may be told how much to try")]
    if let Ok(seed) = std::env::var("LOMBARD_SEED") {
        return run(seed.parse().unwrap());
    }
    #[expect(clippy::disallowed_methods, reason = "a test may be told how much to try")]
    let seeds = std::env::var("LOMBARD_SEEDS").ok().map(|seeds| seeds.parse().unwrap());
    for seed in 0..seeds.unwrap_or(SEEDS_DEFAULT) {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

#[test]
fn the_living_are_served_and_the_dead_are_not() {
    all_seeds(run);
}
