//! The engine with a small machine, a bank of counters, on a log in memory: what is answered is durable, what is
//! replayed is the same, and what cannot be recorded does not happen.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::join_all};
use lombard_engine::{
    At, Clock, Codec, Decision, DecodeError, Engine, Follower, Handle, Limits, Machine,
    StoppedError, SubmitError, View,
};
use lombard_log::{Log as _, MemoryLog};
use lombard_types::{Position, Timestamp};
use proptest::prelude::*;

#[derive(Clone, Debug, Default, PartialEq)]
struct Counters {
    values: BTreeMap<u8, u64>,
    times: Vec<Timestamp>,
}

#[derive(Clone, Debug)]
struct Add {
    counter: u8,
    amount: u64,
}

#[derive(Debug, PartialEq)]
struct Added {
    counter: u8,
    amount: u64,
}

/// Counters stop at this.
const VALUE_MAX: u64 = 1000;

/// Before this counter counts,
const LATE: u8 = 200;
/// this one must have got to 2, by events of their own.
const EARLY: u8 = 201;

impl Machine for Counters {
    type Command = Add;
    type Event = Added;
    type Reply = u64;
    type Rejection = &'static str;

    fn decide(
        &self,
        command: Add,
        _now: Timestamp,
    ) -> Result<Decision<Added, u64, Add>, &'static str> {
        let value_of = |counter: u8| self.values.get(&counter).copied().unwrap_or(0);
        if command.counter == LATE && value_of(EARLY) < 2 {
            let events = vec![Added { counter: EARLY, amount: 1 }];
            return Ok(Decision::First { events, command });
        }
        let value = value_of(command.counter) + command.amount;
        match command.amount {
            0 => Ok(Decision::Answer(value)),
            _ if value > VALUE_MAX => Err("full"),
            amount => {
                let events = vec![Added { counter: command.counter, amount }];
                Ok(Decision::Commit { events, reply: value })
            }
        }
    }

    fn apply(&mut self, event: &Added, at: At) {
        *self.values.entry(event.counter).or_default() += event.amount;
        self.times.push(at.time);
    }
}

impl View for Counters {
    type Event = Added;

    fn apply(&mut self, event: &Added, at: At) {
        Machine::apply(self, event, at);
    }
}

struct Encoding;

impl Codec for Encoding {
    type Event = Added;

    fn encode(&self, event: &Added, out: &mut Vec<u8>) {
        out.push(event.counter);
        out.extend_from_slice(&event.amount.to_le_bytes());
    }

    fn decode(&self, bytes: &[u8]) -> Result<Added, DecodeError> {
        match bytes.split_first() {
            Some((&counter, amount)) => {
                let amount = amount.try_into().map_err(|_| DecodeError("length"))?;
                Ok(Added { counter, amount: u64::from_le_bytes(amount) })
            }
            None => Err(DecodeError("empty")),
        }
    }
}

fn start(log: &MemoryLog) -> (Handle<Counters>, Engine) {
    Engine::start("test", Arc::new(log.clone()), Counters::default(), Encoding, Limits::default())
        .unwrap()
}

fn add(counter: u8, amount: u64) -> Add {
    Add { counter, amount }
}

#[tokio::test]
async fn what_comes_first_is_recorded_before_the_command_is_decided() {
    let log = MemoryLog::new();
    let (handle, _engine) = start(&log);
    let done = handle.submit(add(LATE, 5)).await.unwrap();
    assert_eq!((done.position, done.reply), (Position::new(2), 5), "two records came before");
    let rejected = handle.submit(add(LATE, VALUE_MAX)).await;
    assert!(matches!(rejected, Err(SubmitError::Rejected { .. })));
    let (counters, _) = handle.query(Counters::clone).await.unwrap();
    assert_eq!(counters.values, BTreeMap::from([(EARLY, 2), (LATE, 5)]));
    assert!(counters.times.is_sorted_by(|a, b| a < b));
}

