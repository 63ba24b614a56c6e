//! Schemas of event types: enforced on append, and data brought into the newest form on reading.

use futures_util::StreamExt as _;
use http::{Method, StatusCode};
use lombard_eventstore::Config;
use lombard_log::MemoryLog;
use serde_json::{Value, json};

use crate::support::{Call, EVENTS, Reply, TestStore, event, events, id};

const SCHEMA: &str = "/v1/eventstore/schemas/payment.settled";

async fn put_at(store: &TestStore, path: &str, headers: &[(&str, &str)], body: Value) -> Reply {
    let (method, scope) = (Method::PUT, Some("events:schema"));
    let mut headers = headers.to_vec();
    headers.push(("content-type", "application/json"));
    store.call(Call { method, path, scope, headers, body: body.to_string() }).await
}

async fn put(store: &TestStore, body: Value) -> Reply {
    put_at(store, SCHEMA, &[], body).await
}

fn settled(number: u64, data: Value) -> Value {
    let mut event = event(number);
    event["data"] = data;
    event
}

/// Version 1: `number` is required. Version 2: it is called `count`, and there is a currency.
fn first() -> Value {
    json!({"schema": {"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"}}}})
}

fn second() -> Value {
    json!({
        "schema": {
            "type": "object",
            "required": ["count", "currency"],
            "properties": {"count": {"type": "integer"}},
            "additionalProperties": {"type": "string"},
        },
        "upcast": [
            {"op": "rename", "path": "/number", "to": "count"},
            {"op": "default", "path": "/currency", "value": "EUR"},
        ],
    })
}

fn dataschema(version: u32) -> String {
    format!("urn:lombard:schema:payment.settled:{version}")
}

#[tokio::test]
async fn data_that_does_not_fit_is_refused_and_told_where() {
    let store = TestStore::new();
    let reply = put(&store, first()).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
    assert_eq!(reply.header("etag"), "\"1\"");
    assert_eq!(reply.json()["version"], 1);
    assert_eq!(reply.json()["dataschema"], json!(dataschema(1)));

    let bad = json!([event(1), settled(2, json!({"number": "two"}))]);
    let reply = store.append(EVENTS, &[], bad).await;
    assert_eq!(reply.problem(), "schema-mismatch");
    let problem = reply.json();
    assert_eq!(problem["index"], 1);
    assert_eq!(problem["pointer"], "/number");
    assert_eq!(problem["keyword"], "type");
    assert_eq!(problem["version"], 1);

    let mut binary = event(3);
    binary.as_object_mut().unwrap().remove("data");
    binary["data_base64"] = json!("AA==");
    let reply = store.append(EVENTS, &[], json!([binary])).await;
    assert_eq!(reply.problem(), "schema-mismatch");

    // Other types have no schema.
    let mut other = settled(4, json!({"number": "four"}));
    other["type"] = json!("other");
    assert_eq!(
        store.append(EVENTS, &[], json!([other, event(5)])).await.status,
        StatusCode::CREATED
    );
    let read = store.get(EVENTS).await.json();
    assert_eq!(read[0]["dataschema"], Value::Null);
    assert_eq!(read[1]["dataschema"], json!(dataschema(1)));
}

#[tokio::test]
async fn older_data_is_read_in_the_newest_form_and_in_any_other() {
    let store = TestStore::new();
    store.append(EVENTS, &[], events([0])).await;
    let path = format!("{EVENTS}?schema_version=");
    assert_eq!(put(&store, first()).await.status, StatusCode::CREATED);
    store.append(EVENTS, &[], events([1])).await;
    assert_eq!(put(&store, second()).await.json()["version"], 2);
    let newer = settled(2, json!({"count": 2, "currency": "CHF"}));
    assert_eq!(store.append(EVENTS, &[], json!([newer])).await.status, StatusCode::CREATED);
    // A writer that has not been changed yet says which version it writes.
    let mut older = event(3);
    older["dataschema"] = json!(dataschema(1));
    assert_eq!(store.append(EVENTS, &[], json!([older])).await.status, StatusCode::CREATED);

    let upcast = |number: u64| json!({"count": number, "currency": "EUR"});
    let data = |events: Value| -> Vec<(Value, Value)> {
        let events = events.as_array().unwrap().clone();
        events
            .into_iter()
            .map(|event| (event["dataschema"].clone(), event["data"].clone()))
            .collect()
    };
    let (one, two) = (json!(dataschema(1)), json!(dataschema(2)));
    let stored = json!({"count": 2, "currency": "CHF"});
    let newest = [
        (two.clone(), upcast(0)),
        (two.clone(), upcast(1)),
        (two.clone(), stored.clone()),
        (two.clone(), upcast(3)),
    ];
    assert_eq!(data(store.get(EVENTS).await.json()), newest);
    assert_eq!(data(store.get(&format!("{path}newest")).await.json()), newest);
    assert_eq!(data(store.get(&format!("{path}9")).await.json()), newest);
    let number = |number: u64| json!({"number": number});
    let as_stored = [
        (Value::Null, number(0)),
        (one.clone(), number(1)),
        (two.clone(), stored.clone()),
        (one.clone(), number(3)),
    ];
    assert_eq!(data(store.get(&format!("{path}stored")).await.json()), as_stored);
    let in_first =
        [(one.clone(), number(0)), (one.clone(), number(1)), (two, stored), (one, number(3))];
    assert_eq!(data(store.get(&format!("{path}1")).await.json()), in_first);
    let all = store.get("/v1/eventstore/events?limit=2").await;
    assert_eq!(data(all.json()), newest[..2]);
    assert_eq!(store.get(&format!("{path}raw")).await.problem(), "invalid-query");
    let page = store.get(&format!("{path}stored&limit=1")).await;
    assert!(page.next().unwrap().ends_with("&schema_version=stored"));
}

