//! Data subjects: sealed events, erasure, and what is left after it.

use std::{fs, sync::Arc};

use futures_util::FutureExt as _;
use http::{Method, StatusCode};
use lombard_chassis::CancellationToken;
use lombard_eventstore::{Config, RunError};
use lombard_log::{MemoryLog, disk::Simulated};
use serde_json::{Value, json};

use crate::support::{Call, EVENTS, Reply, TestStore, event};

const SUBJECT: &str = "/v1/eventstore/subjects/customer-1";
const SECRET: &str = "Ada Lovelace";

async fn ask(store: &TestStore, method: Method, scope: &str) -> Reply {
    let (path, scope) = (SUBJECT, Some(scope));
    store.call(Call { method, path, scope, headers: vec![], body: String::new() }).await
}

fn marked(number: u64) -> Value {
    let mut event = event(number);
    event["datasubject"] = json!("customer-1");
    event["subject"] = json!(SECRET);
    event["data"] = json!({ "name": SECRET });
    event
}

async fn assert_redacted(store: &TestStore) {
    let read = store.get(EVENTS).await;
    assert!(!read.text.contains(SECRET), "{}", read.text);
    let event = &read.json()[0];
    assert_eq!(event["lombardredacted"], true);
    assert_eq!(event["datasubject"], "customer-1");
    assert_eq!((&event["data"], &event["subject"]), (&Value::Null, &Value::Null));
    assert_eq!(read.json()[1]["data"], json!({ "number": 2 }));
}

#[tokio::test]
async fn an_erased_subject_is_redacted_for_ever_and_retries_get_the_first_answer() {
    let memory = MemoryLog::new();
    let store = TestStore::with(Config::default(), memory.clone());
    let batch = json!([marked(1), event(2)]);
    assert_eq!(store.append(EVENTS, &[], batch.clone()).await.status, StatusCode::CREATED);
    let read = store.get(EVENTS).await.json();
    assert_eq!(read[0]["data"], json!({ "name": SECRET }));
    assert_eq!(
        (&read[0]["subject"], &read[0]["datasubject"]),
        (&json!(SECRET), &json!("customer-1"))
    );
    let again = store.append(EVENTS, &[], batch.clone()).await;
    assert_eq!(again.header("idempotency-replayed"), "true", "{}", again.text);
    let mut other = batch.clone();
    other[0]["data"] = json!({ "name": "somebody else" });
    assert_eq!(store.append(EVENTS, &[], other).await.problem(), "event-id-reused");
    assert_eq!(ask(&store, Method::GET, "events:erase").await.json()["state"], "active");
    let keys = store.place.path().join("subjects/keys");
    let old_keys = fs::read(&keys).unwrap();

    let erased = ask(&store, Method::DELETE, "events:erase:customer-*").await;
    assert_eq!(erased.json()["state"], "erased", "{}", erased.text);
    assert_redacted(&store).await;
    let again = ask(&store, Method::DELETE, "events:erase").await;
    assert_eq!(again.json(), erased.json());
    let again = store.append(EVENTS, &[], batch.clone()).await;
    assert_eq!(again.header("idempotency-replayed"), "true", "{}", again.text);
    let refused = store.append(EVENTS, &[], json!([marked(3)])).await;
    assert_eq!(refused.problem(), "subject-erased");

    // A restart, on the keys as they were before.
    let place = Arc::clone(&store.place);
    drop(store);
    fs::write(&keys, &old_keys).unwrap();
    let store = TestStore::at(Config::default(), Arc::new(memory.clone()), memory, place);
    assert_redacted(&store).await;
    assert_ne!(fs::read(&keys).unwrap(), old_keys);
    assert_eq!(ask(&store, Method::GET, "events:erase").await.json(), erased.json());
    assert_eq!(store.append(EVENTS, &[], json!([marked(3)])).await.problem(), "subject-erased");
}

#[tokio::test]
async fn erasing_takes_its_own_scope_and_unknown_subjects_may_be_erased_ahead() {
    let store = TestStore::new();
    for scope in ["events:append", "events:read", "events:erase:other-*"] {
        assert_eq!(ask(&store, Method::DELETE, scope).await.problem(), "insufficient-scope");
    }
    assert_eq!(ask(&store, Method::GET, "events:erase").await.problem(), "subject-not-found");
    let erased = ask(&store, Method::DELETE, "events:erase").await;
    assert_eq!(erased.json()["state"], "erased");
    assert_eq!(store.append(EVENTS, &[], json!([marked(1)])).await.problem(), "subject-erased");
    for name in [&*"x".repeat(256), "", "a/b", "a\\b", "a;b", "a%b", "..", "a\u{7}"] {
        let mut bad = event(2);
        bad["datasubject"] = json!(name);
        assert_eq!(store.append(EVENTS, &[], json!([bad])).await.problem(), "invalid-event");
    }
    let mut odd = event(2);
    odd["datasubject"] = json!("Ж?#: 7");
    assert_eq!(store.append(EVENTS, &[], json!([odd])).await.status, StatusCode::CREATED);
    let path = "/v1/eventstore/subjects/%D0%96%3F%23%3A%207";
    let (scope, headers) = (Some("events:erase"), vec![]);
    let call = Call { method: Method::DELETE, path, scope, headers, body: String::new() };
    assert_eq!(store.call(call).await.json()["subject"], "Ж?#: 7");
}

