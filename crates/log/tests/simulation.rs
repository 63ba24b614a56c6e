//! The segmented log on a disk that loses power, tears writes, fails to sync and fills up, each run driven by a seed.
//!
//! The model is a list. Whatever was acknowledged, or was there after a restart, must be there after every later one,
//! in order; what was under way may be there up to some point; nothing else may.
//!
//! More seeds: `LOMBARD_SEEDS=10000 cargo nextest run -p lombard-log seeds`. One seed again:
//! `LOMBARD_SEED=42 cargo nextest run -p lombard-log seeds`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    panic,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest;
use futures_util::{FutureExt as _, future::BoxFuture};
use lombard_log::{
    AppendError, Batch, Log as _, OpenError, ReadError, SegmentedConfig, SegmentedLog,
    disk::Simulated,
};
use lombard_types::Position;

/// Every limit is tiny, so that each is met.
const TINY: SegmentedConfig = SegmentedConfig {
    segment_bytes_min: 4096,
    segment_bytes_max: 8192,
    record_bytes_max: 1000,
    queue_bytes_max: 64 << 10,
};
const STEPS: u64 = 60;
const SEEDS: u64 = 60;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % sides
    }
}

type Appending = BoxFuture<'static, Result<Position, AppendError>>;

struct Run {
    dice: Dice,
    disk: Simulated,
    log: Option<SegmentedLog>,
    model: Vec<Vec<u8>>,
    trace: digest::Context,
}

impl Run {
    fn new(seed: u64) -> Self {
        let disk = Simulated::new(seed);
        let mut run = Self {
            dice: Dice(seed),
            disk,
            log: None,
            model: Vec::new(),
            trace: digest::Context::new(&digest::SHA256),
        };
        run.reopen(&[]);
        run
    }

    fn log(&self) -> &SegmentedLog {
        self.log.as_ref().unwrap()
    }

    fn note(&mut self, what: &str) {
        self.trace.update(what.as_bytes());
        self.trace.update(&[0]);
    }

    /// What the run did, and what the disk looks like in the end.
    fn finish(mut self) -> Vec<u8> {
        self.settle();
        self.log = None;
        self.trace.update(&self.disk.digest());
        self.trace.finish().as_ref().to_vec()
    }

    /// Every record is unlike every other.
    fn payloads(&mut self) -> Vec<Vec<u8>> {
        let count = 1 + self.dice.roll(4);
        let payload = |_| {
            let mut payload = vec![0; self.dice.roll(900) as usize];
            payload.iter_mut().for_each(|byte| *byte = self.dice.roll(256) as u8);
            payload
        };
        (0..count).map(payload).collect()
    }

    fn begin_append(&self, payloads: &[Vec<u8>]) -> Appending {
        let mut batch = Batch::new();
        payloads.iter().for_each(|payload| batch.push(payload));
        let bytes: usize = payloads.iter().map(|payload| payload.len() + 40).sum();
        block_on(self.log().make_room(bytes as u64)).unwrap();
        self.log().append(self.log().tail(), batch)
    }

    fn append(&mut self) {
        let payloads = self.payloads();
        let tail = block_on(self.begin_append(&payloads)).unwrap();
        self.model.extend(payloads);
        assert_eq!(tail.get(), self.model.len() as u64);
        self.note("append");
    }

    /// Returns when no segment is being prepared any more.
    fn settle(&self) {
        let refused = block_on(self.log().make_room(u64::MAX));
        assert!(matches!(refused, Err(AppendError::Full { .. })), "{refused:?}");
    }

    /// Ends the log while a sync is under way and appends wait behind it.
    fn stop_in_flight(&mut self, is_power_lost: bool) {
        self.settle();
        self.disk.hold_syncs(0);
        let mut in_flight = self.payloads();
        let mut appends = vec![(in_flight.len(), self.begin_append(&in_flight))];
        self.disk.wait_until_held();
        for _ in 0..1 + self.dice.roll(3) {
            let payloads = self.payloads();
            let append = self.begin_append(&payloads);
            in_flight.extend(payloads);
            appends.push((in_flight.len(), append));
            self.settle();
        }
        // The writer takes all that waits into its next group: it has at least one more sync to do.
        let passing = self.dice.roll(2);
        self.disk.hold_syncs(passing);
        self.disk.wait_until_held();
        self.settle();
        if is_power_lost {
            self.disk.crash()
        } else {
            self.disk.kill()
        }
        let mut acknowledged = 0;
        for (end, append) in appends {
            match append.now_or_never() {
                Some(Ok(_)) => acknowledged = end,
                Some(Err(AppendError::Poisoned { .. })) | None => {}
                other => panic!("{other:?}"),
            }
        }
        let unknown = in_flight.split_off(acknowledged);
        self.model.extend(in_flight);
        self.note(&format!("stop {is_power_lost} {passing} {acknowledged}"));
        self.reopen(&unknown);
    }

