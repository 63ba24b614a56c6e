//! An instance's life: registered, found, renewed, taken out or expired; and the registry's own restart.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use lombard_registry::Config;
use serde_json::json;

use crate::support::{Harness, path, registration};

#[tokio::test]
async fn a_registration_is_read_back_at_once() {
    let registry = Harness::new().await;
    let body = json!({
        "url": "http://127.0.0.1:9000", "ttl_seconds": 10, "version": "1.2.0",
        "tags": ["blue", "a"], "metadata": { "zone": "eu-1" },
    });
    let answer = registry.put(&path("payments", "one"), &body).send().await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(answer.header("lombard-position"), Some("0"));
    let lease_id = answer.text("/lease_id");
    let mut expected = json!({
        "service": "payments", "instance": "one", "url": "http://127.0.0.1:9000",
        "lease_id": lease_id, "ttl_seconds": 10, "renew_after_seconds": 10.0 / 3.0, "index": 1,
    });
    assert_eq!(answer.body, expected);

    registry.register("accounts", "two").await;
    let found = registry.get("/services/payments").send().await;
    assert_eq!(found.header("lombard-position"), Some("1"));
    assert_eq!(found.header("content-type"), Some("application/json"));
    let registered_at = found.text("/instances/0/registered_at");
    assert!(registered_at.ends_with('Z'), "{registered_at}");
    expected = json!({ "service": "payments", "index": 1, "instances": [{
        "instance": "one", "url": "http://127.0.0.1:9000", "version": "1.2.0",
        "tags": ["a", "blue"], "metadata": { "zone": "eu-1" }, "registered_at": registered_at,
        "state": "passing",
    }] });
    assert_eq!(found.body, expected);

    let services = registry.get("/services").send().await;
    expected = json!({ "index": 2, "services": [
        { "service": "accounts", "instance_count": 1, "serving_count": 1, "index": 2 },
        { "service": "payments", "instance_count": 1, "serving_count": 1, "index": 1 },
    ] });
    assert_eq!(services.body, expected);

    let catalog = registry.get("/catalog").send().await;
    expected = json!({ "index": 2, "services": {
        "accounts": [{ "instance": "two", "url": "http://127.0.0.1:9000" }],
        "payments": [{ "instance": "one", "url": "http://127.0.0.1:9000" }],
    } });
    assert_eq!(catalog.body, expected);
}

#[tokio::test]
async fn who_routes_is_told_the_zone() {
    let registry = Harness::new().await;
    let mut body = registration();
    body["zone"] = "eu-1".into();
    registry.put(&path("payments", "one"), &body).send().await;
    let catalog = registry.get("/catalog").send().await;
    let expected = json!([{ "instance": "one", "url": "http://127.0.0.1:9000", "zone": "eu-1" }]);
    assert_eq!(catalog.body["services"]["payments"], expected);
}

#[tokio::test]
async fn registering_again_replaces_the_lease() {
    let registry = Harness::new().await;
    let first = registry.register("payments", "one").await;
    let second = registry.register("payments", "one").await;
    assert_eq!((first.index(), second.index()), (1, 2));
    let renew = format!("{}/renew", path("payments", "one"));
    let old = registry.post(&renew, &json!({ "lease_id": first.text("/lease_id") })).send().await;
    assert_eq!((old.status.as_u16(), old.slug()), (404, "lease-unknown"));
    let new = registry.post(&renew, &json!({ "lease_id": second.text("/lease_id") })).send().await;
    assert_eq!(new.status, StatusCode::OK, "{}", new.body);
    assert_eq!(new.body["ttl_seconds"], 3600);
    assert_eq!(registry.log_tail().get(), 2, "a renewal writes nothing");
}

