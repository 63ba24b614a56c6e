//! Limits that the configuration sets, and those that a name has, each met from both sides.

use http::Method;
use lombard_eventstore::Config;
use lombard_log::MemoryLog;
use serde_json::{Value, json};

use crate::support::{Call, EVENTS, Reply, TestStore, event, events};

fn config() -> Config {
    Config {
        append_streams_max: 2,
        event_tags_max: 2,
        document_bytes_max: 64,
        page_examined_max: 4,
        page_events_default: 4,
        page_events_max: 4,
        subscriptions_max: 1,
        group_waits_max: 0,
        ..Config::default()
    }
}

async fn send(store: &TestStore, method: Method, path: &str, body: Value) -> Reply {
    let headers = vec![("content-type", "application/json")];
    let (scope, body) = (Some("admin"), body.to_string());
    store.call(Call { method, path, scope, headers, body }).await
}

#[tokio::test]
async fn tags_streams_and_documents_have_limits() {
    let store = TestStore::with(config(), MemoryLog::new());
    let tagged = |number: u64, tags: &str| {
        let mut event = event(number);
        event["tags"] = json!(tags);
        json!([event])
    };
    assert_eq!(store.append(EVENTS, &[], tagged(1, "a,b,c")).await.problem(), "invalid-event");
    assert_eq!(store.append(EVENTS, &[], tagged(1, "a,b")).await.status, 201);

    let appends = |count: u64| {
        let stream =
            |number| json!({ "stream": format!("s{number}"), "events": [event(10 + number)] });
        json!({ "streams": (0..count).map(stream).collect::<Vec<_>>() })
    };
    let path = "/v1/eventstore/appends";
    let refused = send(&store, Method::POST, path, appends(3)).await;
    assert_eq!(
        (refused.problem().as_str(), &refused.json()["limit"]),
        ("too-many-streams", &json!(2))
    );
    assert_eq!(send(&store, Method::POST, path, appends(2)).await.status, 201);

    let path = "/v1/eventstore/streams/payment-42/metadata";
    let document = |length: usize| json!({ "note": "x".repeat(length) });
    let refused = send(&store, Method::PUT, path, document(60)).await;
    assert_eq!(
        (refused.problem().as_str(), &refused.json()["limit_bytes"]),
        ("document-too-large", &json!(64))
    );
    assert_eq!(send(&store, Method::PUT, path, document(50)).await.status, 201);
}

#[tokio::test]
async fn names_of_streams_have_a_grammar() {
    let store = TestStore::new();
    for (number, name, is_good) in [
        (1, "a-Z_0.9:b".to_owned(), true),
        (2, "x".repeat(200), true),
        (3, "x".repeat(201), false),
        (4, "a%20b".to_owned(), false),
        (5, "a%2Fb".to_owned(), false),
        (6, "%C3%A4".to_owned(), false),
        (7, "a*".to_owned(), false),
    ] {
        let path = format!("/v1/eventstore/streams/{name}/events");
        let reply = store.append(&path, &[], events([number])).await;
        if is_good {
            assert_eq!(reply.status, 201, "{name}");
        } else {
            assert_eq!(reply.problem(), "invalid-path", "{name}");
        }
    }
}

#[tokio::test]
async fn a_page_ends_after_what_may_be_looked_at_and_says_where_it_goes_on() {
    let store = TestStore::with(config(), MemoryLog::new());
    store.append(EVENTS, &[], events(1..=6)).await;
    store.append("/v1/eventstore/streams/other/events", &[], events([7])).await;
    let reply = store.get("/v1/eventstore/events?prefix=other").await;
    assert_eq!(reply.json(), json!([]));
    let next = store.get(&reply.next().unwrap()).await;
    assert_eq!(next.json()[0]["data"]["number"], 7);
}

#[tokio::test]
async fn subscriptions_and_waiting_consumers_are_bounded() {
    let store = TestStore::with(config(), MemoryLog::new());
    let subscribe = || Call {
        method: Method::GET,
        path: "/v1/eventstore/events",
        scope: Some("events:read"),
        headers: vec![("accept", "text/event-stream")],
        body: String::new(),
    };
    let first = store.send(subscribe()).await;
    assert_eq!(first.status(), 200);
    let second = store.call(subscribe()).await;
    assert_eq!((second.problem().as_str(), second.header("retry-after")), ("overloaded", "5"));
    drop(first);
    assert_eq!(store.send(subscribe()).await.status(), 200, "a place that is left is free");

    let group = "/v1/eventstore/groups/mail";
    send(&store, Method::PUT, group, json!({})).await;
    let path = format!("{group}/deliveries");
    let waiting = send(&store, Method::POST, &path, json!({ "wait_ms": 1000 })).await;
    assert_eq!(waiting.problem(), "overloaded");
    // Who does not wait takes no place.
    assert_eq!(send(&store, Method::POST, &path, json!({})).await.status, 200);
}