    fn fail_sync(&mut self) {
        self.settle();
        self.disk.hold_syncs(0);
        let payloads = self.payloads();
        let append = self.begin_append(&payloads);
        self.disk.wait_until_held();
        self.settle();
        self.disk.fail_syncs(true);
        self.disk.release_syncs();
        let failed = block_on(append);
        assert!(matches!(failed, Err(AppendError::Poisoned { .. })), "{failed:?}");
        // Not even when the disk is well again.
        self.disk.fail_syncs(false);
        let after = block_on(self.log().append(self.log().tail(), Batch::new()));
        assert!(matches!(after, Err(AppendError::Poisoned { .. })), "{after:?}");
        let is_power_lost = self.dice.roll(2) == 0;
        if is_power_lost {
            self.disk.crash()
        } else {
            self.disk.kill()
        }
        self.note("failed sync");
        self.reopen(&payloads);
    }

    /// Opens the log again. Of what is unknown any beginning may be there.
    fn reopen(&mut self, unknown: &[Vec<u8>]) {
        self.log = None;
        let disk = Arc::new(self.disk.clone());
        self.log = Some(SegmentedLog::open_on(disk, Path::new("/log"), TINY).unwrap());
        self.settle();
        let bytes_max = 1 + self.dice.roll(5000) as usize;
        let found = read_all(self.log(), bytes_max).unwrap();
        assert_eq!(self.log().tail().get(), found.len() as u64);
        assert!(found.len() >= self.model.len(), "acknowledged records are lost");
        let (known, more) = found.split_at(self.model.len());
        assert!(known == self.model, "acknowledged records are not what was appended");
        assert!(unknown.starts_with(more), "there is what nobody appended");
        self.note(&format!("open {}", found.len()));
        self.model = found;
        let digest = self.disk.digest();
        self.trace.update(&digest);
    }
}

fn read_all(log: &SegmentedLog, bytes_max: usize) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut found = Vec::new();
    loop {
        let from = Position::new(found.len() as u64);
        let records = block_on(log.read(from, bytes_max))?;
        if records.is_empty() {
            return Ok(found);
        }
        for record in records {
            assert_eq!(record.position.get(), found.len() as u64);
            found.push(record.payload.to_vec());
        }
    }
}

fn simulate(seed: u64) -> Vec<u8> {
    let mut run = Run::new(seed);
    for _ in 0..STEPS {
        match run.dice.roll(12) {
            0 | 1 => run.stop_in_flight(true),
            2 => run.stop_in_flight(false),
            3 => run.fail_sync(),
            4 => run.reopen(&[]),
            _ => run.append(),
        }
    }
    run.finish()
}

/// Runs a test for one seed, or for as many as the environment asks for; a failure names its seed.
fn for_seeds(count: u64, test: impl Fn(u64) + panic::RefUnwindSafe) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("LOMBARD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LOMBARD_SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        if panic::catch_unwind(|| test(seed)).is_err() {
            panic!("seed {seed} failed; again with LOMBARD_SEED={seed}");
        }
    }
}

#[test]
fn seeds_keep_what_was_acknowledged() {
    for_seeds(SEEDS, |seed| {
        simulate(seed);
    });
}

#[test]
fn seeds_give_the_same_trace_again() {
    for_seeds(20, |seed| assert_eq!(simulate(seed), simulate(seed)));
    assert_ne!(simulate(1), simulate(2));
}

#[test]
fn seeds_fill_the_disk_and_go_on() {
    for_seeds(20, |seed| {
        let mut run = Run::new(seed);
        let more = 10_000 + run.dice.roll(20_000);
        run.disk.set_bytes_max(run.disk.bytes_used() + more);
        let bytes = loop {
            let payloads = run.payloads();
            let bytes = payloads.iter().map(|payload| payload.len() as u64 + 40).sum();
            match block_on(run.log().make_room(bytes)) {
                Ok(()) => {
                    block_on(run.begin_append(&payloads)).unwrap();
                    run.model.extend(payloads);
                }
                Err(AppendError::Full { .. }) => break bytes,
                Err(other) => panic!("{other:?}"),
            }
        };
        assert_eq!(read_all(run.log(), 1000).unwrap(), run.model);
        run.disk.set_bytes_max(u64::MAX);
        while block_on(run.log().make_room(bytes)).is_err() {
            std::thread::yield_now();
        }
        (0..20).for_each(|_| run.append());
        run.stop_in_flight(true);
    });
}

