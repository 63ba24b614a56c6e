//! The access log, the audit, and how long things took.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde_json::Value;

use crate::support::{Upstream, World, config, serve, until};

type Events = Arc<Mutex<Vec<Value>>>;

async fn append(State(events): State<Events>, Json(batch): Json<Vec<Value>>) -> StatusCode {
    events.lock().unwrap().extend(batch);
    StatusCode::CREATED
}

#[tokio::test]
async fn requests_are_told_and_secrets_are_not() {
    let upstream = Upstream::start("orders").await;
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let events = Events::default();
    let path = "/v1/eventstore/streams/gateway-audit/events";
    let eventstore = serve(Router::new().route(path, post(append)).with_state(Arc::clone(&events)));
    let text = format!(
        "
        audit = true
        access_log = \"{}\"
        [[upstream]]
        name = \"orders\"
        addresses = [\"{}\"]
        [[route]]
        name = \"orders\"
        prefix = \"/orders\"
        upstream = \"orders\"
        server_timing = true
        ",
        log.display(),
        upstream.address
    );
    let world = World::with_eventstore(config(&text), Some(eventstore)).await;
    let token = world.token("/orders", "a:b");
    let response = world.post("/orders/1?secret=query", &token, "secret body").await;
    let timing = response.headers()["server-timing"].to_str().unwrap();
    assert!(timing.starts_with("upstream;dur=") && timing.contains(", total;dur="), "{timing}");
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(world.get("/orders/2", &token).await.status(), 200);
    assert_eq!(world.post("/orders/3", "", "").await.status(), 401);

    until(async || events.lock().unwrap().len() == 2).await;
    let told = events.lock().unwrap().clone();
    assert_eq!(told[0]["type"], "lombard.gateway.request");
    let of =
        |event: &Value, name: &str| event["data"][name].as_str().unwrap_or_default().to_owned();
    let names =
        ["request_id", "method", "path", "route", "upstream", "client", "token", "decision"];
    assert_eq!(
        names.map(|name| of(&told[0], name)),
        [request_id.as_str(), "POST", "/orders/1", "orders", "orders", "tester", "t1", "forwarded"]
    );
    assert_eq!(
        (of(&told[1], "decision"), of(&told[1], "client")),
        ("unauthenticated".to_owned(), String::new())
    );
    assert_eq!(told[1]["data"]["status"], 401);

    let lines = || std::fs::read_to_string(&log).unwrap();
    until(async || lines().lines().filter(|line| line.contains("/orders/")).count() == 3).await;
    let all = format!("{}{told:?}", lines());
    for secret in ["secret", token.as_str()] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[tokio::test]
async fn what_is_told_last_is_appended_before_the_end() {
    let events = Events::default();
    let path = "/v1/eventstore/streams/gateway-audit/events";
    let eventstore = serve(Router::new().route(path, post(append)).with_state(Arc::clone(&events)));
    let mut world = World::with_eventstore(config("audit = true"), Some(eventstore)).await;
    for _ in 0..250 {
        assert_eq!(world.post("/oauth/token", "", "").await.status(), 200);
    }
    world.drain.cancel();
    (&mut world.running).await.unwrap();
    assert_eq!(events.lock().unwrap().len(), 250);
}

async fn collect(State(spans): State<Events>, Json(message): Json<Value>) -> Json<Value> {
    let resource = &message["resourceSpans"][0];
    assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "lombard-gateway");
    spans.lock().unwrap().extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().clone());
    Json(serde_json::json!({}))
}

#[tokio::test]
async fn a_collector_gets_a_span_for_each_request_that_is_recorded() {
    let upstream = Upstream::start("orders").await;
    let spans = Events::default();
    let collector =
        serve(Router::new().route("/v1/traces", post(collect)).with_state(Arc::clone(&spans)));
    let text = format!(
        "
        otlp_traces_url = \"http://{collector}/v1/traces\"
        trace_percent = 0
        [[upstream]]
        name = \"orders\"
        addresses = [\"{}\"]
        [[route]]
        name = \"orders\"
        prefix = \"/orders\"
        upstream = \"orders\"
        ",
        upstream.address
    );
    let mut world = World::with(config(&text)).await;
    let token = world.token("/orders", "a:b");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let ask = async |path: &str, token: &str, flags: &str| {
        let traceparent = format!("00-{trace}-00f067aa0ba902b7-{flags}");
        let request = world.client.get(world.url(path)).bearer_auth(token);
        request.header("traceparent", traceparent).send().await.unwrap()
    };
    let got = ask("/orders/1?secret=query", &token, "01").await.bytes().await.unwrap();
    let got: Value = serde_json::from_slice(&got).unwrap();
    assert_eq!(ask("/orders/2", "no token", "01").await.status(), 401);
    // Neither what the caller does not record, nor new traces, of which none are recorded here.
    assert_eq!(ask("/orders/3", &token, "00").await.status(), 200);
    assert_eq!(world.get("/orders/4", &token).await.status(), 200);
    world.drain.cancel();
    (&mut world.running).await.unwrap();
    let spans = spans.lock().unwrap().clone();
    assert_eq!(spans.len(), 2, "what was told last is sent before the end: {spans:?}");
    let of = |span: &Value, key: &str| -> String {
        let attributes = span["attributes"].as_array().unwrap();
        let attribute = attributes.iter().find(|attribute| attribute["key"] == key);
        let value = attribute.map(|attribute| attribute["value"].clone()).unwrap_or_default();
        let text = value.get("stringValue").or_else(|| value.get("intValue"));
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    for (span, status, problem, upstream) in
        [(&spans[0], "200", "", "orders"), (&spans[1], "401", "unauthenticated", "")]
    {
        assert_eq!(
            (&span["traceId"], &span["parentSpanId"]),
            (&trace.into(), &"00f067aa0ba902b7".into())
        );
        assert_eq!((&span["name"], &span["kind"]), (&"GET orders".into(), &2.into()));
        let keys = ["http.response.status_code", "error.type", "lombard.upstream"];
        assert_eq!(keys.map(|key| of(span, key)), [status, problem, upstream]);
        let time = |name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
    }
    assert_eq!(of(&spans[0], "url.path"), "/orders/1", "queries are not told");
    // The upstream's own spans belong below the gateway's.
    let below = format!("00-{trace}-{}-01", spans[0]["spanId"].as_str().unwrap());
    assert_eq!(got["headers"]["traceparent"], below);
}
