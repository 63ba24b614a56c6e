//! The segmented log on a real directory: what was acknowledged is there after every kind of end, and damage is told
//! from a torn tail.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use lombard_log::{
    AppendError, Batch, Log as _, OpenError, ReadError, SegmentedConfig, SegmentedLog,
};
use lombard_types::Position;
use proptest::prelude::*;

/// Every limit is tiny, so that each is met.
const TINY: SegmentedConfig = SegmentedConfig {
    segment_bytes_min: 4096,
    segment_bytes_max: 8192,
    record_bytes_max: 1000,
    queue_bytes_max: 64 << 10,
};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn batch(payloads: &[Vec<u8>]) -> Batch {
    let mut batch = Batch::new();
    payloads.iter().for_each(|payload| batch.push(payload));
    batch
}

fn append(log: &SegmentedLog, payloads: &[Vec<u8>]) -> Position {
    block_on(async {
        let bytes: usize = payloads.iter().map(|payload| payload.len() + 40).sum();
        log.make_room(bytes as u64).await.unwrap();
        log.append(log.tail(), batch(payloads)).await.unwrap()
    })
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

fn last_segment(directory: &Path) -> PathBuf {
    let mut segments: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .filter(|path| fs::read(path).unwrap()[..8] != [0; 8])
        .collect();
    segments.sort();
    segments.pop().unwrap()
}

/// Overwrites one byte with its complement.
fn flip(file: &Path, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[!byte[0]], offset).unwrap();
}

#[test]
fn a_second_process_is_kept_out() {
    let place = tempfile::tempdir().unwrap();
    let first = SegmentedLog::open(place.path(), TINY).unwrap();
    assert!(matches!(SegmentedLog::open(place.path(), TINY), Err(OpenError::Locked { .. })));
    drop(first);
    SegmentedLog::open(place.path(), TINY).unwrap();
}

#[test]
fn a_writer_that_lost_count_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let log = SegmentedLog::open(place.path(), TINY).unwrap();
    append(&log, &[b"one".to_vec()]);
    let refused = block_on(log.append(Position::START, batch(&[b"two".to_vec()])));
    let (expected, tail) = (Position::START, Position::new(1));
    assert_eq!(refused, Err(AppendError::Conflict { expected, tail }));
    let large = block_on(log.append(tail, batch(&[vec![1; 1001 + 8]])));
    assert!(matches!(large, Err(AppendError::TooLarge { .. })), "{large:?}");
    assert_eq!(read_all(&log, 100).unwrap(), [b"one".to_vec()]);
}

#[test]
fn appends_are_pipelined_and_take_effect_in_order() {
    let place = tempfile::tempdir().unwrap();
    let log = SegmentedLog::open(place.path(), SegmentedConfig::default()).unwrap();
    block_on(async {
        let appends: Vec<_> = (0..100u64)
            .map(|number| {
                log.append(Position::new(number), batch(&[number.to_le_bytes().to_vec()]))
            })
            .collect();
        for (number, append) in (1..).zip(appends) {
            assert_eq!(append.await, Ok(Position::new(number)));
        }
    });
    let expected: Vec<_> = (0..100u64).map(|number| number.to_le_bytes().to_vec()).collect();
    assert_eq!(read_all(&log, 50).unwrap(), expected);
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_was_torn() {
    let place = tempfile::tempdir().unwrap();
    let log = SegmentedLog::open(place.path(), TINY).unwrap();
    append(&log, &[b"kept".to_vec()]);
    // One write of two records: either may be what reached the disk.
    append(&log, &[vec![1; 60], vec![2; 60]]);
    drop(log);
    let file = last_segment(place.path());
    let whole = fs::read(&file).unwrap();
    let first_bytes = 64 + 40;
    for torn_at in (first_bytes..first_bytes + 2 * 96).step_by(8) {
        for is_head_lost in [false, true] {
            let mut torn = whole.clone();
            let group_end = first_bytes + 2 * 96;
            // The disk writes in any order: what is lost can be the end or the beginning.
            let lost = if is_head_lost { first_bytes..torn_at } else { torn_at..group_end };
            if lost.is_empty() {
                continue;
            }
            torn[lost].fill(0);
            fs::write(&file, &torn).unwrap();
            let log = SegmentedLog::open(place.path(), TINY).unwrap();
            let found = read_all(&log, 10_000).unwrap();
            assert!(found.len() <= 2 && found[0] == b"kept", "torn at {torn_at}: {found:?}");
            append(&log, &[b"new".to_vec()]);
            drop(log);
            let log = SegmentedLog::open(place.path(), TINY).unwrap();
            assert_eq!(read_all(&log, 10_000).unwrap().last().unwrap(), b"new");
        }
    }
}

#[test]
fn damage_before_the_last_durable_point_stops_the_log() {
    let place = tempfile::tempdir().unwrap();
    let log = SegmentedLog::open(place.path(), TINY).unwrap();
    for number in 0..5u8 {
        append(&log, &[vec![number; 60]]);
    }
    drop(log);
    let file = last_segment(place.path());
    let whole = fs::read(&file).unwrap();
    // Every byte of every record but the last, whose loss cannot be told from a torn write.
    for offset in 64..64 + 4 * 96 {
        let is_padding = (offset - 64) % 96 >= 92;
        if is_padding {
            continue;
        }
        fs::write(&file, &whole).unwrap();
        flip(&file, offset);
        match SegmentedLog::open(place.path(), TINY) {
            Err(OpenError::Damaged { position, .. }) => {
                assert_eq!(position.get(), (offset - 64) / 96)
            }
            other => panic!("byte {offset}: {other:?}"),
        }
    }
}

#[test]
fn damage_in_an_old_segment_is_found_when_it_is_read() {
    let place = tempfile::tempdir().unwrap();
    let log = SegmentedLog::open(place.path(), TINY).unwrap();
    for number in 0..40u8 {
        append(&log, &[vec![number; 500]]);
    }
    drop(log);
    flip(&place.path().join("0000000001.seg"), 64 + 2 * 536 + 100);
    let log = SegmentedLog::open(place.path(), TINY).unwrap();
    match read_all(&log, 1000) {
        Err(ReadError::Damaged { position, place, .. }) => {
            assert_eq!(position.get(), 2);
            assert!(place.contains("segment 1 at byte"), "{place}");
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is appended is there, in order, with reopening in between, for readers of every size.
    #[test]
    fn keeps_what_a_list_keeps(
        steps in prop::collection::vec(
            prop_oneof![
                8 => prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 1..6).prop_map(Some),
                1 => Just(None),
            ],
            1..40,
        ),
        bytes_max in 1usize..5000,
    ) {
        let place = tempfile::tempdir().unwrap();
        let mut log = SegmentedLog::open(place.path(), TINY).unwrap();
        let mut model: Vec<Vec<u8>> = Vec::new();
        for step in steps {
            match step {
                Some(payloads) => {
                    for payload in payloads.chunks(2) {
                        append(&log, payload);
                        model.extend_from_slice(payload);
                    }
                }
                None => {
                    drop(log);
                    log = SegmentedLog::open(place.path(), TINY).unwrap();
                }
            }
            prop_assert_eq!(log.tail().get(), model.len() as u64);
        }
        prop_assert_eq!(&read_all(&log, bytes_max).unwrap(), &model);
        let middle = model.len() / 2;
        let records = block_on(log.read(Position::new(middle as u64), 1)).unwrap();
        prop_assert_eq!(records.first().map(|record| record.payload.to_vec()), model.get(middle).cloned());
    }
}
