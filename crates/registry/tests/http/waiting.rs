//! Long polls.

use axum::http::StatusCode;
use lombard_log::MemoryLog;
use lombard_registry::Config;
use serde_json::json;

use crate::support::{Harness, path};

#[tokio::test]
async fn a_change_wakes_those_who_wait_for_it() {
    let registry = Harness::new().await;
    let seen = registry.register("payments", "one").await.index();
    let of_service = format!("/services/payments?index={seen}&wait_seconds=600");
    let of_all = format!("/catalog?index={seen}&wait_seconds=600");
    let service = tokio::spawn(registry.get(&of_service).send());
    let catalog = tokio::spawn(registry.get(&of_all).send());
    registry.until_waiters(2).await;

    registry.register("accounts", "one").await;
    assert_eq!(catalog.await.unwrap().index(), 2);
    registry.until_waiters(1).await;
    assert!(!service.is_finished(), "another service's change");

    registry.delete(&path("payments", "one")).send().await;
    let changed = service.await.unwrap();
    assert_eq!((changed.index(), &changed.body["instances"]), (3, &json!([])));
    registry.until_waiters(0).await;
}

#[tokio::test]
async fn one_can_wait_for_a_service_before_it_appears() {
    let registry = Harness::new().await;
    registry.register("accounts", "one").await;
    let none = registry.get("/services/payments").send().await;
    assert_eq!(none.status, StatusCode::OK);
    assert_eq!(none.body, json!({ "service": "payments", "index": 1, "instances": [] }));
    let wait = format!("/services/payments?index={}", none.index());
    let waiting = tokio::spawn(registry.get(&wait).send());
    registry.until_waiters(1).await;
    registry.register("payments", "one").await;
    assert_eq!(waiting.await.unwrap().text("/instances/0/instance"), "one");
}

#[tokio::test]
async fn what_has_changed_already_is_answered_at_once() {
    let registry = Harness::new().await;
    registry.register("payments", "one").await;
    for path in [
        "/services/payments",
        "/services/payments?wait_seconds=600",
        "/services/payments?index=0&wait_seconds=600",
        // From another log, before this one was put in its place.
        "/services/payments?index=99&wait_seconds=600",
        "/services/nobody?index=0&wait_seconds=600",
        "/catalog?index=0&wait_seconds=600",
    ] {
        let answer = registry.get(path).send().await;
        assert_eq!((answer.status, answer.index()), (StatusCode::OK, 1), "{path}");
    }
}

#[tokio::test]
async fn a_wait_ends_with_the_same_index() {
    let registry = Harness::new().await;
    assert_eq!(registry.get("/catalog?index=0&wait_seconds=0").send().await.index(), 0);
    registry.register("payments", "one").await;
    let answer = registry.get("/services/payments?index=1&wait_seconds=0").send().await;
    assert_eq!((answer.index(), answer.text("/instances/0/instance")), (1, "one"));
}

#[tokio::test]
async fn waiters_are_bounded() {
    let config = Config { waiters_max: 1, ..Config::default() };
    let registry = Harness::with(config, MemoryLog::new()).await;
    let waiting = tokio::spawn(registry.get("/catalog?index=0&wait_seconds=600").send());
    registry.until_waiters(1).await;
    let refused = registry.get("/services/payments?index=0&wait_seconds=600").send().await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (429, "too-many-waiters"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    // Who goes away gives up the place.
    waiting.abort();
    registry.until_waiters(0).await;
    let next = tokio::spawn(registry.get("/services/payments?index=0&wait_seconds=600").send());
    registry.until_waiters(1).await;
    registry.register("payments", "one").await;
    assert_eq!(next.await.unwrap().index(), 1);
}

#[tokio::test]
async fn a_drain_answers_those_who_wait() {
    let registry = Harness::new().await;
    registry.register("payments", "one").await;
    let waiting = tokio::spawn(registry.get("/catalog?index=1&wait_seconds=600").send());
    registry.until_waiters(1).await;
    registry.drain.cancel();
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status, answer.index()), (StatusCode::OK, 1));
}
