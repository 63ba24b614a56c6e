//! Data subjects: sealed events, erasure, and what is left after it.

use std::{fs, sync::Arc};

use http::{Method, StatusCode};
use lombard_eventstore::Config;
use lombard_log::MemoryLog;
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
    let mut bad = event(2);
    bad["datasubject"] = json!("x".repeat(256));
    assert_eq!(store.append(EVENTS, &[], json!([bad])).await.problem(), "invalid-event");
}

#[tokio::test]
async fn the_number_of_subjects_is_bounded() {
    let store = TestStore::with(Config { subjects_max: 1, ..Config::default() }, MemoryLog::new());
    let mut second = marked(2);
    second["datasubject"] = json!("customer-2");
    assert_eq!(store.append(EVENTS, &[], json!([marked(1)])).await.status, StatusCode::CREATED);
    assert_eq!(store.append(EVENTS, &[], json!([second])).await.problem(), "too-many-subjects");
}
