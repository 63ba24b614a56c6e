//! Requests for records that are not there yet.

use std::time::Duration;

use lombard_transparency::Config;
use serde_json::Value;

use crate::support::{Harness, append, at_once};

async fn ask(harness: &Harness, path: &str) -> Value {
    let (status, body) = harness.ask(path, Some("ledger:audit")).await;
    assert!(status.is_success(), "{body}");
    serde_json::from_str(&body).unwrap()
}

fn count(body: &Value) -> usize {
    body["records"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_request_waits_for_the_first_record_and_no_longer_than_it_says() {
    let place = tempfile::tempdir().unwrap();
    let harness = Harness::start(place.path(), at_once()).await;
    append(&harness.log, 2).await;
    // What is there is answered at once, whatever the request would wait.
    assert_eq!(count(&ask(&harness, "/records?from=1&wait_ms=600000").await), 1);
    let body = ask(&harness, "/records?from=2&wait_ms=1").await;
    assert_eq!((count(&body), body["durable"].as_u64()), (0, Some(2)));
    let (body, ()) = tokio::join!(ask(&harness, "/records?from=2&wait_ms=600000"), async {
        append(&harness.log, 1).await;
    });
    assert_eq!((count(&body), body["durable"].as_u64()), (1, Some(3)));
    harness.stop().await;
}

#[tokio::test]
async fn the_wait_and_those_who_wait_are_limited() {
    let place = tempfile::tempdir().unwrap();
    let config = Config { waiters_max: 1, wait_ms_max: 50, ..at_once() };
    let harness = Harness::start(place.path(), config).await;
    let (first, second) = tokio::join!(
        harness.ask("/records?from=0&wait_ms=600000", Some("ledger:audit")),
        harness.ask("/records?from=0&wait_ms=600000", Some("ledger:audit")),
    );
    // In the order in which they were polled; the first waits for as long as the configuration allows.
    assert!(first.0.is_success(), "{}", first.1);
    assert_eq!(second.0.as_u16(), 429);
    assert!(second.1.contains("too-many-waiters"), "{}", second.1);
    harness.stop().await;
}

#[tokio::test]
async fn nobody_waits_any_more_when_the_role_drains() {
    let place = tempfile::tempdir().unwrap();
    let for_ever = Config { wait_ms_max: 1 << 40, ..at_once() };
    let harness = Harness::start(place.path(), for_ever).await;
    let path = "/records?from=0&wait_ms=1099511627776";
    let asking = tokio::time::timeout(Duration::from_secs(60), ask(&harness, path));
    let (body, ()) = tokio::join!(asking, async { harness.drain() });
    let body = body.unwrap();
    assert_eq!(count(&body), 0);
    harness.stop().await;
}
