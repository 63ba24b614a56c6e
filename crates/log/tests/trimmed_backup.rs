//! A log that is trimmed while it is copied: a copy begins where the log began at some moment, and has everything that was
//! durable when copying began.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use lombard_log::{
    Batch, Log, ReadError, SegmentedConfig, SegmentedLog,
    maintain::{backup_trimmed, check, restore_trimmed},
};
use lombard_types::Position;

const TINY: SegmentedConfig = SegmentedConfig {
    segment_bytes_min: 4096,
    segment_bytes_max: 4096,
    record_bytes_max: 1000,
    queue_bytes_max: 64 << 10,
};
const COPIES: u32 = 30;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn payload(number: u64) -> Vec<u8> {
    vec![u8::try_from(number % 251).unwrap(); 500]
}

fn append(log: &dyn Log, count: u64) {
    for number in log.tail().get()..log.tail().get() + count {
        let mut batch = Batch::new();
        batch.push(&payload(number));
        block_on(log.make_room(600)).unwrap();
        block_on(log.append(Position::new(number), batch)).unwrap();
    }
}

/// The first record and the one behind the last; each is what was written.
fn read(directory: &Path) -> (u64, u64) {
    let log = SegmentedLog::open(directory, TINY).unwrap();
    let first = match block_on(log.read(Position::START, 1)) {
        Ok(_) => 0,
        Err(ReadError::Trimmed { first, .. }) => first.get(),
        Err(other) => panic!("{other:?}"),
    };
    let mut next = first;
    loop {
        let records = block_on(log.read(Position::new(next), 5000)).unwrap();
        if records.is_empty() {
            return (first, next);
        }
        for record in records {
            assert_eq!((record.position.get(), record.payload.to_vec()), (next, payload(next)));
            next += 1;
        }
    }
}

#[test]
fn a_log_that_is_trimmed_meanwhile_is_copied_whole() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let log = SegmentedLog::open(&path("log"), TINY).unwrap();
    append(&log, 40);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                append(&log, 40);
                let before = log.durable().borrow().get().saturating_sub(15);
                block_on(log.trim(Position::new(before))).unwrap();
            }
        });
        let mut was_trimmed = false;
        for number in 0..COPIES {
            let durable = log.durable().borrow().get();
            let (copy, restored) =
                (path(&format!("copy-{number}")), path(&format!("back-{number}")));
            let copied = backup_trimmed(&path("log"), &copy, &mut |_| {}).unwrap();
            assert!(copied.tail.get() >= durable, "{copied:?} {durable}");
            assert!(!copy.join("leaves.merkle").exists());
            assert_eq!(check(&copy, &mut |_| {}).unwrap(), copied);
            assert_eq!(restore_trimmed(&copy, &restored, &mut |_| {}).unwrap(), copied);
            let (first, tail) = read(&restored);
            assert_eq!((tail, tail - first), (copied.tail.get(), copied.records));
            was_trimmed |= first > 0;
        }
        is_done.store(true, Ordering::Relaxed);
        assert!(was_trimmed);
    });
}