#[tokio::test]
async fn the_number_of_subjects_is_bounded() {
    let store = TestStore::with(Config { subjects_max: 1, ..Config::default() }, MemoryLog::new());
    let mut second = marked(2);
    second["datasubject"] = json!("customer-2");
    assert_eq!(store.append(EVENTS, &[], json!([marked(1)])).await.status, StatusCode::CREATED);
    assert_eq!(store.append(EVENTS, &[], json!([second])).await.problem(), "too-many-subjects");
}

/// A key that could not be destroyed was still used until the next restart, though the log, and so `GET`, said that its
/// subject is erased.
#[tokio::test]
async fn after_a_failed_erasure_nothing_that_is_sealed_is_shown_and_a_restart_carries_it_out() {
    let (memory, disk) = (MemoryLog::new(), Simulated::new(1));
    let place = Arc::new(tempfile::tempdir().unwrap());
    fs::create_dir(place.path().join("subjects")).unwrap();
    let start = || {
        let log = (Arc::new(memory.clone()) as _, memory.clone());
        TestStore::on_disk(Config::default(), log, Arc::clone(&place), Arc::new(disk.clone()))
    };
    let store = start();
    let mut other = marked(3);
    other["datasubject"] = json!("customer-2");
    let batch = json!([marked(1), event(2), other]);
    assert_eq!(store.append(EVENTS, &[], batch).await.status, StatusCode::CREATED);
    disk.fail_syncs(true);
    let failed = ask(&store, Method::DELETE, "events:erase").await;
    assert_eq!(failed.problem(), "subject-keys-failed");
    assert_eq!(failed.header("retry-after"), "1");
    disk.fail_syncs(false);
    for path in [EVENTS, "/v1/eventstore/events"] {
        let read = store.get(path).await;
        assert_eq!(read.problem(), "subject-keys-failed");
        assert!(!read.text.contains(SECRET));
    }
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(ask(&store, method, "events:erase").await.problem(), "subject-keys-failed");
    }
    assert_eq!(
        store.append(EVENTS, &[], json!([marked(4)])).await.problem(),
        "subject-keys-failed"
    );
    assert_eq!(store.append(EVENTS, &[], json!([event(5)])).await.status, StatusCode::CREATED);
    let ended = store.store.run(CancellationToken::new()).await;
    assert!(matches!(ended, Err(RunError::SubjectKeys)), "{ended:?}");

    let store = start();
    let read = store.get(EVENTS).await;
    assert!(read.json()[0]["lombardredacted"] == true && read.json()[2]["subject"] == SECRET);
    assert_eq!(ask(&store, Method::GET, "events:erase").await.json()["state"], "erased");
}

/// An erasure whose client had gone away ended where it was: the log said so, and the key was there.
#[tokio::test]
async fn an_erasure_is_carried_out_also_where_its_client_goes_away() {
    let store = TestStore::new();
    assert_eq!(store.append(EVENTS, &[], json!([marked(1)])).await.status, StatusCode::CREATED);
    assert!(ask(&store, Method::DELETE, "events:erase").now_or_never().is_none());
    while store.get(EVENTS).await.text.contains(SECRET) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn new_subjects_are_refused_on_a_full_disk_and_all_else_goes_on() {
    let (memory, disk) = (MemoryLog::new(), Simulated::new(1));
    let place = Arc::new(tempfile::tempdir().unwrap());
    fs::create_dir(place.path().join("subjects")).unwrap();
    let log = (Arc::new(memory.clone()) as _, memory);
    let store = TestStore::on_disk(Config::default(), log, place, Arc::new(disk.clone()));
    assert_eq!(store.append(EVENTS, &[], json!([marked(1)])).await.status, StatusCode::CREATED);
    disk.set_bytes_max(disk.bytes_used());
    let mut second = marked(2);
    second["datasubject"] = json!("customer-2");
    assert_eq!(store.append(EVENTS, &[], json!([second])).await.problem(), "disk-full");
    assert_eq!(store.append(EVENTS, &[], json!([marked(3)])).await.status, StatusCode::CREATED);
    assert_eq!(store.get(EVENTS).await.json()[1]["subject"], SECRET);
    disk.set_bytes_max(u64::MAX);
    assert_eq!(store.append(EVENTS, &[], json!([second])).await.status, StatusCode::CREATED);
}
