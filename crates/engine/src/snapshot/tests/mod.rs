//! Whatever happens to snapshots, a start gives the state that replaying everything gives.

mod dying_disk;
mod words;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use lombard_log::{
    MemoryLog, ReadError, SharedLog,
    disk::{Disk as _, SharedDisk, Simulated},
};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use self::{
    dying_disk::DyingDisk,
    words::{Encoding, Words},
};
use super::*;
use crate::{Engine, Follower, Handle, Limits, StartError, StateAt, replay::Replay};

const DIRECTORY: &str = "/snapshots";

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn never() -> SnapshotPolicy {
    SnapshotPolicy { records: u64::MAX, bytes: u64::MAX }
}

fn snapshots(disk: &Simulated, policy: SnapshotPolicy) -> Snapshots {
    Snapshots::on(Arc::new(disk.clone()), DIRECTORY.into(), policy)
}

fn start(log: &SharedLog, snapshots: Snapshots, codec: &Encoding) -> (Handle<Words>, Engine) {
    let (codec, limits) = (codec.clone(), Limits::default());
    Engine::start_with_snapshots("words", log.clone(), snapshots, Words::default, codec, limits)
        .unwrap()
}

/// A log in which these words were said.
async fn said(words: &[String]) -> MemoryLog {
    let log = MemoryLog::new();
    let shared: SharedLog = Arc::new(log.clone());
    let (handle, _engine) = Engine::start(
        "words",
        shared,
        Words::<1>::default(),
        Encoding::default(),
        Limits::default(),
    )
    .unwrap();
    for word in words {
        handle.submit(word.clone()).await.unwrap();
    }
    log
}

/// One snapshot at `position`, from the newest there is; made as the thread makes it.
async fn take(disk: SharedDisk, log: &SharedLog, position: u64) -> Result<StateHash, String> {
    let codec = Encoding::default();
    let store = SnapshotStore::new("words", disk, DIRECTORY.into());
    let from = store.newest(log, &codec, &Words::<1>::default).await;
    let from = from.map_or_else(|| Words::default().into(), |opened| opened.state);
    let replay = Replay { name: "words", log, codec: &codec };
    let state = replay.run(from, Position::new(position), || true).await.unwrap();
    let at = (state.position, state.last_time);
    let written = store.write(&state.machine, at, &|| true).map_err(|error| error.to_string());
    written.map(|header| header.state_hash)
}

async fn hash_of(handle: &Handle<Words>) -> StateHash {
    handle.query(state_hash).await.unwrap().0
}

async fn replayed_hash(log: &SharedLog) -> StateHash {
    let (handle, _engine) = Engine::start(
        "words",
        log.clone(),
        Words::<1>::default(),
        Encoding::default(),
        Limits::default(),
    )
    .unwrap();
    hash_of(&handle).await
}

fn files(disk: &Simulated) -> Vec<PathBuf> {
    let mut files = disk.list(Path::new(DIRECTORY)).unwrap();
    files.sort();
    files
}

fn words(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("word {}", number % 7)).collect()
}

#[test]
fn snapshots_are_made_behind_the_log_and_a_start_replays_the_tail_only() {
    runtime().block_on(async {
        let log: SharedLog = Arc::new(MemoryLog::new());
        let disk = Simulated::new(1);
        let policy = SnapshotPolicy { records: 10, bytes: u64::MAX };
        let (handle, engine) = start(&log, snapshots(&disk, policy), &Encoding::default());
        let mut made = handle.snapshots.clone();
        for word in words(35) {
            handle.submit(word).await.unwrap();
        }
        let last = made.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        assert!(handle.last_snapshot().is_some_and(|now| now.position >= last.position));
        drop((handle, engine));
        let hash = replayed_hash(&log).await;
        // The thread ends when its engine is gone, and tells nothing more.
        while made.changed().await.is_ok() {}
        let newest = made.borrow().clone().unwrap();

        let codec = Encoding::default();
        let (handle, _engine) = start(&log, snapshots(&disk, never()), &codec);
        let read = handle.last_snapshot().unwrap();
        assert_eq!(read.state_hash, newest.state_hash);
        assert_eq!(hash_of(&handle).await, hash);
        assert_eq!(codec.decoded.load(Ordering::SeqCst), 35 - newest.position.get());
        handle.submit("later".to_owned()).await.unwrap();
    });
}

