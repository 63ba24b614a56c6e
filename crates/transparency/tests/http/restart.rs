//! What was signed before a start binds what is signed after it.

use std::{fs, fs::OpenOptions, os::unix::fs::FileExt as _, path::Path};

use lombard_log::{
    SegmentedLog,
    checkpoint::{CHECKPOINT_FILE, CHECKPOINT_KEY_FILE},
    maintain,
    merkle::{LEAVES_FILE, TILES_FILE},
};
use lombard_types::Position;

use crate::support::{Harness, TINY, append, at_once, payload};

/// Puts another payload of the same length in the first record's place, with a checksum that fits.
fn rewrite_first(directory: &Path) {
    let file =
        OpenOptions::new().read(true).write(true).open(directory.join("0000000001.seg")).unwrap();
    let mut record = vec![0; 32 + payload(0).len()];
    file.read_exact_at(&mut record, 64).unwrap();
    record[32] ^= 1;
    let crc = crc32c::crc32c(&record[8..]);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
    file.write_all_at(&record, 64).unwrap();
}

fn forget_hashes(directory: &Path) {
    for name in [LEAVES_FILE, TILES_FILE] {
        fs::remove_file(directory.join(name)).unwrap();
    }
}

#[tokio::test]
async fn checkpoints_go_on_where_they_ended() {
    let place = tempfile::tempdir().unwrap();
    let harness = Harness::start(place.path(), at_once()).await;
    append(&harness.log, 9).await;
    let (first, key) = (harness.checkpoint(9).await, harness.key().await);
    harness.stop().await;
    let harness = Harness::start(place.path(), at_once()).await;
    assert_eq!(harness.checkpoint(0).await, first);
    assert_eq!(harness.key().await, key);
    append(&harness.log, 1).await;
    let second = harness.checkpoint(10).await;
    assert_eq!(second.origin, first.origin);
    harness.stop().await;
    let kept = fs::read_to_string(place.path().join("log").join(CHECKPOINT_KEY_FILE)).unwrap();
    assert_eq!(kept.trim_end(), key.to_string());
}

#[tokio::test]
async fn a_rewritten_log_is_not_signed() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("log");
    let harness = Harness::start(place.path(), at_once()).await;
    append(&harness.log, 9).await;
    harness.checkpoint(9).await;
    harness.stop().await;
    rewrite_first(&directory);
    forget_hashes(&directory);
    assert_eq!(maintain::check(&directory, &mut |_| {}).unwrap().damage, None);
    let kept = fs::read(directory.join(CHECKPOINT_FILE)).unwrap();
    let harness = Harness::start(place.path(), at_once()).await;
    append(&harness.log, 3).await;
    loop {
        let (status, slug) = harness.problem("/checkpoint", Some("admin")).await;
        if (status, slug.as_str()) == (500, "log-damaged") {
            break;
        }
        assert_eq!(slug, "proof-not-ready");
        tokio::task::yield_now().await;
    }
    let metrics = harness.metrics.encode().unwrap();
    assert!(metrics.contains("lombard_ledger_log_checkpoint_refused 1"), "{metrics}");
    harness.stop().await;
    assert_eq!(fs::read(directory.join(CHECKPOINT_FILE)).unwrap(), kept);
}

#[tokio::test]
async fn a_log_that_lost_records_is_not_signed_before_the_checkpoint_is_set_aside() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("log");
    let harness = Harness::start(place.path(), at_once()).await;
    append(&harness.log, 9).await;
    harness.checkpoint(9).await;
    harness.stop().await;
    let kept = fs::read(directory.join(CHECKPOINT_FILE)).unwrap();
    // Cut off as repair does it, and the checkpoint put back.
    maintain::repair(&directory, Position::new(7), &mut |_| {}).unwrap();
    fs::write(directory.join(CHECKPOINT_FILE), kept).unwrap();
    let harness = Harness::start(place.path(), at_once()).await;
    while harness.problem("/checkpoint", Some("admin")).await.1 != "log-damaged" {
        tokio::task::yield_now().await;
    }
    harness.stop().await;
    fs::remove_file(directory.join(CHECKPOINT_FILE)).unwrap();
    let harness = Harness::start(place.path(), at_once()).await;
    assert_eq!(harness.checkpoint(7).await.size, 7);
    harness.stop().await;
}

/// A record that changes under a running log is not proved.
#[tokio::test]
async fn a_record_that_changed_is_not_proved() {
    let place = tempfile::tempdir().unwrap();
    let harness = Harness::start(place.path(), at_once()).await;
    append(&harness.log, 9).await;
    harness.checkpoint(9).await;
    rewrite_first(&place.path().join("log"));
    let refused = harness.problem("/proofs/inclusion?position=0", Some("admin")).await;
    assert_eq!(refused, (500, "log-damaged".to_owned()));
    harness.get("/proofs/inclusion?position=1").await;
    harness.stop().await;
    drop(SegmentedLog::open(&place.path().join("log"), TINY).unwrap());
}
