//! What bad requests are answered: exactly which problem, and that nothing is written.

use http::Method;
use lombard_eventstore::Config;
use lombard_log::MemoryLog;
use serde_json::{Value, json};

use crate::support::{Call, EVENTS, TestStore, event, events, id};

const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");
const ONE: (&str, &str) = ("content-type", "application/cloudevents+json");

#[tokio::test]
async fn every_bad_append_is_refused_with_its_problem() {
    let store = TestStore::new();
    let good = || event(1).to_string();
    let two = |second: &str| format!("[{},{second}]", event(1));
    let path = EVENTS;
    let long_name = format!("/v1/eventstore/streams/{}/events", "x".repeat(201));
    let long_name = long_name.as_str();
    for (what, path, headers, body, status, problem) in [
        (
            "a name with a space",
            "/v1/eventstore/streams/a%20b/events",
            vec![ONE],
            good(),
            400,
            "invalid-path",
        ),
        (
            "a name with a slash",
            "/v1/eventstore/streams/a%2Fb/events",
            vec![ONE],
            good(),
            400,
            "invalid-path",
        ),
        ("a long name", long_name, vec![ONE], good(), 400, "invalid-path"),
        ("no media type", path, vec![], good(), 415, "unsupported-media-type"),
        (
            "plain JSON",
            path,
            vec![("content-type", "application/json")],
            good(),
            415,
            "unsupported-media-type",
        ),
        ("an empty body", path, vec![ONE], String::new(), 400, "malformed-json"),
        ("half an event", path, vec![ONE], good()[..20].to_owned(), 400, "malformed-json"),
        ("two values", path, vec![ONE], format!("{} 1", good()), 400, "malformed-json"),
        ("a list as one event", path, vec![ONE], format!("[{}]", good()), 400, "invalid-body"),
        ("one event as a list", path, vec![BATCH], good(), 400, "invalid-body"),
        ("a list of numbers", path, vec![BATCH], "[1]".to_owned(), 400, "invalid-body"),
        (
            "a member said twice",
            path,
            vec![ONE],
            good().replacen('{', "{\"subject\":\"a\",\"subject\":\"b\",", 1),
            400,
            "invalid-body",
        ),
        ("an empty list", path, vec![BATCH], "[]".to_owned(), 400, "no-events"),
        ("an id said twice", path, vec![BATCH], two(&good()), 400, "event-id-repeated"),
        ("one bad event of two", path, vec![BATCH], two("{}"), 400, "invalid-event"),
        ("a bare revision", path, vec![ONE, ("if-match", "7")], good(), 400, "invalid-header"),
        ("a weak tag", path, vec![ONE, ("if-match", "W/\"7\"")], good(), 400, "invalid-header"),
        (
            "a revision that must not be",
            path,
            vec![ONE, ("if-none-match", "\"7\"")],
            good(),
            400,
            "invalid-header",
        ),
        (
            "both preconditions",
            path,
            vec![ONE, ("if-match", "*"), ("if-none-match", "*")],
            good(),
            400,
            "invalid-header",
        ),
        (
            "a precondition said twice",
            path,
            vec![ONE, ("if-match", "*"), ("if-match", "*")],
            good(),
            400,
            "invalid-header",
        ),
        (
            "a wrong revision",
            path,
            vec![ONE, ("if-match", "\"0\"")],
            good(),
            412,
            "wrong-expected-revision",
        ),
    ] {
        let (method, scope) = (Method::POST, Some("events:append"));
        let reply = store.call(Call { method, path, scope, headers, body }).await;
        assert_eq!(reply.problem(), problem, "{what}: {}", reply.text);
        assert_eq!(reply.status.as_u16(), status, "{what}");
        assert_eq!(reply.json()["instance"], path, "{what}");
        assert!(reply.json()["request_id"].is_string(), "{what}");
        assert_eq!(store.log.tail().get(), 0, "{what}: nothing is written");
    }
}

