//! Consumer groups against a model that knows no lists and no lanes: for every event, what it does, in a plain vector.
//! What can be delivered is found by looking at all of them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that finds something else than it expects must fail"
)]

use std::time::Duration;

use lombard_eventstore_core::{
    EventPosition,
    group::{
        Backoff, Cause, Command, Create, Deliver, Filter, Found, Groups, Key, Limits, Nack, Order,
        Outcome, Read, Receipt, Rejection, Reply, Settings, Start, Which, decide,
    },
};
use lombard_types::{ConsumerName, GroupName, Timestamp};
use proptest::prelude::*;

const LIMITS: Limits =
    Limits { groups_max: 2, consumers_max: 3, window_max: 12, dead_letters_max: 4 };
const ATTEMPTS_MAX: u32 = 3;
const VISIBILITY: u64 = 100;
const IN_FLIGHT_MAX: u32 = 6;
const CONSUMER_IN_FLIGHT_MAX: u32 = 3;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn backoff() -> Backoff {
    Backoff { first: millis(50), most: millis(120) }
}

fn settings() -> Settings {
    Settings {
        filter: Filter::default(),
        start: Start::Beginning,
        order: Order::Stream,
        attempts_max: ATTEMPTS_MAX,
        backoff: backoff(),
        visibility: millis(VISIBILITY),
        in_flight_max: IN_FLIGHT_MAX,
        consumer_in_flight_max: CONSUMER_IN_FLIGHT_MAX,
    }
}

fn group() -> GroupName {
    "group".parse().unwrap()
}

fn consumer(number: u8) -> ConsumerName {
    format!("consumer-{number}").parse().unwrap()
}

fn time(at: u64) -> Timestamp {
    Timestamp::EPOCH.plus(millis(at))
}

fn create() -> Command {
    let created_by = "maker".parse().unwrap();
    let first = EventPosition::START;
    Command::Create(Create { group: group(), settings: settings(), first, created_by })
}

/// The groups, which are also made again from what happened.
struct Run {
    groups: Groups,
    again: Groups,
    now: u64,
}

impl Run {
    fn new() -> Self {
        let mut run = Self { groups: Groups::default(), again: Groups::default(), now: 1 };
        run.decide(create()).unwrap();
        run
    }

    fn decide(&mut self, command: Command) -> Result<Reply, Rejection> {
        let now = time(self.now);
        let (events, reply) = decide(&self.groups, LIMITS, command, now)?;
        for event in &events {
            self.groups.apply(event, now);
            self.again.apply(event, now);
        }
        Ok(reply)
    }
}

/// What an event does, as the model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Waiting,
    Delayed(u64),
    InFlight(u8, u64),
    Settled,
    Dead,
}

#[derive(Clone, Debug)]
struct Known {
    position: u64,
    key: Option<u64>,
    attempts: u32,
    spared: u32,
    doing: Doing,
}

#[derive(Default)]
struct Model {
    events: Vec<Known>,
    read_to: u64,
    receipts: Vec<Receipt>,
}

#[derive(Clone, Debug)]
enum Step {
    Read { keys: Vec<Option<u8>>, skipped: u8 },
    Deliver { consumer: u8, count: u32 },
    Ack(Vec<prop::sample::Index>),
    Nack { which: Vec<prop::sample::Index>, is_dead: bool, delay: Option<u64> },
    Extend(Vec<prop::sample::Index>),
    Wait(u64),
    Expire,
    Replay(bool),
    Discard,
    Rewind(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let keys = prop::collection::vec(prop::option::weighted(0.8, 0..3u8), 0..5);
    let step = prop_oneof![
        4 => (keys, 0..3u8).prop_map(|(keys, skipped)| Step::Read { keys, skipped }),
        8 => (0..5u8, 0..5u32).prop_map(|(consumer, count)| Step::Deliver { consumer, count }),
        5 => some().prop_map(Step::Ack),
        3 => (some(), prop::bool::weighted(0.2), prop::option::of(0..80u64))
            .prop_map(|(which, is_dead, delay)| Step::Nack { which, is_dead, delay }),
        1 => some().prop_map(Step::Extend),
        4 => (1..150u64).prop_map(Step::Wait),
        3 => Just(Step::Expire),
        1 => any::<bool>().prop_map(Step::Replay),
        1 => Just(Step::Discard),
        1 => (0..20u8).prop_map(Step::Rewind),
    ];
    prop::collection::vec(step, 1..80)
}

impl Model {
    fn window(&self) -> usize {
        self.events.iter().filter(|it| !matches!(it.doing, Doing::Settled | Doing::Dead)).count()
    }

