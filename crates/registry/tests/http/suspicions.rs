//! What the gateway says of instances that fail: who may say it, what follows, and that it ends by itself.

use axum::http::StatusCode;
use lombard_log::MemoryLog;
use lombard_registry::Config;
use serde_json::{Value, json};

use crate::support::{Answer, Harness, path};

async fn with(instances: &[&str], config: Config) -> Harness {
    let registry = Harness::with(config, MemoryLog::new()).await;
    for (number, instance) in instances.iter().enumerate() {
        let body = json!({ "url": format!("http://127.0.0.1:900{number}"), "ttl_seconds": 3600 });
        registry.put(&path("pay", instance), &body).send().await;
    }
    registry
}

async fn suspect(registry: &Harness, ports: &[u16]) -> Answer {
    let suspicion = |port| json!({ "service": "pay", "url": format!("http://127.0.0.1:{port}"), "note": "no answer" });
    let suspicions: Vec<Value> = ports.iter().map(suspicion).collect();
    let call = registry.post("/suspicions", &json!({ "suspicions": suspicions }));
    call.client("gateway").scope("registry:suspect").send().await
}

#[tokio::test]
async fn who_fails_its_callers_gets_no_traffic_for_a_while() {
    let config = Config { damping_seconds: 1, ..Config::default() };
    let registry = with(&["one", "two", "three", "four"], config).await;
    // In alphabetical order the last one stands first.
    let considered = suspect(&registry, &[9003, 9003, 9007]).await;
    assert_eq!(considered.body, json!({ "suspected": 2, "spared": 0, "unknown": 1 }));
    let found = registry.until_state("pay", "critical").await;
    assert_eq!(found.text("/instances/0/note"), "no answer");
    assert_eq!(found.body["instances"][0]["damped"], true);
    assert_eq!(found.text("/instances/1/state"), "passing");
    let released = registry.until_state("pay", "passing").await;
    assert_eq!(released.body["instances"][0]["note"], Value::Null);
}

#[tokio::test]
async fn a_service_is_never_left_without_anybody() {
    let registry = with(&["a", "b", "c"], Config::default()).await;
    let considered = suspect(&registry, &[9000, 9001, 9002]).await;
    assert_eq!(considered.body, json!({ "suspected": 1, "spared": 2, "unknown": 0 }));
    let state = async |number: usize| {
        let found = registry.get("/services/pay").send().await;
        found.body["instances"][number]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(0).await, "critical");
    registry.delete(&path("pay", "b")).send().await;
    assert_eq!(state(0).await, "critical", "there is another one");
    registry.post(&format!("{}/drain", path("pay", "c")), &json!({})).send().await;
    assert_eq!(state(0).await, "passing", "better than none");
    let history = registry.get("/services/pay/history?limit=9").send().await;
    let changes = history.body["changes"].as_array().unwrap().clone();
    let suspected = changes.iter().find(|change| change["what"] == "suspected").unwrap();
    assert_eq!(
        (&suspected["client_id"], &suspected["note"]),
        (&json!("gateway"), &json!("no answer"))
    );
    assert_eq!(changes[0]["what"], "released");
}

#[tokio::test]
async fn it_is_tried_again_by_itself_also_after_a_restart() {
    let config = || Config { damping_seconds: 1, ..Config::default() };
    let registry = with(&["a", "b"], config()).await;
    suspect(&registry, &[9000]).await;
    let registry = registry.restart_with(config()).await;
    let found = registry.get("/services/pay").send().await;
    assert_eq!(found.text("/instances/0/state"), "critical");
    assert_eq!(found.text("/instances/0/note"), "no answer");
    registry.until_state("pay", "unknown").await;
}

#[tokio::test]
async fn who_may_not_say_it_and_what_is_too_much_is_refused() {
    let config = Config { suspicions_max: 1, suspects_percent_max: 0, ..Config::default() };
    let registry = with(&["a", "b"], config).await;
    let body = json!({ "suspicions": [] });
    let refused = registry.post("/suspicions", &body).scope("registry:register").send().await;
    assert_eq!((refused.status, refused.slug()), (StatusCode::FORBIDDEN, "insufficient-scope"));
    let refused = suspect(&registry, &[9000, 9001]).await;
    assert_eq!((refused.status, refused.slug()), (StatusCode::BAD_REQUEST, "invalid-body"));
    let off = suspect(&registry, &[9000]).await;
    assert_eq!(off.body, json!({ "suspected": 0, "spared": 1, "unknown": 0 }));
    for (url, note) in [("http://127.0.0.1", ""), ("ftp://x", "n"), ("http://a:1", "a\nb")] {
        let one = json!({ "service": "pay", "url": url, "note": note });
        let call = registry.post("/suspicions", &json!({ "suspicions": [one] }));
        let refused = call.scope("registry:suspect").send().await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{url} {note}");
    }
}