#[tokio::test]
async fn every_bad_attribute_is_named() {
    let store = TestStore::new();
    for (attribute, value) in [
        ("specversion", json!(null)),
        ("specversion", json!("0.3")),
        ("specversion", json!(1.0)),
        ("id", json!(null)),
        ("id", json!(7)),
        ("id", json!("")),
        ("id", json!("order-7")),
        ("id", json!("00000000-0000-0000-0000-000000000000")),
        ("id", json!("0190d7a45c2e7d318e2f000000000001")),
        ("source", json!(null)),
        ("source", json!("")),
        ("source", json!("two words")),
        ("source", json!("x".repeat(2049))),
        ("type", json!(null)),
        ("type", json!("")),
        ("type", json!("a\u{7}b")),
        ("type", json!("x".repeat(256))),
        ("subject", json!("")),
        ("subject", json!({})),
        ("time", json!("yesterday")),
        ("time", json!("2026-01-31 10:30:00Z")),
        ("time", json!("1969-12-31T23:59:59Z")),
        ("datacontenttype", json!("json")),
        ("dataschema", json!("/relative")),
        ("data_base64", json!("AP8=")),
        ("Upper", json!("a")),
        ("with-dash", json!("a")),
        ("with_underscore", json!("a")),
        ("", json!("a")),
        ("ext", json!(1.5)),
        ("ext", json!(2_147_483_648u64)),
        ("ext", json!([])),
        ("ext", json!({})),
        ("ext", json!("a\nb")),
        ("stream", json!("a")),
        ("revision", json!("a")),
        ("position", json!("a")),
        ("storetime", json!("a")),
        ("tags", json!("a b")),
        ("tags", json!("a,,b")),
        ("tags", json!(["a"])),
        ("lombardclient", json!("a")),
        ("lombardanything", json!("a")),
    ] {
        let mut bad = event(2);
        bad[attribute] = value.clone();
        let reply = store.append(EVENTS, &[], json!([event(1), bad])).await;
        assert_eq!(reply.problem(), "invalid-event", "{attribute}: {value}");
        assert_eq!(reply.status.as_u16(), 400);
        assert_eq!(reply.json()["attribute"], attribute, "{value}: {}", reply.text);
        assert_eq!(reply.json()["index"], 1);
        assert_eq!(store.log.tail().get(), 0, "nothing is written");
    }
    let mut not_base64 = event(1);
    not_base64.as_object_mut().map(|event| event.remove("data"));
    for value in [json!("AP8"), json!("%"), json!(1)] {
        not_base64["data_base64"] = value;
        let reply = store.append(EVENTS, &[], json!([not_base64])).await;
        assert_eq!(reply.json()["attribute"], "data_base64", "{}", reply.text);
    }
}

#[tokio::test]
async fn every_bad_read_is_refused_with_its_problem() {
    let store = TestStore::new();
    assert_eq!(store.append(EVENTS, &[], events([1])).await.status.as_u16(), 201);
    for (path, status, problem) in [
        ("/v1/eventstore/streams/nothing/events", 404, "stream-not-found"),
        ("/v1/eventstore/streams/a%20b/events", 400, "invalid-path"),
        ("/v1/eventstore/streams/payment-42", 404, "not-found"),
        ("/v1/eventstore/streams/payment-42/events?from=-1", 400, "invalid-query"),
        ("/v1/eventstore/streams/payment-42/events?from=%2B1", 400, "invalid-query"),
        ("/v1/eventstore/streams/payment-42/events?from=x", 400, "invalid-query"),
        ("/v1/eventstore/streams/payment-42/events?limit=0", 400, "invalid-query"),
        ("/v1/eventstore/streams/payment-42/events?limit=1001", 400, "invalid-query"),
        ("/v1/eventstore/streams/payment-42/events?direction=up", 400, "invalid-query"),
        ("/v1/eventstore/streams/payment-42/events?form=1", 400, "invalid-query"),
        ("/v1/eventstore/streams/payment-42/events?from=1&from=2", 400, "invalid-query"),
        ("/v1/eventstore/streams/payment-42/events?at_least=x", 400, "invalid-query"),
        ("/v1/eventstore/events?after=x", 400, "invalid-query"),
        ("/v1/eventstore/events?limit=1001", 400, "invalid-query"),
        ("/v1/eventstore/events?from=1", 400, "invalid-query"),
        ("/v1/eventstore/streams?after=a%20b", 400, "invalid-query"),
        ("/v1/eventstore/streams?limit=", 400, "invalid-query"),
    ] {
        let reply = store.get(path).await;
        assert_eq!(reply.problem(), problem, "{path}: {}", reply.text);
        assert_eq!(reply.status.as_u16(), status, "{path}");
    }
    let (method, scope) = (Method::DELETE, Some("admin"));
    let call = Call { method, path: EVENTS, scope, headers: vec![], body: String::new() };
    let reply = store.call(call).await;
    assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (405, "method-not-allowed"));
}

