//! Idempotency-Keys that the gateway keeps: a request is done once, whatever becomes of clients, gateways and upstreams.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::support::{Upstream, World, config, problem, serve, until};

/// An event store as far as keys need it: streams, conditions, and the last event.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Streams>>);

#[derive(Default)]
struct Streams {
    events: HashMap<String, Vec<Value>>,
    is_away: bool,
}

impl Store {
    fn start(&self) -> SocketAddr {
        let path = "/v1/eventstore/streams/{stream}/events";
        serve(Router::new().route(path, post(append).get(last)).with_state(self.clone()))
    }

    fn set_away(&self, is_away: bool) {
        self.0.lock().unwrap().is_away = is_away;
    }

    /// The kinds of events of the one stream.
    fn kinds(&self) -> Vec<String> {
        let streams = self.0.lock().unwrap();
        let events = streams.events.values().next().cloned().unwrap_or_default();
        events.iter().map(|event| event["data"]["state"].as_str().unwrap().to_owned()).collect()
    }

    fn is_away(&self) -> bool {
        self.0.lock().unwrap().is_away
    }
}

async fn append(
    State(store): State<Store>,
    Path(stream): Path<String>,
    headers: HeaderMap,
    Json(mut event): Json<Value>,
) -> Response {
    if store.is_away() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    assert!(stream.starts_with("gateway-idempotency-"), "{stream}");
    let mut streams = store.0.lock().unwrap();
    let events = streams.events.entry(stream).or_default();
    let revision = events.len().checked_sub(1).map(|last| format!("\"{last}\""));
    let expected = headers.get("if-match").map(|value| value.to_str().unwrap().to_owned());
    if revision != expected {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    event["revision"] = events.len().to_string().into();
    let etag = format!("\"{}\"", events.len());
    events.push(event);
    (StatusCode::CREATED, [("etag", etag)]).into_response()
}

async fn last(State(store): State<Store>, Path(stream): Path<String>) -> Response {
    let streams = store.0.lock().unwrap();
    match streams.events.get(&stream).and_then(|events| events.last()) {
        Some(last) => Json(json!([last])).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn routes(upstream: SocketAddr) -> String {
    format!(
        "
        response_timeout_ms = 5000
        [[upstream]]
        name = \"orders\"
        addresses = [\"{upstream}\"]
        ejected_percent_max = 0
        [[route]]
        name = \"orders\"
        prefix = \"/orders\"
        upstream = \"orders\"
        idempotency = \"gateway\"
        "
    )
}

async fn world(upstream: SocketAddr) -> (World, Store, String) {
    let store = Store::default();
    let world = World::with_eventstore(config(&routes(upstream)), Some(store.start())).await;
    let token = world.token("/orders", "a:b");
    (world, store, token)
}

pub(crate) async fn world_of(config_text: &str) -> World {
    World::with_eventstore(config(config_text), Some(Store::default().start())).await
}

async fn send(world: &World, token: &str, key: &str, body: &'static str) -> reqwest::Response {
    let request = world.client.post(world.url("/orders/x?y=1")).bearer_auth(token);
    request.header("idempotency-key", key).body(body).send().await.unwrap()
}

#[tokio::test]
async fn the_first_response_is_given_again() {
    let upstream = Upstream::start("orders").await;
    let (world, store, token) = world(upstream.address).await;
    let first = send(&world, &token, "k-1", "one").await;
    assert_eq!(first.status(), 200);
    assert_eq!(first.headers()["x-kept"], "1");
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let first = first.bytes().await.unwrap();
    assert_eq!(store.kinds(), ["begun", "answered"]);

    // Again, and by another gateway with the same store.
    let again = send(&world, &token, "k-1", "one").await;
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!((again.headers()["x-kept"].as_bytes(), again.status().as_u16()), (&b"1"[..], 200));
    assert_eq!(again.bytes().await.unwrap(), first);
    assert_eq!(upstream.requests(), 1);

    let (status, slug, _) = problem(send(&world, &token, "k-1", "two").await).await;
    assert_eq!((status, slug.as_str()), (422, "idempotency-key-reused"));
    assert_eq!(send(&world, &token, "k-2", "one").await.status(), 200);
    assert_eq!(upstream.requests(), 2);

    let without = world.post("/orders/x", &token, "one").await;
    assert_eq!(problem(without).await.1, "idempotency-key-missing");
    let (_, slug, _) = problem(send(&world, &token, "two words", "one").await).await;
    assert_eq!(slug, "idempotency-key-invalid");
    assert_eq!(world.get("/orders/x", &token).await.status(), 200, "what only reads needs no key");
}

#[tokio::test]
async fn another_gateway_gives_it_again_too() {
    let upstream = Upstream::start("orders").await;
    let store = Store::default();
    let address = store.start();
    for is_replayed in [false, true] {
        // Each a new process as far as anybody can tell.
        let world = World::with_eventstore(config(&routes(upstream.address)), Some(address)).await;
        let token = world.token("/orders", "a:b");
        let response = send(&world, &token, "k-1", "one").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().contains_key("idempotency-replayed"), is_replayed);
    }
    assert_eq!(upstream.requests(), 1);
}

#[tokio::test]
async fn of_many_at_once_one_is_sent() {
    let upstream = Upstream::start("orders").await;
    let (world, _store, token) = world(upstream.address).await;
    let all = (0..30).map(|_| send(&world, &token, "k-1", "one"));
    let mut answered = 0;
    for response in futures_util::future::join_all(all).await {
        match response.status().as_u16() {
            200 => answered += 1,
            _ => assert_eq!(problem(response).await.1, "idempotency-key-in-progress"),
        }
    }
    assert!(answered >= 1);
    assert_eq!(upstream.requests(), 1);
    assert_eq!(send(&world, &token, "k-1", "one").await.status(), 200);
    assert_eq!(upstream.requests(), 1);
}

#[tokio::test]
async fn what_was_not_sent_leaves_the_key_free() {
    let upstream = Upstream::start("orders").await;
    let (world, store, token) = world(upstream.address).await;
    upstream.always_answer(503);
    assert_eq!(send(&world, &token, "k-1", "one").await.status(), 503);
    assert_eq!(store.kinds(), ["begun", "released"]);
    upstream.always_answer(0);
    assert_eq!(send(&world, &token, "k-1", "one").await.status(), 200);
    assert_eq!(store.kinds(), ["begun", "released", "begun", "answered"]);
    store.set_away(true);
    let requests = upstream.requests();
    let (status, slug, _) = problem(send(&world, &token, "k-2", "one").await).await;
    assert_eq!((status, slug.as_str()), (503, "role-away"));
    assert_eq!(upstream.requests(), requests, "what cannot be remembered is not sent");
}

#[tokio::test]
async fn what_was_sent_and_not_answered_is_never_sent_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = Arc::new(Mutex::new(0));
    let counting = Arc::clone(&received);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 4096];
            // Reads the request, and breaks off.
            drop(tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await);
            *counting.lock().unwrap() += 1;
        }
    });
    let (world, store, token) = world(address).await;
    let (status, slug, _) = problem(send(&world, &token, "k-1", "one").await).await;
    assert_eq!((status, slug.as_str()), (502, "upstream-broken"));
    assert_eq!(store.kinds(), ["begun", "unknown"]);
    for _ in 0..3 {
        let (status, slug, _) = problem(send(&world, &token, "k-1", "one").await).await;
        assert_eq!((status, slug.as_str()), (504, "outcome-unknown"));
    }
    assert_eq!(*received.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_client_that_goes_away_finds_its_answer() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let router = Router::new().route(
        "/orders/x",
        post(async move || {
            let mut wait = wait.clone();
            drop(wait.wait_for(|may_go| *may_go).await);
            "done"
        }),
    );
    let (world, store, token) = world(serve(router)).await;
    let sending = send(&world, &token, "k-1", "one");
    tokio::select! {
        _ = sending => panic!("answered too early"),
        () = until(async || store.kinds() == ["begun"]) => {}
    }
    // The client is gone; another one with its key hears that it is still worked on.
    let (status, slug, _) = problem(send(&world, &token, "k-1", "one").await).await;
    assert_eq!((status, slug.as_str()), (409, "idempotency-key-in-progress"));
    go.send(true).unwrap();
    until(async || store.kinds() == ["begun", "answered"]).await;
    assert_eq!(send(&world, &token, "k-1", "one").await.text().await.unwrap(), "done");
}

#[tokio::test]
async fn a_long_response_is_passed_on_and_not_kept() {
    let router = Router::new().route("/orders/x", post(async || "x".repeat(70_000)));
    let (world, _store, token) = world(serve(router)).await;
    let first = send(&world, &token, "k-1", "one").await;
    assert_eq!(first.text().await.unwrap().len(), 70_000);
    let (status, slug, _) = problem(send(&world, &token, "k-1", "one").await).await;
    assert_eq!((status, slug.as_str()), (409, "response-not-kept"));
}