#[tokio::test]
async fn nothing_is_answered_before_it_is_durable() {
    let log = MemoryLog::new();
    let (handle, _engine) = start(&log);
    log.hold();
    let submitted = tokio::spawn({
        let handle = handle.clone();
        async move { handle.submit(add(1, 900)).await }
    });
    // The record is queued, so its effect is in the writer's state.
    while log.tail() == Position::START {
        tokio::task::yield_now().await;
    }
    // A rejection and a query depend on what is not durable yet: they wait too.
    let mut rejected = Box::pin(handle.submit(add(1, 900)));
    let mut asked = Box::pin(handle.query(|counters| counters.values.clone()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!submitted.is_finished());
    assert!((&mut rejected).now_or_never().is_none());
    assert!((&mut asked).now_or_never().is_none());
    log.release();
    assert_eq!(submitted.await.unwrap().unwrap().reply, 900);
    let position = Some(Position::START);
    assert_eq!(rejected.await, Err(SubmitError::Rejected { rejection: "full", position }));
    assert_eq!(asked.await.unwrap(), (BTreeMap::from([(1, 900)]), position));
}

#[tokio::test]
async fn a_failed_append_makes_outcomes_unknown_and_stops_the_engine() {
    let log = MemoryLog::new();
    let (handle, engine) = start(&log);
    log.hold();
    let submitted = tokio::spawn({
        let handle = handle.clone();
        async move { handle.submit(add(1, 1)).await }
    });
    while log.tail() == Position::START {
        tokio::task::yield_now().await;
    }
    log.poison("disk on fire");
    assert_eq!(submitted.await.unwrap(), Err(SubmitError::OutcomeUnknown));
    assert!(matches!(engine.stopped().await, Err(StoppedError::Append { .. })));
    assert_eq!(handle.submit(add(1, 1)).await, Err(SubmitError::Stopped));
}

#[tokio::test]
async fn a_full_disk_refuses_before_anything_happens_and_recovers() {
    let log = MemoryLog::new();
    let (handle, _engine) = start(&log);
    handle.submit(add(1, 1)).await.unwrap();
    log.set_room_bytes(30);
    assert_eq!(handle.submit(add(1, 1)).await, Err(SubmitError::DiskFull));
    // Reads and what needs no record go on.
    assert_eq!(handle.submit(add(1, 0)).await.unwrap().reply, 1);
    assert_eq!(handle.query(|counters| counters.values.get(&1).copied()).await.unwrap().0, Some(1));
    log.set_room_bytes(1 << 30);
    assert_eq!(handle.submit(add(1, 1)).await.unwrap().reply, 2);
}

#[tokio::test]
async fn too_many_at_once_are_refused() {
    let log = MemoryLog::new();
    log.hold();
    let limits = Limits {
        queue_commands_max: 4,
        groups_in_flight_max: 1,
        group_commands_max: 1,
        ..Limits::default()
    };
    let (handle, _engine) =
        Engine::start("test", Arc::new(log.clone()), Counters::default(), Encoding, limits)
            .unwrap();
    let submits = (0..20).map(|_| {
        let handle = handle.clone();
        async move { handle.submit(add(1, 1)).await }
    });
    let releasing = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        log.release();
    };
    let (answers, ()) = tokio::join!(join_all(submits), releasing);
    let overloaded =
        answers.iter().filter(|answer| **answer == Err(SubmitError::Overloaded)).count();
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(overloaded >= 10 && overloaded + done == 20, "{answers:?}");
    assert_eq!(handle.submit(add(1, 0)).await.unwrap().reply, done as u64);
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_whole() {
    let log = MemoryLog::new();
    let limits = Limits { record_bytes_max: 20, ..Limits::default() };
    let (handle, _engine) =
        Engine::start("test", Arc::new(log.clone()), Counters::default(), Encoding, limits)
            .unwrap();
    assert!(matches!(
        handle.submit(add(1, 1)).await,
        Err(SubmitError::TooLarge { bytes_max: 20, .. })
    ));
    assert_eq!(log.tail(), Position::START);
}

#[tokio::test]
async fn time_strictly_increases_even_when_the_clock_does_not() {
    let log = MemoryLog::new();
    let clock: Clock = Arc::new(|| Timestamp::from_unix_seconds(5));
    for _restart in 0..2 {
        let (handle, _engine) = Engine::start_with_clock(
            "test",
            Arc::new(log.clone()),
            Counters::default(),
            Encoding,
            Limits::default(),
            Arc::clone(&clock),
        )
        .unwrap();
        for _ in 0..3 {
            handle.submit(add(1, 1)).await.unwrap();
        }
        let (times, _) = handle.query(|counters| counters.times.clone()).await.unwrap();
        assert!(times.windows(2).all(|pair| pair.first() < pair.last()), "{times:?}");
    }
}

#[tokio::test]
async fn a_follower_catches_up_and_keeps_up() {
    let log = MemoryLog::new();
    let (handle, _engine) = start(&log);
    let before = handle.submit(add(1, 1)).await.unwrap();
    let follower =
        Follower::start("test", Arc::new(log.clone()), Encoding, Counters::default()).unwrap();
    let second = Duration::from_secs(10);
    follower.wait_for(before.position.next(), second).await.unwrap();
    let after = handle.submit(add(1, 1)).await.unwrap();
    follower.wait_for(after.position.next(), second).await.unwrap();
    let (value, position) = follower.read_at(|counters| counters.values.get(&1).copied());
    assert_eq!((value, position), (Some(2), after.position.next()));
    let lagging = follower.wait_for(Position::new(99), Duration::from_millis(1)).await.unwrap_err();
    assert_eq!((lagging.reached, lagging.wanted), (position, Position::new(99)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Commands from many callers, a crash that forgets what was not durable, and a replay: every acknowledged command
    /// is there, and replaying gives the state that the writer had.
    #[test]
    fn what_was_acknowledged_survives(
        commands in prop::collection::vec((0u8..4, 0u64..200), 1..60),
        held_from in 0usize..60,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let log = MemoryLog::new();
        let acknowledged = runtime.block_on(async {
            let (handle, _engine) = start(&log);
            let mut acknowledged = BTreeMap::new();
            for (number, (counter, amount)) in commands.into_iter().enumerate() {
                if number == held_from {
                    log.hold();
                }
                if number < held_from {
                    if let Ok(committed) = handle.submit(add(counter, amount)).await {
                        acknowledged.insert(counter, committed.reply);
                    }
                } else {
                    // Sent, but the crash comes before the answer.
                    let _unanswered = handle.submit(add(counter, amount)).now_or_never();
                }
            }
            acknowledged
        });
        let crashed = log.after_crash();
        let states: Vec<Counters> = (0..2).map(|_| runtime.block_on(async {
            let (handle, _engine) = start(&crashed);
            handle.query(Clone::clone).await.unwrap().0
        })).collect();
        prop_assert_eq!(&states[0], &states[1]);
        for (counter, value) in acknowledged {
            prop_assert_eq!(states[0].values.get(&counter).copied().unwrap_or(0), value);
        }
    }
}

/// Answers are brought to the runtime that waits for them. One that ends with commands under way takes nobody else's answers
/// with it.
#[test]
fn callers_of_several_runtimes_are_answered() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let log = MemoryLog::new();
    let (handle, _engine) = runtime().block_on(async { start(&log) });
    let asked = |handle: &Handle<Counters>, counter| {
        let handle = handle.clone();
        join_all((0..40).map(move |_| {
            let handle = handle.clone();
            async move { handle.submit(add(counter, 1)).await.unwrap().reply }
        }))
    };
    let ended = runtime();
    ended.spawn(asked(&handle, 1));
    ended.block_on(tokio::task::yield_now());
    drop(ended);
    let threads: Vec<_> = [2, 3, 4]
        .map(|counter| {
            let asked = asked(&handle, counter);
            std::thread::spawn(move || runtime().block_on(asked))
        })
        .into();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), (1..=40).collect::<Vec<_>>());
    }
}
