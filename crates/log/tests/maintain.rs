//! What an operator does with a log: check, verify, backup, restore, repair.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use lombard_log::{
    AppendError, Batch, Log as _, OpenError, SegmentedConfig, SegmentedLog, SharedLog,
    checkpoint::{CHECKPOINT_FILE, Checkpoint, CheckpointError, SigningKey},
    disk::Real,
    maintain::{CheckReport, MaintainError, Progress, backup, check, repair, restore, verify},
    merkle::{LEAVES_FILE, MerkleFollower, Tree, TreeHash},
};
use lombard_types::Position;

/// Segments of four to eight records.
const TINY: SegmentedConfig = SegmentedConfig {
    segment_bytes_min: 4096,
    segment_bytes_max: 8192,
    record_bytes_max: 1000,
    queue_bytes_max: 64 << 10,
};
const PAYLOAD_BYTES: usize = 500;
const FRAMED_BYTES: u64 = 536;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn payload(position: u64) -> Vec<u8> {
    vec![position as u8; PAYLOAD_BYTES]
}

async fn append(log: &SegmentedLog, count: u64) {
    for _ in 0..count {
        let mut batch = Batch::new();
        batch.push(&payload(log.tail().get()));
        log.make_room(FRAMED_BYTES + 40).await.unwrap();
        log.append(log.tail(), batch).await.unwrap();
    }
}

/// A closed log of this many records.
fn make(directory: &Path, count: u64) {
    let log = SegmentedLog::open(directory, TINY).unwrap();
    block_on(append(&log, count));
}

fn root(count: u64) -> TreeHash {
    let mut tree = Tree::in_memory();
    let leaf = |position| TreeHash::of_record(Position::new(position), &payload(position));
    (0..count).for_each(|position| tree.append(&[leaf(position)]).unwrap());
    tree.root(count).unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_seed("test", &[3; 32]).unwrap()
}

fn checkpoint(size: u64) -> String {
    let origin = "test/log".to_owned();
    let checkpoint = Checkpoint { origin, size, root: root(size), extensions: Vec::new() };
    checkpoint.sign(&key()).unwrap()
}

fn quiet(_: Progress) {}

fn check_quietly(directory: &Path) -> CheckReport {
    check(directory, &mut quiet).unwrap()
}

fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

fn segment(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}.seg"))
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}

/// Puts another payload in a record's place with a checksum that fits, as somebody who knows the format would.
fn rewrite(path: &Path, offset: u64, payload: &[u8]) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut record = vec![0; FRAMED_BYTES as usize];
    file.read_exact_at(&mut record, offset).unwrap();
    record[32..32 + PAYLOAD_BYTES].copy_from_slice(payload);
    let crc = crc32c::crc32c(&record[8..32 + PAYLOAD_BYTES]);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
    file.write_all_at(&record, offset).unwrap();
}

/// What is reported never goes back and ends at the whole.
struct Heard(Progress);

impl Heard {
    fn hear(&mut self, progress: Progress) {
        assert!(progress.done >= self.0.done && progress.done <= progress.total);
        self.0 = progress;
    }

    fn assert_whole(&self) {
        assert!(self.0.total > 0 && self.0.done == self.0.total, "{:?}", self.0);
    }
}

#[test]
fn a_sound_log_is_sound_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path(), 40);
    let before = contents(directory.path());
    let mut heard = Heard(Progress::default());
    let report = check(directory.path(), &mut |progress| heard.hear(progress)).unwrap();
    heard.assert_whole();
    assert_eq!(report.records, 40);
    assert_eq!(report.tail, Position::new(40));
    assert_eq!(report.payload_bytes, 40 * PAYLOAD_BYTES as u64);
    assert_eq!(report.root, root(40));
    assert_eq!((report.damage, report.torn_bytes), (None, 0));
    assert!(report.segments > 2);
    assert_eq!(contents(directory.path()), before);
}

