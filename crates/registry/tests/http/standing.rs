//! How instances stand, who may say so, and what readers and the gateway see of it.

use serde_json::json;

use crate::support::{Harness, path, registration};

async fn state(registry: &Harness) -> String {
    registry.get("/services/payments").send().await.text("/instances/0/state").to_owned()
}

async fn catalog_count(registry: &Harness) -> usize {
    let catalog = registry.get("/catalog").send().await;
    catalog.body["services"]["payments"].as_array().unwrap().len()
}

#[tokio::test]
async fn an_instance_reports_how_it_is() {
    let registry = Harness::new().await;
    let mut body = registration();
    body["health"] = json!("starting");
    let lease = registry.put(&path("payments", "one"), &body).send().await;
    assert_eq!((state(&registry).await.as_str(), catalog_count(&registry).await), ("starting", 0));

    let report = format!("{}/report", path("payments", "one"));
    let say = |health: &str, note: &str| {
        let lease_id = lease.text("/lease_id");
        registry.post(&report, &json!({ "lease_id": lease_id, "health": health, "note": note }))
    };
    for (health, count) in [("passing", 1), ("warning", 1), ("critical", 0), ("passing", 1)] {
        let before = registry.log_tail();
        let answer = say(health, "so").send().await;
        assert_eq!((answer.status.as_u16(), answer.text("/state")), (200, health));
        assert_eq!(
            (state(&registry).await.as_str(), catalog_count(&registry).await),
            (health, count)
        );
        assert_eq!(registry.log_tail(), before.next());
        assert_eq!(say(health, "so").send().await.status.as_u16(), 200);
        assert_eq!(registry.log_tail(), before.next(), "the same again is no event");
    }
    let found = registry.get("/services/payments").send().await;
    assert_eq!(found.text("/instances/0/note"), "so");
    let services = registry.get("/services").send().await;
    assert_eq!(services.body["services"][0]["serving_count"], 1);
}

#[tokio::test]
async fn only_who_holds_the_lease_reports() {
    let registry = Harness::new().await;
    let old = registry.register("payments", "one").await;
    registry.register("payments", "one").await;
    let report = format!("{}/report", path("payments", "one"));
    let say = |lease: &str, health: &str, note: &str| {
        registry.post(&report, &json!({ "lease_id": lease, "health": health, "note": note }))
    };
    let lease = old.text("/lease_id");
    let refused = say(lease, "critical", "").send().await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (404, "lease-unknown"));
    for (health, note) in
        [("ill", ""), ("", ""), ("passing", "a\nb"), ("passing", &"x".repeat(201))]
    {
        let refused = say(lease, health, note).send().await;
        assert_eq!(
            (refused.status.as_u16(), refused.slug()),
            (400, "invalid-body"),
            "{health} {note}"
        );
    }
    let nobody = format!("{}/report", path("payments", "two"));
    let refused =
        registry.post(&nobody, &json!({ "lease_id": lease, "health": "passing" })).send().await;
    assert_eq!(refused.slug(), "instance-not-found");
    assert_eq!(state(&registry).await, "passing");
}

#[tokio::test]
async fn a_drained_instance_gets_nothing_new_until_it_registers_again() {
    let registry = Harness::new().await;
    registry.register("payments", "one").await;
    let drain = format!("{}/drain", path("payments", "one"));
    let refused = registry.post(&drain, &json!({})).client("other").send().await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (403, "not-registrant"));
    let drained = registry.post(&drain, &json!({ "note": "deploying" })).send().await;
    assert_eq!((drained.status.as_u16(), drained.text("/state")), (200, "draining"));
    assert_eq!(catalog_count(&registry).await, 0);
    let registry = registry.restart().await;
    assert_eq!(state(&registry).await, "draining");
    registry.register("payments", "one").await;
    assert_eq!((state(&registry).await.as_str(), catalog_count(&registry).await), ("passing", 1));
}

#[tokio::test]
async fn maintenance_is_the_operators_and_stays() {
    let registry = Harness::new().await;
    registry.register("payments", "one").await;
    let maintenance = format!("{}/maintenance", path("payments", "one"));
    let why = json!({ "note": "disk swap" });
    let refused = registry.put(&maintenance, &why).send().await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (403, "insufficient-scope"));
    let out = registry.put(&maintenance, &why).client("boss").scope("admin").send().await;
    assert_eq!((out.status.as_u16(), out.text("/state")), (200, "maintenance"));
    registry.register("payments", "one").await;
    assert_eq!(state(&registry).await, "maintenance", "registering again does not end it");
    let drain = format!("{}/drain", path("payments", "one"));
    assert_eq!(registry.post(&drain, &json!({})).send().await.text("/state"), "maintenance");
    let found = registry.get("/services/payments").send().await;
    assert_eq!(found.text("/instances/0/note"), "disk swap");

    let back = registry.delete(&maintenance).client("boss").scope("admin").content_type(None);
    assert_eq!(back.send().await.text("/state"), "passing");
    let again = registry.delete(&maintenance).client("boss").scope("admin").content_type(None);
    assert_eq!(again.send().await.status.as_u16(), 200, "nothing to put back is no fault");
}

#[tokio::test]
async fn history_tells_who_changed_what() {
    let registry = Harness::new().await;
    registry.register("payments", "one").await;
    registry.register("accounts", "one").await;
    let drain = format!("{}/drain", path("payments", "one"));
    registry.post(&drain, &json!({ "note": "deploying" })).send().await;
    registry.delete(&path("payments", "one")).send().await;
    let history = registry.get("/services/payments/history").send().await;
    let changes = history.body["changes"].as_array().unwrap();
    let whats: Vec<_> = changes.iter().map(|change| change["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["requested", "draining", "registered"]);
    assert_eq!(
        (&changes[1]["note"], &changes[1]["client_id"]),
        (&json!("deploying"), &json!("tester"))
    );
    let one = registry.get("/services/payments/history?limit=1").send().await;
    assert_eq!(one.body["changes"].as_array().unwrap().len(), 1);
    let refused =
        registry.get("/services/payments/history").scope("registry:read:accounts").send().await;
    assert_eq!(refused.status.as_u16(), 403);
}
