//! Instances that the registry asks itself: processes that die, hosts that are lost, and a way to them that breaks for
//! many at once.
//!
//! What must hold: silence of many is never held against those that live; who has died is found within the bound; at rest
//! everybody is what it is; a restart forgets no conclusion.

use std::time::Duration;

use lombard_registry_core::{
    Attributes, Check, Command, Decision, Event, Failure, Health, Instance, InstanceKey, Lease,
    LeaseId, Outcome, ProbePolicy, Probes, Question, Recorded, Services, Ttl,
};
use lombard_types::{Position, Timestamp};

use crate::{LIMITS, all_seeds, evidence, random::Random};

const POLICY: ProbePolicy = ProbePolicy { preserve_percent: 30, preserve_times: 3 };
const TICK: Duration = Duration::from_millis(250);
const FAULTY: u32 = 400;
const QUIET: u32 = 100;
const INSTANCES: u64 = 8;
const FAILURES_MIN: u8 = 2;
const INTERVAL_MS: u32 = 1000;
/// What a question that is not answered takes, too: nobody is asked twice meanwhile.
const ROUND: Duration = Duration::from_millis(INTERVAL_MS as u64 + INTERVAL_MS as u64 / 16 + 250);

fn check() -> Check {
    Check {
        question: Question::Tcp,
        at: None,
        interval_ms: INTERVAL_MS,
        timeout_ms: 1000,
        successes_min: 1,
        failures_min: FAILURES_MIN,
        begins_passing: false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    /// Its host answers that nobody listens.
    Dead,
    /// Nothing answers.
    Lost,
}

struct Process {
    key: InstanceKey,
    lease_id: LeaseId,
    state: State,
    silent_until: Duration,
    served_dead: Duration,
}

struct World {
    random: Random,
    now: Duration,
    services: Services,
    probes: Probes,
    log: Vec<Vec<Event>>,
    processes: Vec<Process>,
    /// When all have been heard since the last silence.
    heard_at: Duration,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            random: Random(seed),
            now: Duration::ZERO,
            services: Services::default(),
            probes: Probes::new(POLICY),
            log: Vec::new(),
            processes: Vec::new(),
            heard_at: Duration::from_secs(5),
        };
        (0..INSTANCES).for_each(|number| world.start(number));
        world
    }

    fn start(&mut self, number: u64) {
        let key = InstanceKey {
            service: "asked".parse().unwrap(),
            instance: format!("i{number}").parse().unwrap(),
        };
        // The first bits decide when it is asked.
        let lease_id =
            LeaseId::from_u128(u128::from(self.random.next()) << 64 | u128::from(number));
        let ttl = Ttl::MAX;
        let lease = Lease { id: lease_id, ttl, deregister_after_seconds: 0, is_permanent: true };
        let command = Command::Register {
            key: key.clone(),
            lease,
            address: "http://127.0.0.1:9000".parse().unwrap(),
            attributes: Attributes::default().with_check(Some(check())),
            health: Health::Passing,
            evidence: evidence(),
        };
        self.submit(command);
        self.ask_from_now_on(&key, lease_id);
        let (state, silent_until) = (State::Alive, Duration::ZERO);
        let served_dead = Duration::ZERO;
        self.processes.push(Process { key, lease_id, state, silent_until, served_dead });
    }

    fn ask_from_now_on(&mut self, key: &InstanceKey, lease_id: LeaseId) {
        let target = (check(), "http://127.0.0.1:9000".parse().unwrap());
        self.probes.start(key.clone(), lease_id, target, Duration::ZERO, self.now);
    }

    fn submit(&mut self, command: Command) {
        let decision = self.services.decide(command, LIMITS, Timestamp::EPOCH).unwrap();
        if let Decision::Commit(events, _) = decision {
            let index = self.services.index();
            self.apply(&events, self.log.len());
            assert!(self.services.index() > index, "the index falls");
            self.log.push(events);
        }
    }

    fn apply(&mut self, events: &[Event], number: usize) {
        let position = Position::new(number.try_into().unwrap());
        for event in events {
            self.services.apply(event, Recorded { position, time: Timestamp::EPOCH });
        }
    }

    /// Killed and started again: all it knows is its log.
    fn restart(&mut self) {
        let index = self.services.index();
        (self.services, self.probes) = (Services::default(), Probes::new(POLICY));
        for (number, events) in self.log.clone().into_iter().enumerate() {
            self.apply(&events, number);
            for event in &events {
                match event {
                    Event::Registered { key, lease, .. } => self.ask_from_now_on(key, lease.id),
                    Event::Observed { lease_id, health, .. } => {
                        self.probes.recall(*lease_id, *health, self.now);
                    }
                    _ => {}
                }
            }
        }
        assert_eq!(self.services.index(), index, "a restart forgets nothing");
        self.processes.iter_mut().for_each(|process| process.served_dead = Duration::ZERO);
    }

    fn cause_a_fault(&mut self) {
        match self.random.below(4) {
            0 => self.silence(),
            1 => self.restart(),
            2 => self.now += self.random.duration(Duration::ZERO, Duration::from_secs(30)),
            _ => {
                let chosen = usize::try_from(self.random.below(INSTANCES)).unwrap();
                let is_lost = self.random.is_one_in(2);
                let alive = self.processes.iter().filter(|process| process.state == State::Alive);
                // Of the last few, silence is no silence of many.
                if alive.count() > 5 {
                    let state = if is_lost { State::Lost } else { State::Dead };
                    self.processes[chosen].state = state;
                }
            }
        }
    }

    /// The way to at least 40 % of them is broken, for less time than they are given.
    fn silence(&mut self) {
        // They must have been heard in between.
        if self.now < self.heard_at {
            return;
        }
        // From the first failure on to the one that is too many, at the shortest intervals.
        let interval = Duration::from_millis(u64::from(INTERVAL_MS) - u64::from(INTERVAL_MS) / 32);
        let given = interval * (u32::from(FAILURES_MIN) * POLICY.preserve_times - 1);
        let until = self.now + self.random.duration(TICK, given);
        let count = self.processes.len() * 2 / 5 + usize::from(self.random.is_one_in(2)) * 3;
        for process in self.processes.iter_mut().take(count + 1) {
            process.silent_until = until;
        }
        self.heard_at = until + ROUND * 2;
    }

    fn ask(&mut self) {
        for probe in self.probes.take_due(self.now, 100) {
            let found = self.processes.iter().find(|process| process.lease_id == probe.lease_id);
            let process = found.unwrap();
            let outcome = match process.state {
                _ if self.now < process.silent_until => Outcome::Failed(Failure::TimedOut),
                State::Alive => Outcome::Passing,
                State::Dead => Outcome::Failed(Failure::Refused),
                State::Lost => Outcome::Failed(Failure::TimedOut),
            };
            let lease_id = probe.lease_id;
            if let Some(finding) = self.probes.answer(lease_id, outcome, self.now) {
                let (health, note) = (finding.health, "".parse().unwrap());
                self.submit(Command::Observe { key: probe.key, lease_id, health, note });
            }
            self.probes.again(lease_id, self.now);
        }
    }

    fn check(&mut self) {
        let rounds = u32::from(FAILURES_MIN) * POLICY.preserve_times + 1;
        for process in &mut self.processes {
            let found = self.services.instance(&process.key).unwrap();
            match process.state {
                State::Alive => {
                    assert_ne!(found.state(), "critical", "{} lives", process.key);
                }
                State::Dead | State::Lost if found.takes_traffic() => {
                    process.served_dead += TICK;
                    let bound = ROUND * rounds;
                    assert!(process.served_dead <= bound, "{} is dead and served", process.key);
                }
                State::Dead | State::Lost => {}
            }
        }
    }

    fn check_at_rest(&self) {
        for process in &self.processes {
            let found = self.services.instance(&process.key).unwrap();
            let is_alive = process.state == State::Alive;
            assert_eq!(Instance::takes_traffic(found), is_alive, "{}", process.key);
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for number in 0..FAULTY + QUIET {
        world.now += TICK;
        if number < FAULTY && world.random.is_one_in(16) {
            world.cause_a_fault();
        }
        world.ask();
        world.check();
    }
    world.check_at_rest();
}

#[test]
fn silence_of_many_is_not_held_against_them() {
    all_seeds(run);
}