fn begun_segments(disk: &Simulated) -> Vec<(PathBuf, Vec<u8>)> {
    (1..)
        .map(|number| PathBuf::from(format!("/log/{number:010}.seg")))
        .map_while(|path| Some((path.clone(), disk.contents(&path).ok()?)))
        .filter(|(_, bytes)| bytes[..8] != [0; 8])
        .collect()
}

fn used_bytes(segment: &[u8]) -> u64 {
    segment.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1)
}

/// One bit anywhere before the last group: the log opens with every record, or says that it is damaged.
#[test]
fn seeds_flip_a_bit_and_it_is_noticed() {
    let noticed = std::sync::atomic::AtomicU64::new(0);
    let flips = std::sync::atomic::AtomicU64::new(0);
    for_seeds(200, |seed| {
        let mut run = Run::new(seed);
        for _ in 0..3 + run.dice.roll(8) {
            run.append();
        }
        // The loss of the last group cannot be told from a torn write, so the flip must be before it.
        let before: Vec<_> =
            begun_segments(&run.disk).iter().map(|(_, bytes)| used_bytes(bytes)).collect();
        run.append();
        let segments = begun_segments(&run.disk);
        run.log = None;
        let last = segments.len() - 1;
        let index = run.dice.roll(segments.len() as u64) as usize;
        let end = if index < last {
            used_bytes(&segments[index].1)
        } else {
            before.get(index).copied().unwrap_or(0)
        };
        if end == 0 {
            return;
        }
        // The header of a segment is met often enough.
        let end = if run.dice.roll(4) == 0 { end.min(64) } else { end };
        let bit = run.dice.roll(end * 8);
        run.disk.flip(&segments[index].0, bit).unwrap();
        flips.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let opened = SegmentedLog::open_on(Arc::new(run.disk.clone()), Path::new("/log"), TINY);
        let is_noticed = match opened {
            Err(OpenError::Damaged { .. }) => true,
            Err(other) => panic!("{other:?}"),
            Ok(log) => match read_all(&log, 1000) {
                Err(ReadError::Damaged { .. }) => true,
                Err(other) => panic!("{other:?}"),
                // Padding is not part of a record.
                Ok(found) => {
                    let (path, byte) = (&segments[index].0, bit / 8);
                    assert!(found == run.model, "byte {byte} of {path:?} went by unnoticed");
                    false
                }
            },
        };
        noticed.fetch_add(u64::from(is_noticed), std::sync::atomic::Ordering::Relaxed);
    });
    let (noticed, flips) = (noticed.into_inner(), flips.into_inner());
    assert!(noticed * 10 >= flips * 9, "{noticed} of {flips}");
}

/// A slow disk is waited for, not mistaken for a full one.
#[test]
fn a_full_queue_makes_room_when_the_writer_has_taken_from_it() {
    let disk = Simulated::new(1);
    let config = SegmentedConfig { queue_bytes_max: 2000, ..TINY };
    let log = SegmentedLog::open_on(Arc::new(disk.clone()), Path::new("log"), config).unwrap();
    assert!(matches!(block_on(log.make_room(u64::MAX)), Err(AppendError::Full { .. })));
    let append = |count: usize| {
        let mut batch = Batch::new();
        (0..count).for_each(|_| batch.push(&[7; 460]));
        log.append(log.tail(), batch)
    };
    disk.hold_syncs(0);
    let held = append(1);
    disk.wait_until_held();
    let queued = append(4);
    assert_eq!(log.room_bytes(), 0);
    assert!(matches!(block_on(append(1)), Err(AppendError::Full { .. })));
    let mut room = log.make_room(500);
    assert!(block_on(async { (&mut room).now_or_never() }).is_none());
    disk.release_syncs();
    assert_eq!(block_on(room), Ok(()));
    assert_eq!(block_on(held), Ok(Position::new(1)));
    assert_eq!(block_on(queued), Ok(Position::new(5)));
    assert_eq!(block_on(append(4)), Ok(Position::new(9)));
    assert_eq!(block_on(log.make_room(2001)), Err(AppendError::Full { bytes: 2001 }));
}