    fn dead(&self) -> usize {
        self.events.iter().filter(|it| it.doing == Doing::Dead).count()
    }

    fn in_flight(&self, of: Option<u8>) -> u32 {
        let is_theirs = |it: &&Known| match it.doing {
            Doing::InFlight(by, _) => of.is_none_or(|of| of == by),
            _ => false,
        };
        self.events.iter().filter(is_theirs).count() as u32
    }

    /// Whether the rules let this event be delivered now: by looking at every other.
    fn is_deliverable(&self, index: usize, now: u64) -> bool {
        let known = &self.events[index];
        let is_its_time = match known.doing {
            Doing::Waiting => true,
            Doing::Delayed(due) => due <= now,
            _ => false,
        };
        let is_in_the_way = |other: &Known| {
            other.position != known.position
                && other.key == known.key
                && match other.doing {
                    Doing::InFlight(..) => true,
                    Doing::Waiting | Doing::Delayed(_) => other.position < known.position,
                    Doing::Settled | Doing::Dead => false,
                }
        };
        is_its_time && (known.key.is_none() || !self.events.iter().any(is_in_the_way))
    }

    fn find(&mut self, receipt: &Receipt) -> Option<&mut Known> {
        let position = receipt.position.get();
        self.events.iter_mut().find(|known| known.position == position)
    }

    fn receipts(&self, which: &[prop::sample::Index]) -> Vec<Receipt> {
        if self.receipts.is_empty() {
            return Vec::new();
        }
        which.iter().map(|index| *index.get(&self.receipts)).collect()
    }