#[test]
fn a_log_in_use_is_not_cut_and_no_log_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let is_no_log = |refused| matches!(refused, Err(MaintainError::NoLog { .. }));
    assert!(is_no_log(check(directory.path(), &mut quiet)));
    let log = SegmentedLog::open(directory.path(), TINY).unwrap();
    let refused = repair(directory.path(), Position::START, &mut quiet);
    assert!(matches!(refused, Err(MaintainError::Locked { .. })), "{refused:?}");
    assert_eq!(check_quietly(directory.path()).records, 0);
    drop(log);
}

#[test]
fn a_torn_tail_is_reported_and_left_there() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path(), 3);
    let file = segment(directory.path(), 1);
    overwrite(&file, 64 + 3 * FRAMED_BYTES + 8, &[1; 100]);
    let before = contents(directory.path());
    let report = check_quietly(directory.path());
    assert_eq!((report.records, report.torn_bytes, report.damage), (3, 108, None));
    assert_eq!(contents(directory.path()), before);
}

#[test]
fn the_first_damage_is_named_wherever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path(), 40);
    let whole = contents(directory.path());
    let begun = check_quietly(directory.path()).segments;
    let mut first = 0;
    for number in 1..=begun {
        let file = segment(directory.path(), number);
        let used = whole[&file].iter().rposition(|&byte| byte != 0).unwrap() as u64 + 1;
        let records = (used - 64).div_ceil(FRAMED_BYTES);
        // The header, the first record, and the last but one: the loss of a log's last cannot be told.
        for (offset, record) in
            [(20, 0), (64 + 40, 0), (64 + (records - 2) * FRAMED_BYTES + 2, records - 2)]
        {
            overwrite(&file, offset, &[!whole[&file][offset as usize]]);
            let report = check_quietly(directory.path());
            let damage = report.damage.unwrap();
            assert_eq!(damage.position, Position::new(first + record), "{damage}");
            assert_eq!(report.records, first + record);
            assert_eq!(damage.file, file);
            fs::write(&file, &whole[&file]).unwrap();
        }
        first += records;
    }
    assert_eq!(first, 40);
}

#[test]
fn a_missing_segment_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path(), 40);
    fs::remove_file(segment(directory.path(), 2)).unwrap();
    let report = check_quietly(directory.path());
    assert!(report.damage.is_some() && report.records < 20, "{report:?}");
}

#[test]
fn a_repaired_log_goes_on_where_it_was_cut() {
    for cut in [0, 1, 6, 7, 8, 20, 39] {
        let directory = tempfile::tempdir().unwrap();
        make(directory.path(), 40);
        let report = repair(directory.path(), Position::new(cut), &mut quiet).unwrap();
        assert_eq!(report.tail, Position::new(cut));
        assert!(report.kept.iter().all(|path| path.exists()));
        let log = SegmentedLog::open(directory.path(), TINY).unwrap();
        assert_eq!(log.tail(), Position::new(cut));
        block_on(append(&log, 40 - cut));
        drop(log);
        let report = check_quietly(directory.path());
        assert_eq!((report.records, report.root, report.damage), (40, root(40), None), "{cut}");
    }
}

#[test]
fn repair_cuts_before_the_damage_and_not_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path(), 40);
    let file = segment(directory.path(), 2);
    let damaged_bytes = {
        overwrite(&file, 64 + FRAMED_BYTES + 50, &[0xAA]);
        fs::read(&file).unwrap()
    };
    let damage = check_quietly(directory.path()).damage.unwrap();
    let refused = repair(directory.path(), damage.position.next(), &mut quiet);
    assert!(matches!(refused, Err(MaintainError::OutOfReach { .. })), "{refused:?}");
    let report = repair(directory.path(), damage.position, &mut quiet).unwrap();
    // Nothing is thrown away.
    assert_eq!(fs::read(&report.kept[0]).unwrap(), damaged_bytes);
    let after = check_quietly(directory.path());
    assert_eq!((after.tail, after.damage), (damage.position, None));
    // Again, as after an interruption: what was kept stays.
    let again = repair(directory.path(), damage.position, &mut quiet).unwrap();
    assert_ne!(again.kept[0], report.kept[0]);
    assert_eq!(fs::read(&report.kept[0]).unwrap(), damaged_bytes);
}

