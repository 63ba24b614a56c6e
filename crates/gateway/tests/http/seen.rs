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
