//! Appends to several streams, on conditions; what is read by tags, types and time; and what is kept beside events.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Call, Reply, TestStore, event, events};

async fn append(store: &TestStore, body: Value) -> Reply {
    let (method, scope) = (Method::POST, Some("events:append"));
    let headers = vec![("content-type", "application/json")];
    let path = "/v1/eventstore/appends";
    store.call(Call { method, path, scope, headers, body: body.to_string() }).await
}

fn tagged(number: u64, event_type: &str, tags: &str) -> Value {
    let mut event = event(number);
    event["type"] = json!(event_type);
    event["tags"] = json!(tags);
    event
}

async fn numbers(store: &TestStore, path: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let reply = store.get(&path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text);
        let page = reply.json();
        let events = page.as_array().unwrap();
        numbers.extend(events.iter().map(|event| event["data"]["number"].as_u64().unwrap()));
        next = reply.next();
    }
    numbers
}

#[tokio::test]
async fn several_streams_or_none() {
    let store = TestStore::new();
    let both = |expected: &str, first: u64| {
        json!({ "streams": [
            { "stream": "from-1", "expected": expected, "events": events([first]) },
            { "stream": "to-1", "events": events([first + 1, first + 2]) },
        ]})
    };
    let reply = append(&store, both("absent", 1)).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
    let wanted = json!([
        { "stream": "from-1", "first_revision": "0", "last_revision": "0",
          "first_position": "0", "last_position": "0" },
        { "stream": "to-1", "first_revision": "0", "last_revision": "1",
          "first_position": "1", "last_position": "2" },
    ]);
    assert_eq!(reply.json()["streams"], wanted);
    let again = append(&store, both("absent", 1)).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json(), reply.json());
    // One stream is not as expected: nothing happens to the other either.
    let reply = append(&store, both("absent", 10)).await;
    assert_eq!(reply.problem(), "wrong-expected-revision");
    assert_eq!(append(&store, both("0", 10)).await.status, StatusCode::CREATED);
    assert_eq!(numbers(&store, "/v1/eventstore/events").await, [1, 2, 3, 10, 11, 12]);
    let twice = json!({ "streams": [
        { "stream": "a", "events": events([20]) }, { "stream": "a", "events": events([21]) },
    ]});
    assert_eq!(append(&store, twice).await.problem(), "stream-repeated");
    let wrong = json!({ "streams": [{ "stream": "a", "expected": "x", "events": events([20]) }] });
    assert_eq!(append(&store, wrong).await.problem(), "invalid-body");
}

#[tokio::test]
async fn an_append_may_depend_on_what_has_not_happened() {
    let store = TestStore::new();
    let claim = |number: u64, stream: &str, after: Option<&str>| {
        json!({
            "streams": [{ "stream": stream, "events": [tagged(number, "claimed", "name:ada")] }],
            "condition": {
                "none_of": [{ "types": ["claimed"], "tags": ["name:ada"] }],
                "after": after,
            },
        })
    };
    assert_eq!(append(&store, claim(1, "user-1", None)).await.status, StatusCode::CREATED);
    let reply = append(&store, claim(2, "user-2", None)).await;
    assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (412, "condition-failed"));
    assert_eq!(reply.json()["event_position"], "0");
    // A retry of what happened is answered as the first time, though its condition has failed since.
    let again = append(&store, claim(1, "user-1", None)).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    // Who has seen the event may go on.
    assert_eq!(append(&store, claim(3, "user-2", Some("0"))).await.status, StatusCode::CREATED);
    let bad = json!({ "streams": [], "condition": { "none_of": [{ "tags": ["a b"] }] } });
    assert_eq!(append(&store, bad).await.problem(), "invalid-body");
}