#[tokio::test]
async fn subscribers_see_the_form_that_is_the_newest_at_the_time() {
    let store = TestStore::new();
    let call = |path| Call {
        method: Method::GET,
        path,
        scope: Some("events:read"),
        headers: vec![("accept", "text/event-stream")],
        body: String::new(),
    };
    let stored_path = format!("{EVENTS}?schema_version=stored");
    let mut newest = store.send(call(EVENTS)).await.into_body().into_data_stream();
    let mut stored = store.send(call(&stored_path)).await.into_body().into_data_stream();
    put(&store, first()).await;
    put(&store, second()).await;
    let mut older = event(1);
    older["dataschema"] = json!(dataschema(1));
    store.append(EVENTS, &[], json!([older])).await;
    for (body, expected) in [(&mut newest, "\"count\":1"), (&mut stored, "\"number\":1")] {
        let mut text = String::new();
        while !text.contains("data: ") {
            text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
        }
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_retry_gets_the_first_answer_whatever_the_schema_says_now() {
    let store = TestStore::new();
    put(&store, first()).await;
    let reply = store.append(EVENTS, &[], events([1, 2])).await;
    put(&store, second()).await;
    let again = store.append(EVENTS, &[], events([1, 2])).await;
    assert_eq!(again.header("idempotency-replayed"), "true", "{}", again.text);
    assert_eq!(again.json(), reply.json());
    let other = store.append(EVENTS, &[], json!([settled(1, json!({"number": 7}))])).await;
    assert_eq!(other.problem(), "event-id-reused");
    assert_eq!(store.append(EVENTS, &[], events([3])).await.problem(), "schema-mismatch");
    // What was appended before there was a schema, with a dataschema of its own.
    let mut foreign = event(10);
    foreign["type"] = json!("foreign");
    foreign["dataschema"] = json!("https://a.example/schema");
    let foreign = json!([foreign]);
    assert_eq!(store.append(EVENTS, &[], foreign.clone()).await.status, StatusCode::CREATED);
    put_at(&store, "/v1/eventstore/schemas/foreign", &[], json!({"schema": true})).await;
    let again = store.append(EVENTS, &[], foreign).await;
    assert_eq!(again.header("idempotency-replayed"), "true", "{}", again.text);
}

#[tokio::test]
async fn a_dataschema_names_a_version_that_there_is() {
    let store = TestStore::new();
    let with = |number: u64, uri: &str| {
        let mut event = event(number);
        event["dataschema"] = json!(uri);
        json!([event])
    };
    // Without a schema, any URI that is not the store's own.
    let reply = store.append(EVENTS, &[], with(1, "https://a.example/s")).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(store.append(EVENTS, &[], with(2, &dataschema(1))).await.problem(), "invalid-event");
    put(&store, first()).await;
    for uri in ["https://a.example/s", &dataschema(0), &dataschema(2)] {
        let reply = store.append(EVENTS, &[], with(3, uri)).await;
        assert_eq!(reply.problem(), "invalid-event", "{uri}");
        assert_eq!(reply.json()["attribute"], "dataschema");
    }
    assert_eq!(
        store.append(EVENTS, &[], with(3, &dataschema(1))).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn versions_are_put_read_and_listed() {
    let store = TestStore::new();
    assert_eq!(store.get(SCHEMA).await.problem(), "document-not-found");
    let absent = [("if-none-match", "*")];
    assert_eq!(put_at(&store, SCHEMA, &absent, first()).await.status, StatusCode::CREATED);
    let reply = put_at(&store, SCHEMA, &absent, second()).await;
    assert_eq!(reply.problem(), "wrong-document-revision");
    assert_eq!(put(&store, first()).await.status, StatusCode::OK);
    let expected = [("if-match", "\"1\"")];
    assert_eq!(put_at(&store, SCHEMA, &expected, second()).await.status, StatusCode::CREATED);
    let reply = put_at(&store, SCHEMA, &expected, json!({"schema": {}})).await;
    assert_eq!(reply.problem(), "wrong-document-revision");

    let newest = store.get(SCHEMA).await;
    assert_eq!(newest.header("etag"), "\"2\"");
    assert_eq!(newest.json()["schema"], second()["schema"]);
    assert_eq!(newest.json()["upcast"], second()["upcast"]);
    assert_eq!(newest.json()["type"], "payment.settled");
    let one = store.get(&format!("{SCHEMA}?version=1")).await.json();
    assert_eq!(one["schema"], first()["schema"]);
    assert_eq!(one["upcast"], json!([]));
    assert_eq!(store.get(&format!("{SCHEMA}?version=3")).await.problem(), "document-not-found");

    put_at(&store, "/v1/eventstore/schemas/a%2Fb", &[], json!({"schema": true})).await;
    let list = |path: &'static str| async { store.get(path).await.json() };
    let page = list("/v1/eventstore/schemas?limit=1").await;
    assert_eq!((&page["items"][0]["type"], &page["next"]), (&json!("a/b"), &json!("a/b")));
    let page = list("/v1/eventstore/schemas?after=a/b").await;
    assert_eq!(
        page["items"],
        json!([{"type": "payment.settled", "version": 2, "dataschema": dataschema(2)}])
    );
    assert_eq!(list("/v1/eventstore/schemas?prefix=x").await["items"], json!([]));
}

#[tokio::test]
async fn bad_schemas_are_refused_and_told_where() {
    let store = TestStore::new();
    for (body, pointer) in [
        (json!({}), ""),
        (json!({"schema": {}, "more": 1}), ""),
        (json!({"schema": {"type": "number "}}), "/schema/type"),
        (json!({"schema": {"$ref": "https://a.example/s"}}), "/schema/$ref"),
        (json!({"schema": {"items": {"$ref": "#"}}}), "/schema/items/$ref"),
        (json!({"schema": {}, "upcast": [{"op": "eval"}]}), "/upcast/0"),
    ] {
        let reply = put(&store, body.clone()).await;
        assert_eq!(reply.problem(), "invalid-schema", "{body}");
        assert_eq!(reply.json()["pointer"], pointer, "{body}: {}", reply.text);
    }
    let call = Call {
        method: Method::PUT,
        path: SCHEMA,
        scope: Some("events:schema"),
        headers: vec![("content-type", "text/plain")],
        body: first().to_string(),
    };
    assert_eq!(store.call(call).await.problem(), "unsupported-media-type");
}

#[tokio::test]
async fn limits_and_scopes() {
    let config = Config {
        schemas_max: 1,
        schema_versions_max: 2,
        schema_bytes_max: 1000,
        schemas_bytes_max: 300,
        schema_nodes_max: 3,
        upcast_steps_max: 1,
        ..Config::default()
    };
    let store = TestStore::with(config, MemoryLog::new());
    assert_eq!(put(&store, second()).await.problem(), "invalid-schema", "nodes and steps");
    let long = json!({"schema": {"title": "a".repeat(1000)}});
    assert_eq!(put(&store, long).await.problem(), "document-too-large");
    let wide = json!({"schema": {"title": "a".repeat(400)}});
    assert_eq!(put(&store, wide).await.problem(), "too-many-schemas");
    put(&store, json!({"schema": true})).await;
    let other = put_at(&store, "/v1/eventstore/schemas/b", &[], json!({"schema": true})).await;
    assert_eq!(other.problem(), "too-many-schemas");
    put(&store, json!({"schema": {}})).await;
    assert_eq!(put(&store, json!({"schema": true})).await.problem(), "too-many-schemas");

    for (method, scope, is_permitted) in [
        (Method::PUT, "events:append", false),
        (Method::PUT, "events:schema:other*", false),
        (Method::PUT, "events:schema:payment.*", true),
        (Method::GET, "events:append", false),
        (Method::GET, "events:schema:payment.*", true),
        (Method::GET, "events:read:a-*", true),
    ] {
        let headers = vec![("content-type", "application/json")];
        let body = json!({"schema": {}}).to_string();
        let reply =
            store.call(Call { method, path: SCHEMA, scope: Some(scope), headers, body }).await;
        assert_eq!(reply.status != StatusCode::FORBIDDEN, is_permitted, "{scope}: {}", reply.text);
    }
}

#[tokio::test]
async fn schemas_outlive_a_restart() {
    let log = MemoryLog::new();
    let config = Config { index_memory_events: 1, ..Config::default() };
    let store = TestStore::with(config.clone(), log.clone());
    put(&store, first()).await;
    put(&store, second()).await;
    let store = TestStore::with(config, log);
    assert_eq!(store.get(SCHEMA).await.json()["version"], 2);
    let reply = store.append(EVENTS, &[], json!([settled(1, json!({"count": 1}))])).await;
    assert_eq!(reply.problem(), "schema-mismatch");
    assert_eq!(id(1).len(), 36);
}