/// A view beside the machine starts from its snapshots too, and takes none of them away, nor one that is being written.
#[test]
fn a_view_starts_from_a_snapshot_and_follows_from_there() {
    runtime().block_on(async {
        let log = said(&words(20)).await;
        let (log, disk): (SharedLog, _) = (Arc::new(log), Simulated::new(1));
        let empty = Words::<1>::default;
        let follow = |codec: &Encoding, with: Option<Snapshots>| {
            Follower::start_with_snapshots("view", log.clone(), with, empty, codec.clone()).unwrap()
        };
        let whole = follow(&Encoding::default(), None);
        let patience = std::time::Duration::from_secs(30);
        whole.wait_for(Position::new(20), patience).await.unwrap();
        for position in [5, 15] {
            take(Arc::new(disk.clone()), &log, position).await.unwrap();
        }
        let unfinished = Path::new(DIRECTORY).join("snapshot-0000000000000014.new");
        drop(disk.create(&unfinished).unwrap());
        let before = files(&disk);
        let codec = Encoding::default();
        let view = follow(&codec, Some(snapshots(&disk, never())));
        view.wait_for(Position::new(20), patience).await.unwrap();
        assert_eq!(codec.decoded.load(Ordering::SeqCst), 5, "what came since");
        let expected = whole.read(Words::clone);
        assert_eq!(view.read(Words::clone), expected);
        assert_eq!(files(&disk), before);
        // One that cannot be used is passed over, and left to whoever makes them.
        disk.create(&Path::new(DIRECTORY).join("snapshot-0000000000000012")).unwrap();
        let before = files(&disk);
        let view = follow(&Encoding::default(), Some(snapshots(&disk, never())));
        view.wait_for(Position::new(20), patience).await.unwrap();
        assert_eq!(view.read(Words::clone), expected);
        assert_eq!(files(&disk), before);
        // It goes on with what is said from now on.
        let (handle, _engine) = start(&log, snapshots(&disk, never()), &Encoding::default());
        handle.submit("later".to_owned()).await.unwrap();
        view.wait_for(Position::new(21), patience).await.unwrap();
        assert_eq!(view.read(|words| words.counts.get("later").copied()), Some(1));
    });
}

#[test]
fn bytes_make_a_snapshot_due_and_a_long_tail_at_the_start_does() {
    runtime().block_on(async {
        let log: SharedLog = Arc::new(said(&words(20)).await);
        let disk = Simulated::new(1);
        let policy = SnapshotPolicy { records: u64::MAX, bytes: 100 };
        let (handle, _engine) = start(&log, snapshots(&disk, policy), &Encoding::default());
        let mut made = handle.snapshots.clone();
        let first = made.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        assert_eq!(first.position, Position::new(20));
        assert_eq!(first.state_hash, hash_of(&handle).await);
        assert_eq!(first.bytes, disk.contents(&files(&disk)[0]).unwrap().len() as u64);
        for word in words(20) {
            handle.submit(word).await.unwrap();
        }
        made.wait_for(|made| made.as_ref().is_some_and(|made| made.position > first.position))
            .await
            .unwrap();
    });
}

#[test]
fn the_two_newest_are_kept() {
    runtime().block_on(async {
        let log: SharedLog = Arc::new(said(&words(20)).await);
        let disk = Simulated::new(1);
        for position in [3, 9, 20] {
            take(Arc::new(disk.clone()), &log, position).await.unwrap();
        }
        let names = ["snapshot-0000000000000009", "snapshot-0000000000000014"];
        assert_eq!(files(&disk), names.map(|name| Path::new(DIRECTORY).join(name)));
    });
}