#[tokio::test]
async fn a_position_that_is_not_reached_is_not_waited_for_for_ever() {
    let config = Config { wait_ms_max: 10, ..Config::default() };
    let store = TestStore::with(config, MemoryLog::new());
    assert_eq!(store.append(EVENTS, &[], events([1])).await.status.as_u16(), 201);
    for path in ["/v1/eventstore/streams", "/v1/eventstore/events", EVENTS] {
        let reply = store.get(&format!("{path}?at_least=1")).await;
        assert_eq!(reply.problem(), "position-not-reached");
        assert_eq!(reply.status.as_u16(), 503);
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(reply.json()["log_position"], "0", "how far it is");
        assert_eq!(store.get(&format!("{path}?at_least=0")).await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn scopes() {
    let store = TestStore::new();
    assert_eq!(store.append(EVENTS, &[], events([1])).await.status.as_u16(), 201);
    let (post, get) = (Method::POST, Method::GET);
    let all = "/v1/eventstore/events";
    let streams = "/v1/eventstore/streams";
    for (method, path, scope, status) in [
        (&post, EVENTS, None, 401),
        (&post, EVENTS, Some("events:read"), 403),
        (&post, EVENTS, Some("events:append:order-*"), 403),
        (&post, EVENTS, Some("events:append:payment-4"), 403),
        (&post, EVENTS, Some("ledger:write"), 403),
        (&post, EVENTS, Some("events:append:payment-42"), 201),
        (&post, EVENTS, Some("events:append:payment-*"), 201),
        (&post, EVENTS, Some("admin"), 201),
        (&get, EVENTS, None, 401),
        (&get, EVENTS, Some("events:append"), 403),
        (&get, EVENTS, Some("events:read:order-*"), 403),
        (&get, EVENTS, Some("events:read:payment-*"), 200),
        (&get, all, None, 401),
        (&get, all, Some("events:append"), 403),
        (&get, all, Some("events:read:payment-*"), 403),
        (&get, all, Some("events:read"), 200),
        (&get, streams, None, 401),
        (&get, streams, Some("events:append"), 403),
        (&get, streams, Some("events:read:order-*"), 200),
        // Whether a stream exists is not told to those who may not read it.
        (&get, "/v1/eventstore/streams/nothing/events", Some("events:read:payment-*"), 403),
    ] {
        let body = if *method == post { event(1).to_string() } else { String::new() };
        let headers = vec![ONE];
        let reply = store.call(Call { method: method.clone(), path, scope, headers, body }).await;
        assert_eq!(reply.status.as_u16(), status, "{method} {path} {scope:?}: {}", reply.text);
        match status {
            401 => assert_eq!(reply.header("www-authenticate"), "Bearer"),
            403 => assert_eq!(reply.problem(), "insufficient-scope"),
            _ => {}
        }
    }
    // Without the scope, what is wrong with the request is not told either.
    let (method, scope) = (Method::POST, Some("events:read"));
    let call = Call { method, path: EVENTS, scope, headers: vec![], body: "{".to_owned() };
    assert_eq!(store.call(call).await.problem(), "insufficient-scope");
}

#[tokio::test]
async fn every_limit_has_its_problem() {
    let config = Config {
        body_bytes_max: 4096,
        document_bytes_max: 1000,
        event_bytes_max: 300,
        batch_events_max: 3,
        event_extensions_max: 2,
        attribute_bytes_max: 40,
        page_events_default: 1,
        page_events_max: 2,
        ..Config::default()
    };
    let store = TestStore::with(config, MemoryLog::new());
    let with = |name: &str, value: Value| {
        let mut event = event(2);
        event[name] = value;
        json!([event])
    };
    let extensions = |count: usize| {
        let mut event = event(3);
        for number in 0..count {
            event[format!("ext{number}")] = json!(number);
        }
        json!([event])
    };
    for (what, body, status, problem, limit) in [
        (
            "a body",
            json!(["x".repeat(4096)]),
            413,
            "body-too-large",
            json!({ "limit_bytes": 4096 }),
        ),
        (
            "an event",
            with("data", json!("x".repeat(300))),
            413,
            "event-too-large",
            json!({ "index": 0, "limit_bytes": 300 }),
        ),
        ("a batch", events(1..=4), 413, "too-many-events", json!({ "limit": 3, "count": 4 })),
        ("extensions", extensions(3), 400, "invalid-event", json!({ "attribute": "ext2" })),
        (
            "an attribute",
            with("subject", json!("x".repeat(41))),
            400,
            "invalid-event",
            json!({ "attribute": "subject" }),
        ),
        (
            "a name",
            with(&"x".repeat(41), json!(1)),
            400,
            "invalid-event",
            json!({ "attribute": "x".repeat(41) }),
        ),
    ] {
        let reply = store.append(EVENTS, &[], body).await;
        assert_eq!(reply.problem(), problem, "{what}: {}", reply.text);
        assert_eq!(reply.status.as_u16(), status, "{what}");
        for (member, value) in limit.as_object().into_iter().flatten() {
            assert_eq!(reply.json()[member], *value, "{what}");
        }
        assert_eq!(store.log.tail().get(), 0, "{what}: nothing is written");
    }
    // At the limit, all is well.
    for body in [events([10, 11, 12]), extensions(2), with("subject", json!("x".repeat(40)))] {
        let reply = store.append(EVENTS, &[], body).await;
        assert_eq!(reply.status.as_u16(), 201, "{}", reply.text);
    }
    assert_eq!(store.get(EVENTS).await.json().as_array().map(Vec::len), Some(1), "the default");
    let reply = store.get(&format!("{EVENTS}?limit=2")).await;
    assert_eq!(reply.json().as_array().map(Vec::len), Some(2));
    assert_eq!(store.get(&format!("{EVENTS}?limit=3")).await.problem(), "invalid-query");
    assert_eq!(reply.json()[0]["id"], id(10));
}
