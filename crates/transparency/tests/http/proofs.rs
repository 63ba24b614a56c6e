//! Checkpoints and proofs of a running log.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use lombard_log::{
    Log as _,
    merkle::{Tree, TreeHash, verify_consistency, verify_inclusion},
};
use lombard_transparency::{Config, origin};
use lombard_types::Position;

use crate::support::{Harness, append, at_once, hash, hashes, leaf};

#[tokio::test]
async fn every_record_is_proved_in_every_size() {
    let place = tempfile::tempdir().unwrap();
    let harness = Harness::start(place.path(), at_once()).await;
    append(&harness.log, 21).await;
    let checkpoint = harness.checkpoint(21).await;
    assert_eq!(checkpoint.origin, origin("ledger", harness.log.id()));
    let mut tree = Tree::in_memory();
    for size in 1..=21 {
        tree.append(&[leaf(size - 1)]).unwrap();
        let root = tree.root(size).unwrap();
        for position in 0..size {
            let path = format!("/proofs/inclusion?position={position}&size={size}");
            let proof = harness.json(&path).await;
            assert_eq!(hash(&proof["leaf"]), leaf(position));
            let path = hashes(&proof["path"]);
            assert!(verify_inclusion(&leaf(position), position, size, &path, &root));
        }
        for from in 0..=size {
            let proof = harness.json(&format!("/proofs/consistency?from={from}&to={size}")).await;
            let path = hashes(&proof["path"]);
            let old = tree.root(from).unwrap();
            assert!(verify_consistency(from, &old, size, &root, &path), "{from} {size}");
        }
    }
    assert_eq!(tree.root(21).unwrap(), checkpoint.root);
    // Without a size, the newest checkpoint's.
    let proof = harness.json("/proofs/inclusion?position=20").await;
    assert_eq!(proof["size"], 21);
    assert_eq!(harness.json("/proofs/consistency?from=3").await["to"], 21);
    harness.stop().await;
}

/// An outsider verifies the feed against a checkpoint with nothing but what is served.
#[tokio::test]
async fn the_records_are_those_of_the_checkpoint() {
    let place = tempfile::tempdir().unwrap();
    let harness = Harness::start(place.path(), at_once()).await;
    append(&harness.log, 50).await;
    let checkpoint = harness.checkpoint(50).await;
    let mut tree = Tree::in_memory();
    while tree.size() < checkpoint.size {
        let path = format!("/records?from={}&limit=7", tree.size());
        let (status, body) = harness.ask(&path, Some("ledger:audit")).await;
        assert!(status.is_success(), "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["durable"], 50);
        let records = body["records"].as_array().unwrap();
        assert!((1..=7).contains(&records.len()));
        for record in records {
            let position = record["position"].as_u64().unwrap();
            assert_eq!(position, tree.size());
            let payload = BASE64_STANDARD.decode(record["payload"].as_str().unwrap()).unwrap();
            tree.append(&[TreeHash::of_record(Position::new(position), &payload)]).unwrap();
        }
    }
    assert_eq!(tree.root(50).unwrap(), checkpoint.root);
    let (_, behind) = harness.ask("/records?from=50", Some("admin")).await;
    assert_eq!(behind, r#"{"records":[],"durable":50}"#);
    harness.stop().await;
}

#[tokio::test]
async fn who_may_ask_for_what() {
    let place = tempfile::tempdir().unwrap();
    let harness = Harness::start(place.path(), at_once()).await;
    append(&harness.log, 3).await;
    harness.checkpoint(3).await;
    let paths = [
        "/checkpoint",
        "/key",
        "/proofs/inclusion?position=0",
        "/proofs/consistency?from=1",
        "/records?from=0",
    ];
    for path in paths {
        let refused = harness.problem(path, None).await;
        assert_eq!(refused, (401, "unauthenticated".to_owned()), "{path}");
    }
    for scope in ["ledger:read", "ledger:write", "ledger:audit:customers/*", "events:audit"] {
        let refused = harness.problem("/records?from=0", Some(scope)).await;
        assert_eq!(refused, (403, "insufficient-scope".to_owned()), "{scope}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let harness = Harness::start(place.path(), at_once()).await;
    append(&harness.log, 3).await;
    harness.checkpoint(3).await;
    for (path, status, slug) in [
        ("/proofs/inclusion?position=3", 404, "not-in-log"),
        ("/proofs/inclusion?position=0&size=4", 404, "not-in-log"),
        ("/proofs/inclusion?position=2&size=2", 404, "not-in-log"),
        (
            "/proofs/inclusion?position=18446744073709551615&size=18446744073709551615",
            404,
            "not-in-log",
        ),
        ("/proofs/inclusion", 400, "invalid-query"),
        ("/proofs/inclusion?position=-1", 400, "invalid-query"),
        ("/proofs/inclusion?position=0&root=1", 400, "invalid-query"),
        ("/proofs/consistency?from=4", 400, "invalid-query"),
        ("/proofs/consistency?from=1&to=4", 404, "not-in-log"),
        ("/records?from=0&limit=-1", 400, "invalid-query"),
        ("/elsewhere", 404, "not-found"),
    ] {
        let answered = harness.problem(path, Some("admin")).await;
        assert_eq!(answered, (status, slug.to_owned()), "{path}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn an_empty_log_has_a_checkpoint_and_many_records_do_not_wait_for_the_interval() {
    let place = tempfile::tempdir().unwrap();
    let for_ever =
        Config { checkpoint_interval_ms: 1 << 40, checkpoint_records: 5, ..Config::default() };
    let harness = Harness::start(place.path(), for_ever).await;
    let first = harness.checkpoint(0).await;
    assert_eq!((first.size, first.root), (0, TreeHash::empty()));
    append(&harness.log, 5).await;
    assert_eq!(harness.checkpoint(5).await.size, 5);
    append(&harness.log, 4).await;
    assert_eq!(harness.checkpoint(0).await.size, 5);
    let metrics = harness.metrics.encode().unwrap();
    assert!(metrics.contains("lombard_ledger_log_checkpoint_records 5"), "{metrics}");
    harness.stop().await;
}

/// A proof in a tree of two million records is about a kilobyte.
#[tokio::test]
async fn proofs_are_small() {
    let place = tempfile::tempdir().unwrap();
    let harness = Harness::start(place.path(), at_once()).await;
    append(&harness.log, 1).await;
    harness.checkpoint(1).await;
    let envelope = harness.get("/proofs/inclusion?position=0").await.len();
    // 21 levels, each a hash in base64 with quotes and a comma.
    assert!(envelope + 21 * 47 < 1100, "{envelope}");
    assert_eq!(harness.log.tail().get(), 1);
    harness.stop().await;
}
