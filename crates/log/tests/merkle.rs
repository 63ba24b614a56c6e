//! A tree that follows a log: its roots are those of the records, whatever happened to its file.

#![expect(
    clippy::unwrap_used,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{path::Path, sync::Arc};

use futures_util::future::poll_immediate;
use lombard_log::{
    Batch, MemoryLog, SegmentedConfig, SegmentedLog, SharedLog,
    disk::{Real, SharedDisk, Simulated},
    merkle::{
        LEAVES_FILE, MerkleError, MerkleFollower, TILES_FILE, Tree, TreeHash, verify_consistency,
        verify_inclusion,
    },
};
use lombard_types::Position;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

async fn append(log: &SharedLog, count: u64) {
    let mut batch = Batch::new();
    let tail = log.tail();
    (0..count).for_each(|index| batch.push(&payload(tail.get() + index)));
    log.append(tail, batch).await.unwrap();
}

fn payload(position: u64) -> Vec<u8> {
    format!("record {position}").into_bytes()
}

fn expected(size: u64) -> Tree<Vec<TreeHash>> {
    let mut tree = Tree::in_memory();
    for position in 0..size {
        let leaf = TreeHash::of_record(Position::new(position), &payload(position));
        tree.append(&[leaf]).unwrap();
    }
    tree
}

fn follow(disk: &SharedDisk, log: &SharedLog) -> MerkleFollower {
    MerkleFollower::start(Arc::clone(disk), Path::new("/log"), Arc::clone(log)).unwrap()
}

/// What was appended is on the disk, also where no sync was due yet.
fn sync(disk: &SharedDisk) {
    for name in [LEAVES_FILE, TILES_FILE] {
        disk.open(&Path::new("/log").join(name)).unwrap().sync_data().unwrap();
    }
}

/// Whoever waited for no record was told at once that the tree covers it, before there was a tree: the first checkpoint
/// of an empty log then failed, and was tried again after a whole interval.
#[test]
fn no_size_is_told_before_there_is_a_tree() {
    let disk: SharedDisk = Arc::new(Simulated::new(1));
    disk.create_directory(Path::new("/log")).unwrap();
    let log: SharedLog = Arc::new(MemoryLog::new());
    let (follower, following) =
        MerkleFollower::unthreaded(disk, Path::new("/log"), Arc::clone(&log));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        assert_eq!(poll_immediate(follower.wait_for(0)).await, None, "nobody has followed yet");
        let mut following = std::pin::pin!(following);
        assert_eq!(poll_immediate(following.as_mut()).await, None, "it follows for ever");
        assert_eq!(poll_immediate(follower.wait_for(0)).await, Some(Ok(())));
        assert_eq!(follower.root(0), Ok(TreeHash::empty()));
    });
}

/// Found by the simulation of the event store: a full disk ended the tree until the next start, while the log itself took
/// records again as soon as there was space.
#[test]
fn a_tree_that_met_a_full_disk_goes_on_when_there_is_space() {
    let simulated = Simulated::new(1);
    let disk: SharedDisk = Arc::new(simulated.clone());
    let log: SharedLog = Arc::new(MemoryLog::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (follower, following) =
            MerkleFollower::unthreaded(disk, Path::new("/log"), Arc::clone(&log));
        let mut following = std::pin::pin!(following);
        append(&log, 3).await;
        assert!(poll_immediate(&mut following).await.is_none());
        assert_eq!(follower.size(), 3);
        simulated.set_bytes_max(simulated.bytes_used());
        append(&log, 2).await;
        assert!(poll_immediate(&mut following).await.is_none());
        assert_eq!(follower.size(), 3);
        simulated.set_bytes_max(u64::MAX);
        append(&log, 1).await;
        tokio::select! {
            grown = follower.wait_for(6) => grown.unwrap(),
            () = following => panic!("the tree stopped"),
        }
        assert_eq!(follower.root(6).unwrap(), expected(6).root(6).unwrap());
    });
}

#[test]
fn a_leaf_is_the_position_and_the_payload() {
    // Computed with another implementation of SHA-256: of 00, then 0102 as 8 bytes little endian, then "hello".
    let leaf = TreeHash::of_record(Position::new(0x0102), b"hello");
    assert_eq!(
        leaf.to_string(),
        "bf3eca0583808c929cb32d7490d317f127b55152a156932f435f23b1385977da"
    );
}

#[test]
fn follows_and_proves() {
    block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let log = SegmentedLog::open(directory.path(), SegmentedConfig::small()).unwrap();
        let log: SharedLog = Arc::new(log);
        let tree =
            MerkleFollower::start(Arc::new(Real), directory.path(), Arc::clone(&log)).unwrap();
        append(&log, 700).await;
        append(&log, 1400).await;
        tree.wait_for(2100).await.unwrap();
        let model = expected(2100);
        let (old, new) = (tree.root(700).unwrap(), tree.root(2100).unwrap());
        assert_eq!((old, new), (model.root(700).unwrap(), model.root(2100).unwrap()));
        for position in [0, 1023, 1024, 2047, 2048, 2099] {
            let proof = tree.inclusion(Position::new(position), 2100).await.unwrap();
            assert!(verify_inclusion(&proof.leaf, position, 2100, &proof.path, &new));
        }
        let path = tree.consistency(700, 2100).unwrap();
        assert!(verify_consistency(700, &old, 2100, &new, &path));
        assert_eq!(tree.root(2101), Err(MerkleError::Beyond { size: 2100, asked: 2101 }));
    });
}