#[test]
fn repair_sets_a_checkpoint_over_lost_records_aside() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path(), 10);
    let file = directory.path().join(CHECKPOINT_FILE);
    fs::write(&file, checkpoint(8)).unwrap();
    repair(directory.path(), Position::new(8), &mut quiet).unwrap();
    assert!(file.exists());
    let report = repair(directory.path(), Position::new(7), &mut quiet).unwrap();
    assert!(!file.exists());
    let kept = report.kept.last().unwrap();
    assert_eq!(fs::read_to_string(kept).unwrap(), checkpoint(8));
}

#[test]
fn a_damaged_first_record_leaves_an_empty_log() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path(), 10);
    overwrite(&segment(directory.path(), 1), 64 + 40, &[0xAA]);
    repair(directory.path(), Position::START, &mut quiet).unwrap();
    let log = SegmentedLog::open(directory.path(), TINY).unwrap();
    assert_eq!(log.tail(), Position::START);
}

#[test]
fn a_backup_of_a_running_log_restores() {
    let place = tempfile::tempdir().unwrap();
    let (source, copy, restored) =
        (place.path().join("log"), place.path().join("backup"), place.path().join("restored"));
    let log = SegmentedLog::open(&source, TINY).unwrap();
    block_on(append(&log, 60));
    fs::write(source.join(CHECKPOINT_FILE), checkpoint(50)).unwrap();
    let mut heard = Heard(Progress::default());
    let checked = backup(&source, &copy, &mut |progress| heard.hear(progress)).unwrap();
    heard.assert_whole();
    assert_eq!((checked.records, checked.root), (60, root(60)));
    assert_eq!(checked, check_quietly(&copy));
    assert_eq!(checked.log_id, Some(log.id()));
    // The log goes on.
    block_on(append(&log, 1));
    let note = fs::read(copy.join(CHECKPOINT_FILE)).unwrap();
    verify(&copy, &note, key().verifying_key(), &mut quiet).unwrap();

    let before = contents(&copy);
    let mut heard = Heard(Progress::default());
    let report = restore(&copy, &restored, &mut |progress| heard.hear(progress)).unwrap();
    heard.assert_whole();
    assert_eq!(report, checked);
    assert_eq!(contents(&copy), before);
    let log: SharedLog = Arc::new(SegmentedLog::open(&restored, TINY).unwrap());
    assert_eq!(log.tail(), Position::new(60));
    block_on(async {
        let tree = MerkleFollower::start(Arc::new(Real), &restored, Arc::clone(&log)).unwrap();
        tree.wait_for(60).await.unwrap();
        assert_eq!(tree.root(60).unwrap(), root(60));
    });
}

