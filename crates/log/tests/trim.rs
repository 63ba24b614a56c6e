//! Trimming: what is kept stays, what was given up is refused, and a crash at any step leaves a log that opens.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use lombard_log::{
    Batch, Log, MemoryLog, OpenError, ReadError, SegmentedConfig, SegmentedLog,
    disk::{Disk, Lock, SharedFile, Simulated},
};
use lombard_types::Position;

const TINY: SegmentedConfig = SegmentedConfig {
    segment_bytes_min: 4096,
    segment_bytes_max: 4096,
    record_bytes_max: 1000,
    queue_bytes_max: 64 << 10,
};
const RECORDS: u64 = 40;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn open(disk: &Arc<impl Disk>) -> Result<SegmentedLog, OpenError> {
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    SegmentedLog::open_on(disk, Path::new("/log"), TINY)
}

fn payload(number: u64) -> Vec<u8> {
    vec![u8::try_from(number % 251).unwrap(); 500]
}

fn fill(log: &dyn Log) {
    for number in log.tail().get()..log.tail().get() + RECORDS {
        let mut batch = Batch::new();
        batch.push(&payload(number));
        block_on(log.make_room(600)).unwrap();
        block_on(log.append(Position::new(number), batch)).unwrap();
    }
}

/// Everything from the first kept record on, which is answered.
fn read(log: &dyn Log) -> u64 {
    let first = match block_on(log.read(Position::START, 1)) {
        Ok(_) => 0,
        Err(ReadError::Trimmed { first, .. }) => first.get(),
        Err(other) => panic!("{other:?}"),
    };
    let mut next = first;
    loop {
        let records = block_on(log.read(Position::new(next), 5000)).unwrap();
        if records.is_empty() {
            assert_eq!(next, log.tail().get());
            return first;
        }
        for record in records {
            assert_eq!((record.position.get(), record.payload.to_vec()), (next, payload(next)));
            next += 1;
        }
    }
}

fn check(log: &dyn Log) {
    fill(log);
    assert_eq!(block_on(log.trim(Position::START)), Ok(Position::START));
    let first = block_on(log.trim(Position::new(25))).unwrap();
    assert!((1..=25).contains(&first.get()), "{first}");
    assert_eq!(read(log), first.get());
    // Nothing comes back, and nothing goes that is not behind the mark.
    assert_eq!(block_on(log.trim(Position::new(3))), Ok(first));
    fill(log);
    assert_eq!(read(log), first.get());
}

#[test]
fn memory_keeps_the_rest() {
    let log = MemoryLog::new();
    check(&log);
    assert_eq!(read(&log.after_crash()), 25);
}

#[test]
fn segments_keep_the_rest_also_after_a_restart() {
    let disk = Arc::new(Simulated::new(1));
    let log = open(&disk).unwrap();
    check(&log);
    let first = read(&log);
    let used = disk.bytes_used();
    block_on(log.trim(Position::new(u64::MAX))).unwrap();
    assert!(disk.bytes_used() < used / 2, "space is given back");
    let kept = read(&log);
    assert!(kept > first && kept < log.tail().get(), "the last segment stays: {kept}");
    drop(log);
    disk.crash();
    assert_eq!(read(&open(&disk).unwrap()), kept);
}

/// A log that lost its beginning does not pass for one that gave it up.
#[test]
fn a_first_segment_that_is_lost_is_damage() {
    let disk = Arc::new(Simulated::new(1));
    fill(&open(&disk).unwrap());
    disk.remove(Path::new("/log/0000000001.seg")).unwrap();
    assert!(matches!(open(&disk), Err(OpenError::Damaged { .. })));

    let disk = Arc::new(Simulated::new(1));
    let log = open(&disk).unwrap();
    fill(&log);
    block_on(log.trim(Position::new(25))).unwrap();
    drop(log);
    let first = (1..).find(|number| disk.contents(&segment(*number)).is_ok()).unwrap();
    assert!(first > 1);
    disk.remove(&segment(first)).unwrap();
    assert!(matches!(open(&disk), Err(OpenError::Damaged { .. })));
}

fn segment(number: u64) -> PathBuf {
    PathBuf::from(format!("/log/{number:010}.seg"))
}

/// The power fails, or the process is killed, before each of the steps of a trim.
#[test]
fn a_crash_at_any_step_leaves_a_log_that_opens() {
    for is_power_lost in [false, true] {
        let mut firsts = Vec::new();
        for steps in 0..100 {
            let disk = Simulated::new(u64::from(is_power_lost));
            let dying = Arc::new(Dying { disk: disk.clone(), steps: AtomicI64::new(i64::MAX) });
            let log = open(&dying).unwrap();
            fill(&log);
            // Until the segment after the last is prepared, so that only the trim takes steps.
            assert!(block_on(log.make_room(u64::MAX)).is_err());
            dying.steps.store(steps, Ordering::SeqCst);
            let trimmed = block_on(log.trim(Position::new(25)));
            if is_power_lost {
                disk.crash();
            } else {
                disk.kill();
            }
            drop(log);
            let log = open(&Arc::new(disk)).unwrap();
            let first = read(&log);
            assert!(first <= 25, "{first}");
            firsts.push(first);
            fill(&log);
            if let Ok(trimmed) = trimmed {
                assert_eq!(first, trimmed.get());
                break;
            }
        }
        assert!(firsts.is_sorted() && firsts.first() == Some(&0), "{firsts:?}");
        assert!(firsts.len() > 6, "every step was met: {firsts:?}");
    }
}

/// A disk on which nothing can be changed any more after some steps.
#[derive(Debug)]
struct Dying {
    disk: Simulated,
    steps: AtomicI64,
}

impl Dying {
    fn step(&self) -> io::Result<()> {
        let is_alive = self.steps.fetch_sub(1, Ordering::SeqCst) > 0;
        if is_alive { Ok(()) } else { Err(io::Error::other("dead")) }
    }
}

impl Disk for Dying {
    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        self.disk.create_directory(directory)
    }

    fn create(&self, path: &Path) -> io::Result<SharedFile> {
        self.step()?;
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<SharedFile> {
        self.disk.open(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<SharedFile> {
        self.disk.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.disk.remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        self.disk.list(directory)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.step()?;
        self.disk.sync_directory(directory)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        self.disk.lock(path)
    }

    fn random(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.disk.random(bytes)
    }
}
