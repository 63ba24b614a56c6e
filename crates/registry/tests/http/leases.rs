//! What becomes of instances that are not heard, or that go up and down.

use axum::{body::Body, http::HeaderValue};
use futures_util::StreamExt as _;
use lombard_log::MemoryLog;
use lombard_registry::Config;
use serde_json::{Value, json};

use crate::support::{Harness, path};

async fn register(registry: &Harness, instance: &str, extra: &Value) -> String {
    let mut body = json!({ "url": "http://127.0.0.1:9000", "ttl_seconds": 1 });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let answer = registry.put(&path("payments", instance), &body).send().await;
    answer.text("/lease_id").to_owned()
}

async fn renew(registry: &Harness, instance: &str, lease_id: &str) -> u16 {
    let renew = format!("{}/renew", path("payments", instance));
    registry.post(&renew, &json!({ "lease_id": lease_id })).send().await.status.as_u16()
}

/// A stream that holds the lease of `one`.
async fn hold(registry: &Harness, lease_id: &str) -> axum::body::BodyDataStream {
    let renew = format!("{}/renew", path("payments", "one"));
    let call = registry
        .post(&renew, &json!({ "lease_id": lease_id }))
        .header("accept", HeaderValue::from_static("text/event-stream"));
    let mut stream = Body::into_data_stream(call.respond().await.into_body());
    assert!(next(&mut stream).await.unwrap().starts_with("event: held\ndata: {"));
    stream
}

async fn next(stream: &mut axum::body::BodyDataStream) -> Option<String> {
    let chunk = stream.next().await?.unwrap();
    Some(String::from_utf8(chunk.to_vec()).unwrap())
}

#[tokio::test]
async fn what_is_to_stay_is_without_traffic_until_it_is_heard_again() {
    let registry = Harness::new().await;
    let stays = json!({ "deregister_after_seconds": 3600 });
    let lease_id = register(&registry, "one", &stays).await;
    registry.until_state("payments", "critical").await;
    let catalog = registry.get("/catalog").send().await;
    assert_eq!(catalog.body["services"]["payments"], json!([]));
    assert_eq!(renew(&registry, "one", &lease_id).await, 200);
    registry.until_state("payments", "passing").await;
}

#[tokio::test]
async fn many_that_fall_silent_at_once_are_kept_for_a_while() {
    let registry = Harness::new().await;
    let mut leases = Vec::new();
    for instance in ["one", "two", "three"] {
        leases.push(register(&registry, instance, &json!({})).await);
    }
    let marked = registry.until_state("payments", "unknown").await;
    assert_eq!(marked.body["instances"].as_array().unwrap().len(), 3);
    assert_eq!(renew(&registry, "one", &leases[0]).await, 200);
    // The others end by themselves.
    let mut index = 0;
    loop {
        let changed = format!("/services/payments?index={index}&wait_seconds=30");
        let changed = registry.get(&changed).send().await;
        if changed.body["instances"].as_array().unwrap().is_empty() {
            break;
        }
        index = changed.index();
    }
    let metrics = registry.metrics.encode().unwrap();
    assert!(metrics.contains("lombard_registry_verdicts_total{verdict=\"unknown\"}"), "{metrics}");
}

#[tokio::test]
async fn a_lease_ends_soon_after_its_stream_breaks() {
    let registry = Harness::new().await;
    let lease_id = register(&registry, "one", &json!({ "ttl_seconds": 3600 })).await;
    let stream = hold(&registry, &lease_id).await;
    let other = hold(&registry, &lease_id).await;
    drop(stream);
    drop(other);
    let found = registry.get("/services/payments?index=1&wait_seconds=30").send().await;
    assert_eq!(found.body["instances"], json!([]));
    assert_eq!(renew(&registry, "one", &lease_id).await, 404);
}

#[tokio::test]
async fn a_stream_says_when_its_lease_is_lost_and_ends_with_the_drain() {
    let registry = Harness::new().await;
    let lease_id = register(&registry, "one", &json!({ "ttl_seconds": 3600 })).await;
    let mut stream = hold(&registry, &lease_id).await;
    let again = register(&registry, "one", &json!({ "ttl_seconds": 3600 })).await;
    assert_eq!(next(&mut stream).await.as_deref(), Some("event: lost\ndata: {}\n\n"));
    assert_eq!(next(&mut stream).await, None);
    let mut stream = hold(&registry, &again).await;
    registry.drain.cancel();
    assert_eq!(next(&mut stream).await, None);
    let found = registry.get("/services/payments").send().await;
    assert_eq!(found.text("/instances/0/state"), "passing", "the drain says nothing about it");
}

#[tokio::test]
async fn who_goes_up_and_down_is_damped_and_released_by_itself() {
    let config = Config { flaps_max: 2, damping_seconds: 1, ..Config::default() };
    let registry = Harness::with(config, MemoryLog::new()).await;
    let lease_id = register(&registry, "one", &json!({ "ttl_seconds": 3600 })).await;
    let report = format!("{}/report", path("payments", "one"));
    for health in ["critical", "passing", "critical", "passing"] {
        let body = json!({ "lease_id": lease_id, "health": health });
        registry.post(&report, &body).send().await;
    }
    let damped = registry.until_state("payments", "critical").await;
    assert_eq!(damped.body["instances"][0]["damped"], true);
    registry.until_state("payments", "passing").await;
    let history = registry.get("/services/payments/history?limit=1").send().await;
    assert_eq!(history.text("/changes/0/what"), "released");
}
