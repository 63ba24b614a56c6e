//! Consumer groups over HTTP.

use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use lombard_eventstore::Config;
use lombard_log::MemoryLog;
use serde_json::{Value, json};

use crate::support::{Call, EVENTS, Reply, TestStore, event, events, id};

const GROUP: &str = "/v1/eventstore/groups/mail";
const SCOPE: &str = "events:consume events:manage events:read";

impl TestStore {
    async fn ask(&self, method: Method, path: &str, body: Value) -> Reply {
        self.ask_as(SCOPE, method, path, body).await
    }

    async fn ask_as(&self, scope: &str, method: Method, path: &str, body: Value) -> Reply {
        let headers = vec![("content-type", "application/json")];
        let (scope, body) = (Some(scope), body.to_string());
        self.call(Call { method, path, scope, headers, body }).await
    }

    async fn make(&self, settings: Value) -> Reply {
        self.ask(Method::PUT, GROUP, settings).await
    }

    async fn post(&self, what: &str, body: Value) -> Reply {
        self.ask(Method::POST, &format!("{GROUP}/{what}"), body).await
    }

    async fn pull(&self, consumer: &str, count: u32, wait_ms: u64) -> Vec<Value> {
        let body = json!({ "consumer": consumer, "count": count, "wait_ms": wait_ms });
        let reply = self.post("deliveries", body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        reply.json()["deliveries"].as_array().unwrap().clone()
    }

    async fn settle(&self, what: &str, mut body: Value, deliveries: &[Value]) -> Vec<String> {
        body["receipts"] = deliveries.iter().map(|it| it["receipt"].clone()).collect();
        let reply = self.post(what, body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        let results = reply.json()["results"].as_array().unwrap().clone();
        results.iter().map(|result| result["result"].as_str().unwrap().to_owned()).collect()
    }

    async fn state(&self) -> Value {
        self.ask(Method::GET, GROUP, json!({})).await.json()
    }
}

fn numbers(deliveries: &[Value]) -> Vec<u64> {
    deliveries.iter().map(|it| it["event"]["data"]["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_group_is_made_shown_listed_and_deleted() {
    let store = TestStore::new();
    let settings = json!({ "prefix": "payment-", "query": [{ "types": ["a"], "tags": ["b:1"] }],
        "start": "after:3", "order_by": "tag:customer", "attempts_max": 4, "retry_ms_min": 10,
        "retry_ms_max": 20, "visibility_ms": 30, "in_flight_max": 40, "consumer_in_flight_max": 5 });
    let made = store.make(settings.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json()["settings"], settings);
    assert_eq!(made.json()["cursor"], "4");
    assert_eq!(store.make(settings).await.status, StatusCode::OK);
    assert_eq!(store.make(json!({})).await.problem(), "group-exists");
    let list = store.ask(Method::GET, "/v1/eventstore/groups?limit=1", json!({})).await.json();
    assert_eq!((&list["items"][0]["group"], &list["next"]), (&json!("mail"), &Value::Null));
    assert_eq!(store.ask(Method::DELETE, GROUP, json!({})).await.status, StatusCode::NO_CONTENT);
    for (method, path) in [
        (Method::GET, GROUP.to_owned()),
        (Method::DELETE, GROUP.to_owned()),
        (Method::POST, format!("{GROUP}/deliveries")),
        (Method::GET, format!("{GROUP}/dead-letters")),
    ] {
        let reply = store.ask(method, &path, json!({})).await;
        assert_eq!(reply.problem(), "group-not-found", "{path}");
    }
}

#[tokio::test]
async fn deliveries_are_settled_and_the_cursor_follows() {
    let store = TestStore::new();
    store.append(EVENTS, &[], events(1..=3)).await;
    store.append("/v1/eventstore/streams/payment-43/events", &[], events(4..=5)).await;
    store.make(json!({})).await;
    // One stream, one event at a time.
    let first = store.pull("one", 10, 0).await;
    assert_eq!(numbers(&first), [1, 4]);
    assert_eq!(store.pull("two", 10, 0).await, Vec::<Value>::new());
    assert_eq!(first[0]["attempt"], 1);
    assert_eq!(store.settle("acks", json!({}), &first).await, ["done", "done"]);
    assert_eq!(
        store.settle("acks", json!({}), &first).await,
        ["already_settled", "already_settled"]
    );
    let second = store.pull("two", 1, 0).await;
    assert_eq!(numbers(&second), [2]);
    let state = store.state().await;
    assert_eq!((&state["cursor"], &state["lag"]), (&json!("1"), &json!(3)));
    assert_eq!(state["consumers"], json!([{ "consumer": "two", "in_flight": 1 }]));
    assert_eq!(store.settle("acks", json!({}), &second).await, ["done"]);
    for expected in [vec![3, 5], vec![]] {
        let next = store.pull("one", 10, 0).await;
        assert_eq!(numbers(&next), expected);
        if !next.is_empty() {
            store.settle("acks", json!({}), &next).await;
        }
    }
    let state = store.state().await;
    assert_eq!((&state["cursor"], &state["lag"]), (&json!("5"), &json!(0)));
    let unknown = json!({ "receipts": ["9.0.1"] });
    let reply = store.post("acks", unknown).await.json();
    assert_eq!(reply["results"][0]["result"], "unknown");
}

#[tokio::test]
async fn only_what_the_filter_lets_through_is_delivered_in_the_order_of_its_key() {
    let store = TestStore::new();
    let tagged = |number: u64, tags: &str, subject: &str| {
        let mut event = event(number);
        event["tags"] = tags.into();
        event["subject"] = subject.into();
        event
    };
    let all = json!([
        tagged(1, "customer:7,mail", "a"),
        tagged(2, "customer:7", "b"),
        tagged(3, "customer:8,mail", "a"),
        tagged(4, "customer:7,mail", "b"),
    ]);
    store.append(EVENTS, &[], all).await;
    for (order, expected) in [
        ("stream", vec![1]),
        ("nothing", vec![1, 3, 4]),
        ("tag:customer", vec![1, 3]),
        ("attribute:subject", vec![1, 4]),
        ("attribute:missing", vec![1]),
    ] {
        store.make(json!({ "query": [{ "tags": ["mail"] }], "order_by": order })).await;
        assert_eq!(numbers(&store.pull("one", 10, 0).await), expected, "{order}");
        store.ask(Method::DELETE, GROUP, json!({})).await;
    }
    store.make(json!({ "start": "end" })).await;
    assert_eq!(store.state().await["lag"], 0);
    store.append(EVENTS, &[], events([5])).await;
    assert_eq!(numbers(&store.pull("one", 10, 0).await), [5]);
}

#[tokio::test]
async fn a_failed_event_is_tried_again_and_becomes_a_dead_letter() {
    let store = TestStore::new();
    store.append(EVENTS, &[], events(1..=2)).await;
    store.make(json!({ "attempts_max": 2, "retry_ms_min": 1 })).await;
    let first = store.pull("one", 10, 0).await;
    let failed = json!({ "reason": "mail server away" });
    assert_eq!(store.settle("nacks", failed.clone(), &first).await, ["done"]);
    assert_eq!(store.settle("nacks", failed.clone(), &first).await, ["lost"]);
    let second = store.pull("one", 10, 10_000).await;
    assert_eq!(
        (&second[0]["attempt"], &second[0]["delivery_id"]),
        (&json!(2), &first[0]["delivery_id"])
    );
    assert_eq!(store.settle("acks", json!({}), &first).await, ["lost"]);
    store.settle("nacks", failed, &second).await;
    assert_eq!(store.settle("acks", json!({}), &second).await, ["dead"]);

    let next = store.pull("one", 10, 0).await;
    assert_eq!(numbers(&next), [2]);
    store.settle("nacks", json!({ "dead_letter": true, "reason": "malformed" }), &next).await;
    let path = format!("{GROUP}/dead-letters");
    let page = store.ask(Method::GET, &format!("{path}?limit=1"), json!({})).await.json();
    let letter = &page["items"][0];
    assert_eq!(letter["event"]["id"], id(1));
    assert_eq!((&letter["position"], &letter["attempts"]), (&json!("0"), &json!(2)));
    assert_eq!(
        (&letter["cause"], &letter["reason"]),
        (&json!("refused"), &json!("mail server away"))
    );
    assert_eq!(letter["delivery_id"], first[0]["delivery_id"]);
    assert_eq!(page["next"], "0");
    let rest = store.ask(Method::GET, &format!("{path}?after=0"), json!({})).await.json();
    assert_eq!((&rest["items"][0]["reason"], &rest["next"]), (&json!("malformed"), &Value::Null));

    let moved = store.post("dead-letters/replay", json!({ "positions": ["0"] })).await.json();
    assert_eq!(moved["count"], 1);
    let again = store.pull("one", 10, 0).await;
    assert_eq!(
        (&again[0]["attempt"], &again[0]["delivery_id"]),
        (&json!(3), &first[0]["delivery_id"])
    );
    assert_eq!(store.settle("acks", json!({}), &again).await, ["done"]);
    let moved = store.post("dead-letters/discard", json!({ "all": true })).await.json();
    assert_eq!(moved["count"], 1);
    let state = store.state().await;
    assert_eq!((&state["dead_letters"], &state["lag"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_consumer_that_is_away_gives_its_deliveries_back() {
    let store = TestStore::new();
    store.append(EVENTS, &[], events([1])).await;
    store.make(json!({ "visibility_ms": 1 })).await;
    let lost = store.pull("one", 10, 0).await;
    let found = store.pull("two", 10, 10_000).await;
    assert_eq!(found[0]["delivery_id"], lost[0]["delivery_id"]);
    assert_eq!(found[0]["attempt"], 2);
    assert_eq!(store.settle("acks", json!({}), &lost).await, ["lost"]);
    // Nobody has it since, so whoever had it last is believed.
    assert_eq!(store.settle("acks", json!({}), &found).await, ["done"]);

    store.append(EVENTS, &[], events([2])).await;
    let body = json!({ "consumer": "one", "visibility_ms": 60_000 });
    let held = store.post("deliveries", body).await.json()["deliveries"].clone();
    let extended =
        store.settle("extensions", json!({ "visibility_ms": 1 }), held.as_array().unwrap()).await;
    assert_eq!(extended, ["done"]);
    assert_eq!(numbers(&store.pull("two", 10, 10_000).await), [2]);
}

#[tokio::test]
async fn a_pull_waits_for_events_and_for_its_turn() {
    let store = TestStore::new();
    store.make(json!({ "query": [{ "types": ["payment.settled"] }] })).await;
    let (pulled, ()) = tokio::join!(store.pull("one", 10, 20_000), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut other = event(1);
        other["type"] = "payment.refused".into();
        store.append(EVENTS, &[], json!([other])).await;
        store.append(EVENTS, &[], events([2, 3])).await;
    });
    assert_eq!(numbers(&pulled), [2]);
    let (next, results) = tokio::join!(store.pull("two", 10, 20_000), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        store.settle("acks", json!({}), &pulled).await
    });
    assert_eq!((numbers(&next), results), (vec![3], vec!["done".to_owned()]));
    assert_eq!(store.pull("one", 10, 1).await, Vec::<Value>::new());
}

#[tokio::test]
async fn limits_of_consumers_and_groups_hold() {
    let config = Config { groups_max: 1, group_consumers_max: 1, ..Config::default() };
    let store = TestStore::with(config, MemoryLog::new());
    store.append(EVENTS, &[], events(1..=6)).await;
    let settings =
        json!({ "order_by": "nothing", "in_flight_max": 3, "consumer_in_flight_max": 2 });
    store.make(settings).await;
    let other = "/v1/eventstore/groups/other";
    assert_eq!(store.ask(Method::PUT, other, json!({})).await.problem(), "too-many-groups");
    assert_eq!(numbers(&store.pull("one", 10, 0).await), [1, 2]);
    assert_eq!(store.pull("one", 10, 0).await, Vec::<Value>::new());
    let refused = store.post("deliveries", json!({ "consumer": "two" })).await;
    assert_eq!(refused.problem(), "too-many-consumers");
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test]
async fn what_does_not_fit_is_said() {
    let store = TestStore::new();
    for (settings, field) in [
        (json!({ "start": "before" }), "start"),
        (json!({ "order_by": "tag:" }), "order_by"),
        (json!({ "attempts_max": 0 }), "attempts_max"),
        (json!({ "attempts_max": 1001 }), "attempts_max"),
        (json!({ "visibility_ms": 43_200_001 }), "visibility_ms"),
        (json!({ "retry_ms_min": 5, "retry_ms_max": 4 }), "retry_ms_max"),
        (json!({ "retry_ms_max": 86_400_001 }), "retry_ms_max"),
        (json!({ "in_flight_max": 2049 }), "in_flight_max"),
        (json!({ "consumer_in_flight_max": 0 }), "consumer_in_flight_max"),
        (json!({ "query": [{ "types": [""] }] }), "query"),
    ] {
        let reply = store.make(settings.clone()).await;
        assert_eq!(
            (reply.problem().as_str(), &reply.json()["field"]),
            ("invalid-body", &json!(field))
        );
    }
    store.make(json!({})).await;
    for (what, body) in [
        ("deliveries", json!({ "count": 0 })),
        ("deliveries", json!({ "count": 101 })),
        ("deliveries", json!({ "wait_ms": 20_001 })),
        ("deliveries", json!({ "consumer": "a b" })),
        ("deliveries", json!({ "visibility_ms": 0 })),
        ("deliveries", json!({ "unknown": 1 })),
        ("acks", json!({ "receipts": [] })),
        ("acks", json!({ "receipts": ["x"] })),
        ("acks", json!({ "receipts": vec!["1.1.1"; 1001] })),
        ("nacks", json!({ "receipts": ["1.1.1"], "reason": "x".repeat(501) })),
        ("nacks", json!({ "receipts": ["1.1.1"], "delay_ms": 86_400_001 })),
        ("extensions", json!({ "receipts": ["1.1.1"] })),
        ("dead-letters/replay", json!({})),
        ("dead-letters/discard", json!({ "all": true, "positions": ["1"] })),
    ] {
        assert_eq!(store.post(what, body.clone()).await.problem(), "invalid-body", "{what} {body}");
    }
    assert_eq!(store.ask(Method::PUT, "/v1/eventstore/groups/a%20b", json!({})).await.status, 400);
}

#[tokio::test]
async fn scopes_are_by_group_and_a_group_shows_no_more_than_its_maker_may_read() {
    let store = TestStore::new();
    let prefix = json!({ "prefix": "payment-" });
    let may = |scope: &'static str, method: Method, what: &'static str, body: Value| {
        let store = &store;
        async move {
            let path = format!("{GROUP}{what}");
            store.ask_as(scope, method, &path, body).await.status != StatusCode::FORBIDDEN
        }
    };
    for (scope, is_permitted) in [
        ("events:manage", false),
        ("events:read", false),
        ("events:manage:mail events:read:order-*", false),
        ("events:manage:bank events:read", false),
        ("events:manage:mail events:read:payment-*", true),
        ("admin", true),
    ] {
        assert_eq!(may(scope, Method::PUT, "", prefix.clone()).await, is_permitted, "{scope}");
    }
    let receipts = json!(["1.1.1"]);
    for (what, body) in [
        ("/deliveries", json!({})),
        ("/acks", json!({ "receipts": receipts })),
        ("/nacks", json!({ "receipts": receipts })),
        ("/extensions", json!({ "receipts": receipts, "visibility_ms": 1 })),
        ("/dead-letters/replay", json!({ "all": true })),
        ("/dead-letters/discard", json!({ "all": true })),
    ] {
        for (scope, is_permitted) in [
            ("events:consume:mail", true),
            ("events:consume:ma*", true),
            ("events:consume:bank", false),
            ("events:read", false),
        ] {
            assert_eq!(may(scope, Method::POST, what, body.clone()).await, is_permitted, "{what}");
        }
    }
    assert!(!may("events:consume:bank", Method::GET, "", json!({})).await);
    assert!(may("events:consume:mail", Method::GET, "", json!({})).await);
    assert!(!may("events:consume:mail", Method::DELETE, "", json!({})).await);
    let list = "/v1/eventstore/groups";
    let seen = store.ask_as("events:consume:bank", Method::GET, list, json!({})).await;
    assert_eq!(seen.json()["items"], json!([]));
}

#[tokio::test]
async fn deliveries_are_pushed_as_long_as_there_are_credits() {
    let store = TestStore::new();
    store.append(EVENTS, &[], events(1..=3)).await;
    store.make(json!({ "order_by": "nothing" })).await;
    let path = format!("{GROUP}/deliveries?consumer=one&credits=2");
    let headers = vec![("accept", "text/event-stream")];
    let call =
        Call { method: Method::GET, path: &path, scope: Some(SCOPE), headers, body: String::new() };
    let response = store.send(call).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str::<Value>(data).unwrap()).collect::<Vec<_>>()
    };
    let first = next().await;
    assert_eq!(numbers(&first), [1, 2]);
    let (more, _) = tokio::join!(next(), store.settle("acks", json!({}), &first[..1]));
    assert_eq!(numbers(&more), [3]);
    let path = format!("{GROUP}/deliveries");
    assert_eq!(store.ask(Method::GET, &path, json!({})).await.problem(), "method-not-allowed");
}

#[tokio::test]
async fn what_groups_do_is_counted() {
    let store = TestStore::new();
    store.append(EVENTS, &[], events([1])).await;
    store.make(json!({})).await;
    let deliveries = store.pull("one", 1, 0).await;
    store.settle("acks", json!({}), &deliveries).await;
    let text = store.metrics.encode().unwrap();
    for line in [
        "lombard_eventstore_group_deliveries_total 1",
        "lombard_eventstore_group_redeliveries_total 0",
        "lombard_eventstore_group_settlements_total{kind=\"ack\",result=\"done\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