#[test]
fn goes_on_after_a_restart_and_makes_again_what_is_gone() {
    block_on(async {
        let simulated = Simulated::new(1);
        let disk: SharedDisk = Arc::new(simulated.clone());
        let log: SharedLog = Arc::new(MemoryLog::new());
        append(&log, 3000).await;
        let path = Path::new("/log").join(LEAVES_FILE);
        for round in 0..4 {
            let tree = follow(&disk, &log);
            tree.wait_for(3000 + round * 10).await.unwrap();
            append(&log, 10).await;
            let size = 3010 + round * 10;
            tree.wait_for(size).await.unwrap();
            assert_eq!(tree.root(size).unwrap(), expected(size).root(size).unwrap(), "{round}");
            drop(tree);
            match round {
                // Ended in the middle of a hash.
                0 => disk.open(&path).unwrap().write_all_at(&[1; 7], size * 32).unwrap(),
                // What was not synced is partly gone.
                1 => simulated.crash(),
                2 => disk.remove(&path).unwrap(),
                _ => {}
            }
        }
    });
}

#[test]
fn leaves_of_another_log_are_not_used() {
    block_on(async {
        let disk: SharedDisk = Arc::new(Simulated::new(1));
        let other: SharedLog = Arc::new(MemoryLog::new());
        let mut batch = Batch::new();
        (0..50).for_each(|_| batch.push(b"of another log"));
        other.append(Position::START, batch).await.unwrap();
        follow(&disk, &other).wait_for(50).await.unwrap();
        for count in [20, 50] {
            let log: SharedLog = Arc::new(MemoryLog::new());
            append(&log, count).await;
            let tree = follow(&disk, &log);
            tree.wait_for(count).await.unwrap();
            assert_eq!(tree.root(count).unwrap(), expected(count).root(count).unwrap());
        }
    });
}

#[test]
fn a_leaf_that_does_not_fit_its_record_is_no_proof() {
    block_on(async {
        let simulated = Simulated::new(1);
        let disk: SharedDisk = Arc::new(simulated.clone());
        let log: SharedLog = Arc::new(MemoryLog::new());
        append(&log, 5000).await;
        let tree = follow(&disk, &log);
        tree.wait_for(5000).await.unwrap();
        sync(&disk);
        simulated.flip(&Path::new("/log").join(LEAVES_FILE), 100 * 256 + 3).unwrap();
        let position = Position::new(101);
        assert_eq!(tree.inclusion(position, 5000).await, Err(MerkleError::Leaves { position }));
        // Elsewhere the tree is as good as it was.
        tree.inclusion(Position::new(2000), 5000).await.unwrap();
    });
}

/// Power is lost while many leaves wait for one sync: what the disk kept of them is not believed.
#[test]
fn leaves_that_a_crash_tore_are_made_again() {
    for seed in 0..20 {
        block_on(async {
            let simulated = Simulated::new(seed);
            let disk: SharedDisk = Arc::new(simulated.clone());
            let log: SharedLog = Arc::new(MemoryLog::new());
            append(&log, 10).await;
            follow(&disk, &log).wait_for(10).await.unwrap();
            disk.sync_directory(Path::new("/log")).unwrap();
            append(&log, 20_000).await;
            simulated.hold_syncs(0);
            let tree = follow(&disk, &log);
            simulated.wait_until_held();
            simulated.crash();
            drop(tree);
            let tree = follow(&disk, &log);
            tree.wait_for(20_010).await.unwrap();
            let model = expected(20_010);
            for size in [10, 1024, 20_010] {
                assert_eq!(tree.root(size).unwrap(), model.root(size).unwrap(), "seed {seed}");
            }
        });
    }
}

/// One bit of either file, at any age: a restart makes again what does not fit, and never answers another root.
#[test]
fn a_flipped_bit_in_the_cache_never_changes_a_root() {
    block_on(async {
        let simulated = Simulated::new(1);
        let disk: SharedDisk = Arc::new(simulated.clone());
        let log: SharedLog = Arc::new(MemoryLog::new());
        // More than is compared with the log.
        let count = 70_000;
        append(&log, count).await;
        follow(&disk, &log).wait_for(count).await.unwrap();
        let root = expected(count).root(count).unwrap();
        for (file, hash) in
            [(LEAVES_FILE, 100), (LEAVES_FILE, 2047), (LEAVES_FILE, 69_999), (TILES_FILE, 1)]
        {
            sync(&disk);
            simulated.flip(&Path::new("/log").join(file), hash * 256 + 7).unwrap();
            let tree = follow(&disk, &log);
            tree.wait_for(count).await.unwrap();
            assert_eq!(tree.root(count).unwrap(), root, "{file} {hash}");
        }
    });
}