#[tokio::test]
async fn the_registrant_and_administrators_take_out() {
    let registry = Harness::new().await;
    for (client, scope) in [("tester", "registry:register:payments"), ("boss", "admin")] {
        registry.register("payments", "one").await;
        let gone = registry
            .delete(&path("payments", "one"))
            .client(client)
            .scope(scope)
            .content_type(None)
            .send()
            .await;
        assert_eq!(gone.status, StatusCode::OK, "{}", gone.body);
        let found = registry.get("/services/payments").send().await;
        assert_eq!(found.body["instances"], json!([]));
        assert_eq!(found.index(), gone.index());
    }
    assert_eq!(registry.get("/services").send().await.body["services"], json!([]));
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_ends_soon_after_its_time() {
    let registry = Harness::new().await;
    let body = json!({ "url": "http://127.0.0.1:9000", "ttl_seconds": 1 });
    registry.register("payments", "stays").await;
    let asked = Instant::now();
    let lease = registry.put(&path("payments", "goes"), &body).send().await;
    let changed = format!("/services/payments?index={}&wait_seconds=30", lease.index());
    let changed = registry.get(&changed).send().await;
    assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
    // Not sooner; that it is not much later is measured, not tested: a busy machine is no fault.
    assert_eq!(changed.body["instances"].as_array().unwrap().len(), 1);
    assert_eq!(changed.text("/instances/0/instance"), "stays");
    let renew = format!("{}/renew", path("payments", "goes"));
    let late = registry.post(&renew, &json!({ "lease_id": lease.text("/lease_id") })).send().await;
    assert_eq!(late.slug(), "lease-unknown");
    assert!(registry.metrics.encode().unwrap().contains("expiries_total 1\n"));
}

#[tokio::test]
async fn a_restart_keeps_instances_and_their_leases() {
    let registry = Harness::new().await;
    let kept = registry.register("payments", "one").await;
    registry.register("payments", "gone").await;
    registry.delete(&path("payments", "gone")).send().await;
    let before = registry.get("/services/payments").send().await;

    let registry = registry.restart().await;
    // Nobody has heard of it since, so it is served with a mark, until it is heard.
    let marked = registry.until_state("payments", "unknown").await;
    assert_eq!(marked.body["instances"][0]["stale"], true);
    assert_eq!(
        registry.get("/catalog").send().await.body["services"]["payments"][0]["instance"],
        "one"
    );
    let renew = format!("{}/renew", path("payments", "one"));
    let renewed =
        registry.post(&renew, &json!({ "lease_id": kept.text("/lease_id") })).send().await;
    assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.body);
    let after = registry.get("/services/payments").send().await;
    assert_eq!(after.body["instances"], before.body["instances"]);
    let history = registry.get("/services/payments/history?limit=2").send().await;
    assert_eq!(history.text("/changes/1/note"), "the registry was restarted");
    assert_eq!(history.text("/changes/0/what"), "confirmed");
    let other = registry.put(&path("payments", "one"), &registration()).client("other");
    assert_eq!(other.send().await.slug(), "instance-taken");
    while !registry.health.is_ready() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_restart_gives_every_lease_its_whole_time_again_and_no_more() {
    let registry = Harness::new().await;
    let body = json!({ "url": "http://127.0.0.1:9000", "ttl_seconds": 1 });
    registry.put(&path("payments", "one"), &body).send().await;
    let restarted = Instant::now();
    let config = Config { restart_grace_seconds: 0, ..Config::default() };
    let registry = registry.restart_with(config).await;
    let marked = registry.until_state("payments", "unknown").await;
    let changed = format!("/services/payments?index={}&wait_seconds=30", marked.index());
    let changed = registry.get(&changed).send().await;
    assert_eq!(changed.body["instances"], json!([]));
    assert!(restarted.elapsed() >= Duration::from_secs(1), "{:?}", restarted.elapsed());
}

#[tokio::test]
async fn an_expiry_that_could_not_be_recorded_is_tried_again() {
    let registry = Harness::new().await;
    let body = json!({ "url": "http://127.0.0.1:9000", "ttl_seconds": 1 });
    let lease = registry.put(&path("payments", "one"), &body).send().await;
    registry.log.set_room_bytes(0);
    let refused = registry.put(&path("payments", "two"), &body).send().await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (507, "disk-full"));
    let renew = format!("{}/renew", path("payments", "one"));
    let renewal = json!({ "lease_id": lease.text("/lease_id") });
    // Asking by a renewal would put it off: the metric tells when the lease has run out.
    while !registry.metrics.encode().unwrap().contains("lombard_registry_leases 0\n") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let late = registry.post(&renew, &renewal).send().await;
    assert_eq!(late.slug(), "lease-unknown", "what has run out stays so");
    registry.log.set_room_bytes(u64::MAX);
    let changed = format!("/services/payments?index={}&wait_seconds=30", lease.index());
    assert_eq!(registry.get(&changed).send().await.body["instances"], json!([]));
}