/// The log of a machine that moves a cursor does not grow for ever, and a start can still do without the newest snapshot.
#[test]
fn a_trimmed_log_and_one_of_the_snapshots_are_enough() {
    runtime().block_on(async {
        let memory = MemoryLog::new();
        let log: SharedLog = Arc::new(memory.clone());
        let disk = Simulated::new(1);
        let policy = SnapshotPolicy { records: 10, bytes: u64::MAX };
        let trimming = || snapshots(&disk, policy).trimming();
        let (handle, engine) = start(&log, trimming(), &Encoding::default());
        for word in words(2000) {
            handle.submit(word).await.unwrap();
            if log.read(Position::START, 1).await.is_err() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let hash = hash_of(&handle).await;
        let mut made = handle.watch_snapshots();
        drop((handle, engine));
        while made.changed().await.is_ok() {}

        let again = |disk: &Simulated| {
            let codec = Encoding::default();
            let snapshots = snapshots(disk, never()).trimming();
            let (log, empty) = (log.clone(), Words::<1>::default);
            Engine::start_with_snapshots("words", log, snapshots, empty, codec, Limits::default())
        };
        let (handle, engine) = again(&disk).unwrap();
        assert_eq!(hash_of(&handle).await, hash);
        drop((handle, engine));
        disk.flip(&files(&disk)[1], 600).unwrap();
        let (handle, engine) = again(&disk).unwrap();
        assert_eq!(hash_of(&handle).await, hash);
        assert_eq!(files(&disk).len(), 1);
        drop((handle, engine));
        disk.flip(&files(&disk)[0], 600).unwrap();
        let error = again(&disk).unwrap_err();
        let trimmed = matches!(&error, StartError::Read { source: ReadError::Trimmed { .. }, .. });
        assert!(trimmed, "{error:?}");
    });
}

#[test]
fn another_version_and_another_history_are_left_aside() {
    runtime().block_on(async {
        let log: SharedLog = Arc::new(said(&words(20)).await);
        let disk = Simulated::new(1);
        take(Arc::new(disk.clone()), &log, 15).await.unwrap();
        let store = snapshots(&disk, never()).store("words");
        let codec = Encoding::default();
        assert!(store.newest(&log, &codec, &Words::<2>::default).await.is_none());
        assert_eq!(files(&disk).len(), 1, "an older program may come back for it");
        assert!(store.newest(&log, &codec, &Words::<1>::default).await.is_some());
        // As after a truncation by hand, and as after that and new records.
        for count in [14, 30] {
            let disk = Simulated::new(1);
            take(Arc::new(disk.clone()), &log, 15).await.unwrap();
            let other: SharedLog = Arc::new(said(&words(count)).await);
            let store = snapshots(&disk, never()).store("words");
            assert!(store.newest(&other, &codec, &Words::<1>::default).await.is_none());
            assert_eq!(files(&disk).len(), 0, "it must not be taken for that log's later");
        }
    });
}

#[test]
fn a_machine_that_stands_somewhere_goes_on_from_there() {
    runtime().block_on(async {
        let log: SharedLog = Arc::new(said(&words(20)).await);
        let replay = Replay { name: "words", log: &log, codec: &Encoding::default() };
        let state =
            replay.run(Words::<1>::default().into(), Position::new(8), || true).await.unwrap();
        let codec = Encoding::default();
        let own = StateAt::new(state.machine, state.position);
        let (handle, _engine) =
            Engine::start("words", log.clone(), own.clone(), codec.clone(), Limits::default())
                .unwrap();
        assert_eq!(codec.decoded.load(Ordering::SeqCst), 12);
        assert_eq!(hash_of(&handle).await, replayed_hash(&log).await);

        // With nothing to replay, the clock still goes on after the last record.
        let (machine, position) = handle.query(Clone::clone).await.unwrap();
        let own = StateAt::new(machine, position.unwrap().next());
        let earlier: crate::Clock = Arc::new(|| lombard_types::Timestamp::EPOCH);
        let limits = Limits::default();
        let (handle, _engine) =
            Engine::start_with_clock("words", log.clone(), own, codec, limits, earlier).unwrap();
        handle.submit("later".to_owned()).await.unwrap();

        let ahead = StateAt::new(Words::<1>::default(), Position::new(23));
        let error = Engine::start("words", log, ahead, Encoding::default(), limits).unwrap_err();
        assert!(matches!(error, StartError::Ahead { .. }), "{error}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Snapshots at any positions, of which the making dies at any step and the power is cut, and one turned bit: a
    /// start gives what a full replay gives, and the next snapshot has the same hash.
    #[test]
    fn a_snapshot_and_the_tail_are_the_whole_log(
        seed: u64,
        said_words in prop::collection::vec("[a-d]{1,300}", 1..40),
        points in prop::collection::vec((any::<prop::sample::Index>(), 0i64..16), 0..5),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        runtime().block_on(async {
            let log: SharedLog = Arc::new(said(&said_words).await);
            let disk = Simulated::new(seed);
            let mut points: Vec<_> = points
                .into_iter()
                .map(|(point, steps)| (point.index(said_words.len()) as u64 + 1, steps))
                .collect();
            points.sort_unstable();
            for (position, steps) in points {
                let dying = Arc::new(DyingDisk::new(disk.clone(), steps));
                if take(dying, &log, position).await.is_err() || steps % 2 == 0 {
                    disk.crash();
                }
            }
            if let (Some((file, bit)), files) = (damage, files(&disk))
                && !files.is_empty()
            {
                let file = &files[file.index(files.len())];
                let bits = disk.contents(file).unwrap().len() * 8;
                if bits > 0 {
                    disk.flip(file, bit.index(bits) as u64).unwrap();
                }
            }
            let hash = replayed_hash(&log).await;
            let (handle, _engine) = start(&log, snapshots(&disk, never()), &Encoding::default());
            assert_eq!(hash_of(&handle).await, hash);
            let tail = said_words.len() as u64;
            assert_eq!(take(Arc::new(disk.clone()), &log, tail).await.unwrap(), hash);
            assert!(files(&disk).len() <= 2);
        });
    }
}