/// What eight writers were told is durable before a backup began is in it, and it is a beginning of what they wrote.
#[test]
fn backups_under_eight_writers_hold_what_was_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("log");
    // Few enough for their files to be open at once, many enough for backups across several.
    let segments = SegmentedConfig { segment_bytes_max: 256 << 10, ..TINY };
    let log = Arc::new(SegmentedLog::open(&source, segments).unwrap());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..8u8 {
            let (log, is_over) = (&log, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let mut batch = Batch::new();
                    batch.push(&[writer; PAYLOAD_BYTES]);
                    block_on(log.make_room(FRAMED_BYTES + 40)).unwrap();
                    // Another writer may have come first.
                    match block_on(log.append(log.tail(), batch)) {
                        Ok(_) | Err(AppendError::Conflict { .. } | AppendError::Full { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        let mut last = 0;
        for round in 0..6 {
            let mut durable = log.durable();
            let more = last + 5;
            block_on(durable.wait_for(|durable| durable.get() >= more)).unwrap();
            let acknowledged = durable.borrow().get();
            let copy = place.path().join(format!("backup{round}"));
            let report = backup(&source, &copy, &mut quiet).unwrap();
            assert!(report.records >= acknowledged, "{} of {acknowledged}", report.records);
            assert_eq!(report.log_id, Some(log.id()));
            last = report.records;
            // What was copied is durable, or becomes so: the log itself never takes it back.
            block_on(durable.wait_for(|durable| durable.get() >= last)).unwrap();
            let mut tree = Tree::in_memory();
            while tree.size() < last {
                for record in block_on(log.read(Position::new(tree.size()), 1 << 16)).unwrap() {
                    if record.position.get() < last {
                        let leaf = TreeHash::of_record(record.position, &record.payload);
                        tree.append(&[leaf]).unwrap();
                    }
                }
            }
            assert_eq!(tree.root(last).unwrap(), report.root);
            // A running log is checked, and verified, as it stands.
            assert!(check_quietly(&source).records >= last);
            let checkpoint = Checkpoint {
                origin: "test/log".to_owned(),
                size: last,
                root: report.root,
                extensions: Vec::new(),
            };
            let note = checkpoint.sign(&key()).unwrap();
            verify(&source, note.as_bytes(), key().verifying_key(), &mut quiet).unwrap();
            verify(&copy, note.as_bytes(), key().verifying_key(), &mut quiet).unwrap();
            let restored = place.path().join(format!("restored{round}"));
            assert_eq!(restore(&copy, &restored, &mut quiet).unwrap(), report);
            let opened = SegmentedLog::open(&restored, TINY).unwrap();
            assert_eq!(opened.tail(), Position::new(last));
            block_on(append(&opened, 3));
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn nothing_is_overwritten_and_an_interrupted_copy_is_made_anew() {
    let place = tempfile::tempdir().unwrap();
    let (source, copy, restored) =
        (place.path().join("log"), place.path().join("backup"), place.path().join("restored"));
    make(&source, 20);
    // As interrupted copies would leave them.
    make(&place.path().join("backup.partial"), 5);
    make(&place.path().join("restored.partial"), 30);
    let exists = |refused: &MaintainError| matches!(refused, MaintainError::TargetExists { .. });
    backup(&source, &copy, &mut quiet).unwrap();
    assert!(exists(&backup(&source, &copy, &mut quiet).unwrap_err()));
    restore(&copy, &restored, &mut quiet).unwrap();
    assert!(exists(&restore(&copy, &restored, &mut quiet).unwrap_err()));
    assert_eq!(check_quietly(&copy).root, root(20));
    assert_eq!(check_quietly(&restored).root, root(20));
}

#[test]
fn damage_is_neither_backed_up_nor_restored() {
    let place = tempfile::tempdir().unwrap();
    let (source, copy) = (place.path().join("log"), place.path().join("backup"));
    make(&source, 40);
    overwrite(&segment(&source, 1), 64 + 50, &[0xAA]);
    let refused = restore(&source, &copy, &mut quiet);
    assert!(matches!(refused, Err(MaintainError::Damaged(_))), "{refused:?}");
    let refused = backup(&source, &copy, &mut quiet);
    assert!(matches!(refused, Err(MaintainError::Damaged(_))), "{refused:?}");
    assert!(!copy.exists());
}

/// A log of 40 records with its leaf hashes beside it.
fn make_with_leaves(place: &Path) -> PathBuf {
    let (source, copy) = (place.join("log"), place.join("backup"));
    make(&source, 40);
    backup(&source, &copy, &mut quiet).unwrap();
    copy
}

#[test]
fn every_rewritten_record_is_found_and_named() {
    let place = tempfile::tempdir().unwrap();
    let directory = make_with_leaves(place.path());
    let note = checkpoint(40);
    let verify = || verify(&directory, note.as_bytes(), key().verifying_key(), &mut quiet);
    assert_eq!(verify().unwrap().records, 40);
    let file = segment(&directory, 2);
    let first = {
        let head = fs::read(&file).unwrap();
        u64::from_le_bytes(head[24..32].try_into().unwrap())
    };
    let whole = fs::read(&file).unwrap();
    for record in 0..3 {
        rewrite(&file, 64 + record * FRAMED_BYTES, &[0xEE; PAYLOAD_BYTES]);
        // Its checksum fits: the log itself sees nothing.
        assert_eq!(check_quietly(&directory).damage, None);
        match verify() {
            Err(MaintainError::Rewritten { position }) => {
                assert_eq!(position.get(), first + record);
            }
            other => panic!("{other:?}"),
        }
        fs::write(&file, &whole).unwrap();
    }
    // Whoever rewrites the leaf hashes too hides which record it was, and not that it was.
    rewrite(&file, 64, &[0xEE; PAYLOAD_BYTES]);
    let leaf = TreeHash::of_record(Position::new(first), &[0xEE; PAYLOAD_BYTES]);
    overwrite(&directory.join(LEAVES_FILE), first * 32, leaf.as_bytes());
    let found = verify();
    assert!(matches!(found, Err(MaintainError::RewrittenSomewhere { size: 40 })), "{found:?}");
    fs::remove_file(directory.join(LEAVES_FILE)).unwrap();
    let found = verify();
    assert!(matches!(found, Err(MaintainError::RewrittenSomewhere { size: 40 })), "{found:?}");
}

/// Every byte of every segment, one by one: against a checkpoint, either the flip is found or the byte is one of the zeros
/// between two records, which mean nothing.
#[test]
fn a_flip_of_any_byte_of_history_is_found() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("log");
    let count = 12;
    make(&directory, count);
    let (note, key) = (checkpoint(count), key());
    let verify = || verify(&directory, note.as_bytes(), key.verifying_key(), &mut quiet);
    verify().unwrap();
    let segments = contents(&directory).into_iter();
    let is_begun = |bytes: &[u8]| bytes.starts_with(b"LOMBSEG1");
    let mut bytes_tried = 0;
    for (path, bytes) in segments.filter(|(_, bytes)| is_begun(bytes)) {
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for at in 0..used {
            overwrite(&path, at as u64, &[!bytes[at]]);
            let padding = 32 + PAYLOAD_BYTES..FRAMED_BYTES as usize;
            let is_padding = at >= 64 && padding.contains(&((at - 64) % FRAMED_BYTES as usize));
            assert_eq!(verify().is_err(), !is_padding, "byte {at} of {}", path.display());
            overwrite(&path, at as u64, &bytes[at..=at]);
            bytes_tried += 1;
        }
    }
    verify().unwrap();
    assert!(bytes_tried > count * PAYLOAD_BYTES as u64);
}

#[test]
fn verify_names_what_is_missing_damaged_or_not_signed() {
    let place = tempfile::tempdir().unwrap();
    let directory = make_with_leaves(place.path());
    let run = |note: &str, key: &SigningKey| {
        verify(&directory, note.as_bytes(), key.verifying_key(), &mut quiet)
    };
    let before = contents(&directory);
    let short = run(&checkpoint(41), &key());
    assert!(matches!(short, Err(MaintainError::TooShort { records: 40, size: 41 })), "{short:?}");
    let other = SigningKey::from_seed("test", &[4; 32]).unwrap();
    let unsigned = run(&checkpoint(40), &other);
    let unknown = CheckpointError::UnknownKey;
    assert!(matches!(unsigned, Err(MaintainError::Checkpoint(e)) if e == unknown), "{unsigned:?}");
    assert_eq!(run(&checkpoint(0), &key()).unwrap().records, 40);
    assert_eq!(contents(&directory), before);
    overwrite(&segment(&directory, 1), 64 + 2 * FRAMED_BYTES + 40, &[0xAA]);
    match run(&checkpoint(40), &key()) {
        Err(MaintainError::Damaged(damage)) => assert_eq!(damage.position.get(), 2),
        other => panic!("{other:?}"),
    }
    // Where nothing vouches for the leaf hashes, the damage is as good a place as any.
    fs::remove_file(directory.join(LEAVES_FILE)).unwrap();
    let damaged = run(&checkpoint(40), &key());
    assert!(matches!(damaged, Err(MaintainError::Damaged(_))), "{damaged:?}");
    let opened = SegmentedLog::open(&directory, TINY);
    assert!(!matches!(opened, Err(OpenError::Locked { .. })), "the lock is given back");
}