#[tokio::test]
async fn events_are_found_by_type_tag_prefix_and_time() {
    let store = TestStore::new();
    let mut times = Vec::new();
    for number in 0..40_u64 {
        let tags = match number % 4 {
            0 => "zero,even",
            2 => "even",
            _ => "odd",
        };
        let event = tagged(number, &format!("t{}", number % 3), tags);
        let path = format!("/v1/eventstore/streams/s{}/events", number % 5);
        let reply = store.append(&path, &[], json!([event])).await;
        times.push(reply.json()["recorded_at"].as_str().unwrap().to_owned());
    }
    let all = |is_wanted: fn(u64) -> bool| (0..40).filter(|n| is_wanted(*n)).collect::<Vec<u64>>();
    for (query, wanted) in [
        ("limit=7&types=t1", all(|n| n % 3 == 1)),
        ("limit=3&types=t1,t2", all(|n| n % 3 != 0)),
        ("limit=3&tags=even", all(|n| n % 2 == 0)),
        ("limit=3&tags=even,zero&types=t0", all(|n| n % 12 == 0)),
        ("limit=3&prefix=s4", all(|n| n % 5 == 4)),
        ("limit=3&prefix=s4&tags=even", all(|n| n % 10 == 4)),
        ("tags=absent", vec![]),
        ("limit=2&types=t0&until=20", all(|n| n % 3 == 0 && n <= 20)),
        ("direction=backwards&limit=5&tags=zero", all(|n| n % 4 == 0).into_iter().rev().collect()),
        (
            "query=%5B%7B%22types%22%3A%5B%22t0%22%5D%2C%22tags%22%3A%5B%22odd%22%5D%7D%2C\
          %7B%22tags%22%3A%5B%22zero%22%5D%7D%5D",
            all(|n| n % 4 == 0 || n % 3 == 0 && n % 2 == 1),
        ),
    ] {
        let path = format!("/v1/eventstore/events?{query}");
        assert_eq!(numbers(&store, &path).await, wanted, "{query}");
    }
    let path = "/v1/eventstore/streams/s1/events?tags=even&limit=2";
    assert_eq!(numbers(&store, path).await, [6, 16, 26, 36]);
    let time = times[10].replace('+', "%2B");
    let path = format!("/v1/eventstore/events?limit=4&as_of={time}");
    assert_eq!(numbers(&store, &path).await, (0..=10).collect::<Vec<_>>());
    let path = format!("/v1/eventstore/streams/s0/events?direction=backwards&as_of={time}");
    assert_eq!(numbers(&store, &path).await, [10, 5, 0]);
    for query in ["query=x", "query=%5B%5D&tags=a", "tags=a%20b", "as_of=yesterday", "until=-1"] {
        let reply = store.get(&format!("/v1/eventstore/events?{query}")).await;
        assert_eq!(reply.problem(), "invalid-query", "{query}");
    }
}

async fn put(store: &TestStore, path: &str, headers: &[(&str, &str)], body: Value) -> Reply {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let (method, scope) = (Method::PUT, Some("events:append"));
    store.call(Call { method, path, scope, headers: all, body: body.to_string() }).await
}

#[tokio::test]
async fn a_stream_has_a_snapshot_and_metadata() {
    let store = TestStore::new();
    let path = "/v1/eventstore/streams/account-1/snapshot";
    let snapshot = |revision: &str| json!({ "stream_revision": revision, "data": { "sum": "7" } });
    assert_eq!(put(&store, path, &[], snapshot("0")).await.problem(), "stream-not-found");
    let stream = "/v1/eventstore/streams/account-1/events";
    store.append(stream, &[], events(0..3)).await;
    assert_eq!(store.get(path).await.problem(), "document-not-found");
    assert_eq!(put(&store, path, &[], snapshot("3")).await.problem(), "invalid-body");
    let first = put(&store, path, &[("if-none-match", "*")], snapshot("1")).await;
    assert_eq!((first.status, first.header("etag")), (StatusCode::CREATED, "\"0\""));
    // Again after a lost answer, and by somebody else.
    let again = put(&store, path, &[("if-none-match", "*")], snapshot("1")).await;
    assert_eq!((again.status, again.header("etag")), (StatusCode::CREATED, "\"0\""));
    let other = put(&store, path, &[("if-none-match", "*")], snapshot("2")).await;
    assert_eq!(other.problem(), "wrong-document-revision");
    let next = put(&store, path, &[("if-match", "\"0\"")], snapshot("2")).await;
    assert_eq!((next.status, next.header("etag")), (StatusCode::NO_CONTENT, "\"1\""));
    let read = store.get(path).await;
    assert_eq!(read.json(), snapshot("2"));
    assert_eq!(read.header("etag"), "\"1\"");
    let metadata = "/v1/eventstore/streams/account-1/metadata";
    assert_eq!(put(&store, metadata, &[], json!([])).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(put(&store, metadata, &[], json!({ "a": 1 })).await.status, StatusCode::CREATED);
    assert_eq!(store.get(metadata).await.json(), json!({ "a": 1 }));
    // They are no events, and survive a restart.
    assert_eq!(numbers(&store, "/v1/eventstore/events").await, [0, 1, 2]);
    let store = TestStore::with(lombard_eventstore::Config::default(), store.memory.after_crash());
    assert_eq!(store.get(path).await.json(), snapshot("2"));
    let big = json!({ "a": "x".repeat(1 << 20) });
    assert_eq!(put(&store, metadata, &[], big).await.problem(), "document-too-large");
}