    fn fail(&mut self, index: usize, now: u64, delay: Option<u64>, is_dead: bool) {
        let has_room = self.dead() < LIMITS.dead_letters_max;
        let known = &mut self.events[index];
        let spent = known.attempts - known.spared;
        known.doing = if is_dead || spent >= ATTEMPTS_MAX {
            if has_room { Doing::Dead } else { Doing::Delayed(now + 120) }
        } else {
            let delay = delay.unwrap_or([50, 100, 120][spent as usize - 1]);
            if delay == 0 { Doing::Waiting } else { Doing::Delayed(now + delay) }
        };
    }
}

fn step(run: &mut Run, model: &mut Model, step: Step) {
    let epoch = run.groups.get(&group()).unwrap().epoch();
    match step {
        Step::Read { keys, skipped } => {
            let mut next = model.read_to;
            let mut found = Vec::new();
            for key in &keys {
                next += u64::from(skipped);
                let key = key.map(|key| Key(u64::from(key)));
                found.push(Found { position: EventPosition::new(next), key });
                next += 1;
            }
            let from = EventPosition::new(model.read_to);
            let to = EventPosition::new(next + 1);
            let read = Read { group: group(), from, epoch, to, found: found.clone() };
            let fits = model.window() + found.len() <= LIMITS.window_max;
            let stale = Read { epoch: epoch + 1, ..read.clone() };
            assert_eq!(run.decide(Command::Read(stale)), Err(Rejection::Stale));
            let stale = Read { from: from.next(), ..read.clone() };
            assert_eq!(run.decide(Command::Read(stale)), Err(Rejection::Stale));
            assert_eq!(run.decide(Command::Read(read)).is_ok(), fits);
            if fits {
                model.read_to = to.get();
                model.events.extend(found.iter().map(|found| Known {
                    position: found.position.get(),
                    key: found.key.map(|key| key.0),
                    attempts: 0,
                    spared: 0,
                    doing: Doing::Waiting,
                }));
            }
        }
        Step::Deliver { consumer: by, count } => {
            let name = consumer(by);
            let deliver =
                Deliver { group: group(), consumer: name, count, credits: None, visibility: None };
            let reply = run.decide(Command::Deliver(deliver));
            let own = model.in_flight(Some(by));
            let others = (0..5).filter(|it| model.in_flight(Some(*it)) > 0).count();
            if own == 0 && others >= LIMITS.consumers_max {
                assert!(matches!(reply, Err(Rejection::TooManyConsumers { .. })), "{reply:?}");
                return;
            }
            let Ok(Reply::Delivered { deliveries, supply, .. }) = reply else {
                panic!("{reply:?}");
            };
            let room = (CONSUMER_IN_FLIGHT_MAX - own).min(IN_FLIGHT_MAX - model.in_flight(None));
            let deliverable: Vec<usize> = (0..model.events.len())
                .filter(|index| model.is_deliverable(*index, run.now))
                .collect();
            let wanted = deliverable.len().min(count.min(room) as usize);
            assert_eq!(deliveries.len(), wanted);
            assert_eq!(supply.ready, deliverable.len() - wanted);
            assert_eq!(supply.room, LIMITS.window_max - model.window());
            assert_eq!(supply.from.get(), model.read_to);
            for (index, delivery) in deliverable.into_iter().zip(&deliveries) {
                let known = &mut model.events[index];
                known.attempts += 1;
                known.doing = Doing::InFlight(by, run.now + VISIBILITY);
                let position = EventPosition::new(known.position);
                let receipt = Receipt { epoch, position, attempt: known.attempts };
                assert_eq!(delivery.receipt, receipt);
                assert!(!model.receipts.contains(&receipt), "a receipt names one delivery");
                model.receipts.push(receipt);
            }
        }
        Step::Ack(which) => {
            let receipts = model.receipts(&which);
            let ack = Command::Ack { group: group(), receipts: receipts.clone() };
            let before: Vec<Outcome> = receipts
                .iter()
                .map(|receipt| {
                    outcome(model, receipt, epoch, |known| known.attempts == receipt.attempt)
                })
                .collect();
            assert_eq!(run.decide(ack), Ok(Reply::Settled(before.clone())));
            for (receipt, outcome) in receipts.iter().zip(before) {
                if outcome == Outcome::Done {
                    model.find(receipt).unwrap().doing = Doing::Settled;
                }
            }
        }
        Step::Nack { which, is_dead, delay } => {
            let mut receipts = model.receipts(&which);
            receipts.sort_unstable();
            receipts.dedup();
            let nack = Nack {
                group: group(),
                receipts: receipts.clone(),
                delay: delay.map(millis),
                is_dead,
                reason: "no".into(),
            };
            let before = held(model, &receipts, epoch);
            assert_eq!(run.decide(Command::Nack(nack)), Ok(Reply::Settled(before.clone())));
            for (receipt, outcome) in receipts.iter().zip(before) {
                if outcome == Outcome::Done {
                    let index = model
                        .events
                        .iter()
                        .position(|known| known.position == receipt.position.get());
                    model.fail(index.unwrap(), run.now, delay, is_dead);
                }
            }
        }
        Step::Extend(which) => {
            let receipts = model.receipts(&which);
            let visibility = millis(VISIBILITY * 2);
            let extend = Command::Extend { group: group(), receipts: receipts.clone(), visibility };
            let before = held(model, &receipts, epoch);
            assert_eq!(run.decide(extend), Ok(Reply::Settled(before.clone())));
            for (receipt, outcome) in receipts.iter().zip(before) {
                if outcome == Outcome::Done {
                    let now = run.now;
                    let known = model.find(receipt).unwrap();
                    if let Doing::InFlight(_, deadline) = &mut known.doing {
                        *deadline = now + VISIBILITY * 2;
                    }
                }
            }
        }
        Step::Wait(millis) => run.now += millis,
        Step::Expire => {
            let dead_before = model.dead();
            let reply = run.decide(Command::Expire(group())).unwrap();
            let mut count = 0;
            for index in 0..model.events.len() {
                if let Doing::InFlight(_, deadline) = model.events[index].doing
                    && deadline <= run.now
                {
                    count += 1;
                    model.fail(index, run.now, Some(0), false);
                }
            }
            assert_eq!(reply, Reply::Moved { count, dead: model.dead() - dead_before });
        }
        Step::Replay(is_all) => {
            let dead: Vec<u64> = model
                .events
                .iter()
                .filter(|known| known.doing == Doing::Dead)
                .map(|known| known.position)
                .take(if is_all { usize::MAX } else { 1 })
                .collect();
            let which = if is_all {
                Which::All
            } else {
                Which::These(dead.iter().map(|at| EventPosition::new(*at)).collect())
            };
            let room = LIMITS.window_max - model.window();
            let reply = run.decide(Command::Replay { group: group(), which }).unwrap();
            let count = dead.len().min(room);
            assert_eq!(reply, Reply::Moved { count, dead: 0 });
            for known in &mut model.events {
                if dead[..count].contains(&known.position) {
                    known.doing = Doing::Waiting;
                    known.spared = known.attempts;
                }
            }
        }
        Step::Discard => {
            let reply = run.decide(Command::Discard { group: group(), which: Which::All });
            assert_eq!(reply, Ok(Reply::Moved { count: model.dead(), dead: 0 }));
            for known in &mut model.events {
                if known.doing == Doing::Dead {
                    known.doing = Doing::Settled;
                }
            }
        }
        Step::Rewind(back) => {
            let end = model.read_to.saturating_sub(u64::from(back).saturating_sub(10));
            let is_ahead = model.read_to > end;
            let reply = run.decide(Command::Rewind { end: EventPosition::new(end) });
            assert_eq!(reply, Ok(Reply::Moved { count: usize::from(is_ahead), dead: 0 }));
            model.read_to = model.read_to.min(end);
            model.events.retain(|known| known.position < end);
        }
    }
}

fn held(model: &mut Model, receipts: &[Receipt], epoch: u64) -> Vec<Outcome> {
    receipts
        .iter()
        .map(|receipt| {
            outcome(model, receipt, epoch, |known| {
                matches!(known.doing, Doing::InFlight(..)) && known.attempts == receipt.attempt
            })
        })
        .collect()
}

fn outcome(
    model: &mut Model,
    receipt: &Receipt,
    epoch: u64,
    is_done: impl Fn(&Known) -> bool,
) -> Outcome {
    let is_read = receipt.position.get() < model.read_to;
    match model.find(receipt) {
        _ if receipt.epoch != epoch || !is_read => Outcome::Unknown,
        Some(known) if known.doing == Doing::Settled => Outcome::AlreadySettled,
        Some(known) if known.doing == Doing::Dead => Outcome::Dead,
        Some(known) if is_done(known) => Outcome::Done,
        _ => Outcome::Lost,
    }
}

fn compare(run: &Run, model: &Model) {
    assert_eq!(run.groups, run.again);
    let state = run.groups.get(&group()).unwrap();
    assert_eq!(state.outstanding(), model.window());
    assert_eq!(state.in_flight(), model.in_flight(None) as usize);
    let dead: Vec<(u64, u32)> = state
        .dead_letters()
        .iter()
        .map(|(position, letter)| (position.get(), letter.attempts))
        .collect();
    let expected: Vec<(u64, u32)> = model
        .events
        .iter()
        .filter(|known| known.doing == Doing::Dead)
        .map(|known| (known.position, known.attempts))
        .collect();
    assert_eq!(dead, expected);
    let first = model
        .events
        .iter()
        .find(|known| !matches!(known.doing, Doing::Settled | Doing::Dead))
        .map_or(model.read_to, |known| known.position);
    assert_eq!(state.cursor().get(), first);
}

/// Whatever has happened, consumers that only acknowledge come to the end.
fn drain(run: &mut Run, model: &mut Model) {
    for _ in 0..200 {
        step(run, model, Step::Wait(500));
        step(run, model, Step::Expire);
        for by in 0..2 {
            step(run, model, Step::Deliver { consumer: by, count: 10 });
        }
        let receipts = model.receipts.clone();
        let ack = Command::Ack { group: group(), receipts: receipts.clone() };
        run.decide(ack).unwrap();
        for known in &mut model.events {
            if receipts.iter().any(|receipt| {
                receipt.position.get() == known.position && receipt.attempt == known.attempts
            }) && !matches!(known.doing, Doing::Dead)
            {
                known.doing = Doing::Settled;
            }
        }
        if model.window() == 0 {
            break;
        }
    }
    let state = run.groups.get(&group()).unwrap();
    assert_eq!((state.outstanding(), state.cursor().get()), (0, model.read_to));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_group_does_what_the_model_does(steps in steps()) {
        let (mut run, mut model) = (Run::new(), Model::default());
        for next in steps {
            step(&mut run, &mut model, next);
            compare(&run, &model);
        }
        // A rewound group answers no old receipt.
        let epoch = run.groups.get(&group()).unwrap().epoch();
        model.receipts.retain(|receipt| receipt.epoch == epoch);
        drain(&mut run, &mut model);
        compare(&run, &model);
    }
}

fn read(run: &mut Run, keys: &[Option<u64>]) {
    let state = run.groups.get(&group()).unwrap();
    let (from, epoch) = (state.read_to(), state.epoch());
    let found =
        (0..).zip(keys).map(|(steps, key)| Found { position: from.plus(steps), key: key.map(Key) });
    let (found, to) = (found.collect(), from.plus(keys.len() as u64));
    run.decide(Command::Read(Read { group: group(), from, epoch, to, found })).unwrap();
}

fn deliver(run: &mut Run, by: u8, count: u32) -> Vec<Receipt> {
    let consumer = consumer(by);
    let deliver = Deliver { group: group(), consumer, count, credits: None, visibility: None };
    match run.decide(Command::Deliver(deliver)).unwrap() {
        Reply::Delivered { deliveries, .. } => deliveries.iter().map(|it| it.receipt).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_is_made_once_and_its_settings_are_fixed() {
    let mut run = Run::new();
    assert_eq!(run.decide(create()), Ok(Reply::Created { is_new: false }));
    let Command::Create(mut other) = create() else { unreachable!() };
    other.settings.attempts_max = 9;
    let other = Command::Create(other);
    assert_eq!(run.decide(other), Err(Rejection::OtherSettings { group: group() }));
    run.decide(Command::Delete(group())).unwrap();
    let gone = Rejection::NotFound { group: group() };
    assert_eq!(run.decide(Command::Delete(group())), Err(gone));
}

/// A receipt of a group that is gone is worth nothing in another of its name.
#[test]
fn another_group_of_the_same_name_knows_no_old_receipts() {
    let mut run = Run::new();
    read(&mut run, &[Some(1)]);
    let old = deliver(&mut run, 1, 1);
    run.decide(Command::Delete(group())).unwrap();
    run.decide(create()).unwrap();
    read(&mut run, &[Some(1)]);
    let new = deliver(&mut run, 1, 1);
    let ack = |receipts: &[Receipt]| Command::Ack { group: group(), receipts: receipts.to_vec() };
    assert_eq!(run.decide(ack(&old)), Ok(Reply::Settled(vec![Outcome::Unknown])));
    assert_eq!(run.decide(ack(&new)), Ok(Reply::Settled(vec![Outcome::Done])));
    assert_eq!(run.decide(ack(&new)), Ok(Reply::Settled(vec![Outcome::AlreadySettled])));
}

/// A slow consumer that has done its work after all is believed, unless somebody else has begun it.
#[test]
fn a_late_acknowledgement_counts_until_the_next_delivery() {
    let mut run = Run::new();
    read(&mut run, &[Some(1), Some(2)]);
    let slow = deliver(&mut run, 1, 2);
    run.now += VISIBILITY + 1;
    run.decide(Command::Expire(group())).unwrap();
    let second = deliver(&mut run, 2, 1);
    assert_eq!((second[0].position, second[0].attempt), (EventPosition::START, 2));
    let ack = Command::Ack { group: group(), receipts: slow };
    assert_eq!(run.decide(ack), Ok(Reply::Settled(vec![Outcome::Lost, Outcome::Done])));
}

#[test]
fn dead_letters_say_why() {
    let mut run = Run::new();
    read(&mut run, &[None, None]);
    let receipts = deliver(&mut run, 1, 1);
    let (delay, is_dead, reason) = (None, true, "no such account".into());
    run.decide(Command::Nack(Nack { group: group(), receipts, delay, is_dead, reason })).unwrap();
    for _ in 0..ATTEMPTS_MAX {
        deliver(&mut run, 1, 1);
        run.now += VISIBILITY + 1;
        run.decide(Command::Expire(group())).unwrap();
    }
    let state = run.groups.get(&group()).unwrap();
    let causes: Vec<_> = state
        .dead_letters()
        .values()
        .map(|letter| (letter.cause.clone(), letter.attempts))
        .collect();
    let refused = (Cause::Refused("no such account".into()), 1);
    assert_eq!(causes, [refused, (Cause::TimedOut, ATTEMPTS_MAX)]);
}
