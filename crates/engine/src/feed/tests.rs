//! Every subscriber sees every record exactly once and in order, wherever it begins and however slow it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use futures_util::FutureExt as _;
use lombard_log::{Batch, Log, MemoryLog, SegmentedConfig, SegmentedLog};
use lombard_types::{Position, Timestamp};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;

#[derive(Debug)]
struct Item(Vec<u64>);

impl FeedItem for Item {
    fn bytes(&self) -> usize {
        self.0.len() * 8
    }
}

/// An event is a number; `u64::MAX` is one of a later version.
struct Numbers;

impl Codec for Numbers {
    type Event = u64;

    fn encode(&self, event: &u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&event.to_le_bytes());
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, DecodeError> {
        let number = bytes.try_into().map(u64::from_le_bytes).map_err(|_| DecodeError("length"))?;
        if number == u64::MAX { Err(DecodeError("unknown")) } else { Ok(number) }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// Record `n` holds `n` and `n + 1`, and was decided at `n`.
fn batch_at(tail: Position, count: u64) -> Batch {
    let mut batch = Batch::new();
    for number in tail.get()..tail.get() + count {
        let time = Timestamp::from_unix_nanos(number);
        batch.push_with(|out| record::encode_record(&Numbers, time, &[number, number + 1], out));
    }
    batch
}

fn append(log: &MemoryLog, count: u64) {
    let tail = log.tail();
    // Under way whether or not anybody waits for it.
    drop(log.append(tail, batch_at(tail, count)));
}

/// A feed, and how many items it has made.
fn start(log: &MemoryLog, limits: FeedLimits) -> (Feed<Item>, Arc<AtomicU64>) {
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    let make = move |_: &Record, _, events| {
        count.fetch_add(1, Ordering::SeqCst);
        Item(events)
    };
    (Feed::start("test", Arc::new(log.clone()), Numbers, limits, make).unwrap(), made)
}

/// A web server moves what waits between threads.
fn sendable<T: Send>(value: T) -> T {
    value
}

/// Takes everything from where the subscription stands up to `end`, and checks that it is that.
async fn take_all(subscription: &mut Subscription<Item>, end: u64, records_max: usize) {
    while subscription.position().get() < end {
        let expected = subscription.position();
        let taken = subscription.next(records_max).await.unwrap();
        assert!((1..=records_max).contains(&taken.len()));
        for (number, fed) in (expected.get()..).zip(&taken) {
            assert_eq!(fed.position, Position::new(number));
            assert_eq!(fed.time, Timestamp::from_unix_nanos(number));
            assert_eq!(fed.item.0, [number, number + 1]);
        }
    }
}

#[test]
fn an_item_is_made_once_for_all_who_listen_and_not_at_all_for_nobody() {
    let log = MemoryLog::new();
    let (feed, made) = start(&log, FeedLimits::default());
    append(&log, 10);
    runtime().block_on(async {
        assert_eq!((made.load(Ordering::SeqCst), feed.ring_usage()), (0, RingUsage::default()));
        let mut subscriptions: Vec<_> =
            (0..50).map(|_| feed.subscribe(Position::new(10))).collect();
        assert_eq!(feed.subscription_count(), 50);
        append(&log, 10);
        for subscription in &mut subscriptions {
            take_all(subscription, 20, 3).await;
        }
        assert_eq!(made.load(Ordering::SeqCst), 10);
        drop(subscriptions);
        assert_eq!(feed.subscription_count(), 0);
    });
}

#[test]
fn a_subscription_waits_at_the_tail_and_beyond_and_can_be_left_waiting() {
    let log = MemoryLog::new();
    append(&log, 2);
    let (feed, _) = start(&log, FeedLimits::default());
    runtime().block_on(async {
        let mut subscription = feed.subscribe(Position::new(4));
        assert_eq!(subscription.tail(), Position::new(2));
        assert!(subscription.next(9).now_or_never().is_none());
        append(&log, 1);
        assert!(subscription.next(9).now_or_never().is_none());
        append(&log, 3);
        take_all(&mut subscription, 6, 9).await;
    });
}

#[test]
fn a_log_in_files_is_fed_over_its_segments() {
    let directory = tempfile::tempdir().unwrap();
    let config = SegmentedConfig {
        segment_bytes_min: 16 << 10,
        segment_bytes_max: 16 << 10,
        record_bytes_max: 4 << 10,
        ..SegmentedConfig::default()
    };
    let log = Arc::new(SegmentedLog::open(directory.path(), config).unwrap());
    let make = |_: &Record, _, events| Item(events);
    let shared: SharedLog = log.clone();
    let limits = FeedLimits { ring_records_max: 100, ..FeedLimits::default() };
    let feed = Feed::start("test", shared, Numbers, limits, make).unwrap();
    runtime().block_on(async {
        let (mut live, mut late) =
            (feed.subscribe(Position::START), feed.subscribe(Position::START));
        for end in (50..=2000).step_by(50) {
            // Segments are prepared in the background, and this writer is faster.
            log.make_room(8 << 10).await.unwrap();
            let tail = log.tail();
            log.append(tail, batch_at(tail, 50)).await.unwrap();
            sendable(take_all(&mut live, end, 64)).await;
        }
        take_all(&mut late, 2000, 64).await;
    });
}

#[test]
fn what_is_not_durable_is_not_fed() {
    let log = MemoryLog::new();
    let (feed, _) = start(&log, FeedLimits::default());
    runtime().block_on(async {
        let mut subscription = feed.subscribe(Position::START);
        log.hold();
        append(&log, 3);
        tokio::task::yield_now().await;
        assert!(subscription.next(9).now_or_never().is_none());
        log.release();
        take_all(&mut subscription, 3, 9).await;
    });
}

#[test]
fn an_unknown_record_is_an_error_and_what_is_before_it_is_given() {
    let log = MemoryLog::new();
    let (feed, _) = start(&log, FeedLimits::default());
    runtime().block_on(async {
        let mut subscription = feed.subscribe(Position::START);
        append(&log, 3);
        let mut batch = Batch::new();
        batch.push_with(|out| record::encode_record(&Numbers, Timestamp::EPOCH, &[u64::MAX], out));
        log.append(Position::new(3), batch).await.unwrap();
        take_all(&mut subscription, 3, 9).await;
        let error = subscription.next(1).await.unwrap_err();
        let position = Position::new(3);
        assert!(matches!(error, FeedError::Decode { position: at, .. } if at == position));
        // Nobody gets beyond it.
        let error = feed.subscribe(position.next()).next(1).await.unwrap_err();
        assert!(matches!(error, FeedError::Stopped { .. }), "{error}");
        assert!(!feed.is_feeding());
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Subscribers that begin anywhere and take little or much at a time, while a writer appends and the ring is small.
    #[test]
    fn everybody_sees_everything_once_and_in_order(
        history in 0u64..30,
        batches in prop::collection::vec(1u64..20, 1..20),
        froms in prop::collection::vec((any::<prop::sample::Index>(), 1usize..12, any::<bool>()), 1..6),
        ring_records_max in 0usize..12,
        ring_bytes_max in 0usize..4000,
    ) {
        let log = MemoryLog::new();
        append(&log, history);
        let limits = FeedLimits { ring_bytes_max, ring_records_max };
        let (feed, _) = start(&log, limits);
        let end = history + batches.iter().sum::<u64>();
        let (written, is_written) = watch::channel(false);
        thread::scope(|scope| {
            for (from, records_max, is_slow) in froms {
                let from = Position::new(from.index(600) as u64 % end);
                let mut subscription = feed.subscribe(from);
                let mut is_written = is_written.clone();
                scope.spawn(move || runtime().block_on(async {
                    if is_slow {
                        // One step, and then nothing until everything has happened.
                        let middle = (subscription.position().get() + 1).min(end);
                        take_all(&mut subscription, middle, records_max).await;
                        is_written.wait_for(|is_written| *is_written).await.unwrap();
                    }
                    take_all(&mut subscription, end, records_max).await;
                    assert!(subscription.next(1).now_or_never().is_none());
                }));
            }
            for count in batches {
                append(&log, count);
                let usage = feed.ring_usage();
                assert!(usage.records <= ring_records_max && usage.bytes <= ring_bytes_max);
                thread::yield_now();
            }
            written.send_replace(true);
        });
    }
}
