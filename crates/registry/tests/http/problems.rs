//! Every way to get a request wrong: a specific problem, and nothing changed.

use axum::http::Method;
use lombard_log::MemoryLog;
use lombard_registry::Config;
use serde_json::{Value, json};

use crate::support::{Call, Harness, path, registration};

async fn check(registry: &Harness, call: Call, status: u16, slug: &str, what: &str) {
    let tail = registry.log_tail();
    let before = registry.get("/catalog").send().await.body;
    let answer = call.send().await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (status, slug), "{what}: {}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    assert_eq!(answer.body["status"], status, "{what}");
    assert!(!answer.text("/title").is_empty() && !answer.text("/request_id").is_empty(), "{what}");
    assert_eq!(registry.log_tail(), tail, "{what}: nothing may change");
    assert_eq!(registry.get("/catalog").send().await.body, before, "{what}");
}

/// A registration that would work, with one member changed; `null` takes it out.
fn changed(member: &str, value: Value) -> Value {
    let mut body = registration();
    if value.is_null() {
        body.as_object_mut().unwrap().remove(member);
    } else {
        body[member] = value;
    }
    body
}

#[tokio::test]
async fn registrations() {
    let registry = Harness::new().await;
    let tags = |count: usize| (0..count).map(|tag| tag.to_string()).collect::<Vec<_>>();
    let cases = [
        (changed("url", Value::Null), 400, "invalid-body"),
        (changed("url", 9000.into()), 400, "invalid-body"),
        (changed("url", "".into()), 400, "invalid-url"),
        (changed("url", "127.0.0.1:9000".into()), 400, "invalid-url"),
        (changed("url", "ftp://127.0.0.1:9000".into()), 400, "invalid-url"),
        (changed("url", "http://127.0.0.1".into()), 400, "invalid-url"),
        (changed("url", "http://127.0.0.1:0".into()), 400, "invalid-url"),
        (changed("url", "http://127.0.0.1:9000/".into()), 400, "invalid-url"),
        (changed("url", "http://127.0.0.1:9000/a?b#c".into()), 400, "invalid-url"),
        (changed("url", "http://me:secret@127.0.0.1:9000".into()), 400, "invalid-url"),
        (changed("url", "http://0.0.0.0:9000".into()), 400, "invalid-url"),
        (changed("url", "http://a b:9000".into()), 400, "invalid-url"),
        (changed("ttl_seconds", Value::Null), 400, "invalid-body"),
        (changed("ttl_seconds", "10".into()), 400, "invalid-body"),
        (changed("ttl_seconds", json!(1.5)), 400, "invalid-body"),
        (changed("ttl_seconds", json!(-1)), 400, "invalid-body"),
        (changed("ttl_seconds", 0.into()), 400, "ttl-out-of-range"),
        (changed("ttl_seconds", 3601.into()), 400, "ttl-out-of-range"),
        (changed("ttl_seconds", u64::MAX.into()), 400, "ttl-out-of-range"),
        (changed("version", 1.into()), 400, "invalid-body"),
        (changed("version", "".into()), 400, "invalid-body"),
        (changed("version", "1 2".into()), 400, "invalid-body"),
        (changed("version", "1".repeat(65).into()), 400, "invalid-body"),
        (changed("tags", "blue".into()), 400, "invalid-body"),
        (changed("tags", json!([1])), 400, "invalid-body"),
        (changed("tags", json!([""])), 400, "invalid-body"),
        (changed("tags", json!(["a", "a"])), 400, "invalid-body"),
        (changed("tags", tags(33).into()), 400, "too-many-tags"),
        (changed("metadata", json!([])), 400, "invalid-body"),
        (changed("metadata", json!({ "a": 1 })), 400, "invalid-body"),
        (changed("metadata", json!({ "": "a" })), 400, "invalid-body"),
        (changed("metadata", json!({ "a": "\n" })), 400, "invalid-body"),
        (changed("metadata", json!({ "a": "x".repeat(4096) })), 400, "metadata-too-large"),
        (changed("metadata", json!({ "a": "x".repeat(70_000) })), 413, "body-too-large"),
        (changed("wait", 1.into()), 400, "invalid-body"),
        (changed("weight", 0.into()), 400, "invalid-body"),
        (changed("zone", "eu 1".into()), 400, "invalid-body"),
        (changed("deregister_after_seconds", 90_000.into()), 400, "invalid-body"),
    ];
    for (body, status, slug) in cases {
        let what = body.to_string().chars().take(200).collect::<String>();
        let call = registry.put(&path("payments", "one"), &body);
        check(&registry, call, status, slug, &what).await;
    }
}

#[tokio::test]
async fn bodies_paths_and_queries() {
    let registry = Harness::new().await;
    registry.register("payments", "one").await;
    let one = path("payments", "one");
    let put = |body: &str| registry.call(Method::PUT, &one, body.to_owned());
    let good = registration().to_string();
    let twice = good.replacen('{', "{\"url\":\"http://a:1\",", 1);
    let keys = good.replacen('{', "{\"metadata\":{\"a\":\"1\",\"a\":\"2\"},", 1);
    let renew = |body: Value| registry.post(&format!("{one}/renew"), &body);
    let long = "x".repeat(101);
    for (what, call, status, slug) in [
        ("half a body", put("{\"url\": "), 400, "malformed-json"),
        ("no body", put(""), 400, "malformed-json"),
        ("two bodies", put(&format!("{good}{good}")), 400, "malformed-json"),
        ("a list", put("[]"), 400, "invalid-body"),
        ("a member twice", put(&twice), 400, "invalid-body"),
        ("a metadata key twice", put(&keys), 400, "invalid-body"),
        (
            "another type",
            put(&good).content_type(Some("text/plain")),
            415,
            "unsupported-media-type",
        ),
        ("no type", put(&good).content_type(None), 415, "unsupported-media-type"),
        ("no lease", renew(json!({})), 400, "invalid-body"),
        ("a bad lease", renew(json!({ "lease_id": "1" })), 400, "invalid-body"),
        ("a number as lease", renew(json!({ "lease_id": 1 })), 400, "invalid-body"),
        ("more than a lease", renew(json!({ "lease_id": "1", "ttl": 1 })), 400, "invalid-body"),
        ("no such lease", renew(json!({ "lease_id": "0".repeat(32) })), 404, "lease-unknown"),
        (
            "a bad service",
            registry.put(&path("Payments", "a"), &registration()),
            400,
            "invalid-path",
        ),
        ("a bad instance", registry.delete(&path("payments", "a%20b")), 400, "invalid-path"),
        ("a long instance", registry.delete(&path("payments", &long)), 400, "invalid-path"),
        ("no UTF-8", registry.delete(&path("payments", "%ff")), 400, "invalid-path"),
        ("a bad service to read", registry.get("/services/a..b"), 400, "invalid-path"),
        ("no such instance", registry.delete(&path("payments", "two")), 404, "instance-not-found"),
        ("no such service", registry.delete(&path("nobody", "one")), 404, "instance-not-found"),
        ("an index", registry.get("/catalog?index=x"), 400, "invalid-query"),
        ("a negative index", registry.get("/services/a?index=-1"), 400, "invalid-query"),
        ("a wait", registry.get("/catalog?index=1&wait_seconds=1s"), 400, "invalid-query"),
        ("a long wait", registry.get("/catalog?index=1&wait_seconds=601"), 400, "wait-too-long"),
        ("another parameter", registry.get("/services/a?wait=1"), 400, "invalid-query"),
        ("an index twice", registry.get("/catalog?index=1&index=2"), 400, "invalid-query"),
        ("no such path", registry.get("/nothing"), 404, "not-found"),
        ("no such method", registry.post("/catalog", &json!({})), 405, "method-not-allowed"),
    ] {
        check(&registry, call, status, slug, what).await;
    }
}

#[tokio::test]
async fn tokens_and_scopes() {
    let registry = Harness::new().await;
    let lease = registry.register("payments", "one").await;
    let one = path("payments", "one");
    let put = || registry.put(&one, &registration());
    let renewal = json!({ "lease_id": lease.text("/lease_id") });
    let renew = || registry.post(&format!("{one}/renew"), &renewal);
    let delete = || registry.delete(&one);
    // Refused before the body is looked at.
    let unread = || registry.call(Method::PUT, &one, "{".to_owned());
    let write_other = "registry:register:accounts registry:read";
    let read_other = "registry:read:accounts registry:register";
    for (what, call, status, slug) in [
        ("put", put().without_token(), 401, "unauthenticated"),
        ("renew", renew().without_token(), 401, "unauthenticated"),
        ("delete", delete().without_token(), 401, "unauthenticated"),
        ("list", registry.get("/services").without_token(), 401, "unauthenticated"),
        ("get", registry.get("/services/payments").without_token(), 401, "unauthenticated"),
        ("catalog", registry.get("/catalog").without_token(), 401, "unauthenticated"),
        ("put", put().scope("registry:read"), 403, "insufficient-scope"),
        ("put another", put().scope(write_other), 403, "insufficient-scope"),
        ("renew another", renew().scope(write_other), 403, "insufficient-scope"),
        ("delete another", delete().scope(write_other), 403, "insufficient-scope"),
        ("a bad body", unread().scope(write_other), 403, "insufficient-scope"),
        ("list", registry.get("/services").scope(read_other), 403, "insufficient-scope"),
        ("get", registry.get("/services/payments").scope(read_other), 403, "insufficient-scope"),
        ("catalog", registry.get("/catalog").scope(read_other), 403, "insufficient-scope"),
        ("taken", put().client("other"), 409, "instance-taken"),
        (
            "taken, also from an administrator",
            put().client("o").scope("admin"),
            409,
            "instance-taken",
        ),
        ("another's", delete().client("other"), 403, "not-registrant"),
    ] {
        check(&registry, call, status, slug, what).await;
    }
    let narrow = registry.get("/services/payments").scope("registry:read:pay*").send().await;
    assert_eq!(narrow.status.as_u16(), 200, "{}", narrow.body);
}

#[tokio::test]
async fn limits() {
    let config = Config {
        services_max: 1,
        instances_max: 1,
        tags_max: 1,
        metadata_bytes_max: 4,
        ttl_seconds_min: 10,
        ttl_seconds_max: 20,
        wait_seconds_default: 1,
        wait_seconds_max: 2,
        body_bytes_max: 1024,
        ..Config::default()
    };
    let registry = Harness::with(config, MemoryLog::new()).await;
    let body = |members: Value| {
        let mut body = json!({ "url": "http://127.0.0.1:9000", "ttl_seconds": 10 });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        body
    };
    let one = path("payments", "one");
    let most = body(json!({ "ttl_seconds": 20, "tags": ["a"], "metadata": { "a": "xyz" } }));
    for _ in 0..2 {
        let answer = registry.put(&one, &most).send().await;
        assert_eq!(answer.status.as_u16(), 201, "the limits themselves: {}", answer.body);
    }
    let put = |members: Value| registry.put(&one, &body(members));
    for (what, call, status, slug) in [
        ("services", registry.put(&path("more", "one"), &most), 429, "too-many-services"),
        ("instances", registry.put(&path("payments", "two"), &most), 429, "too-many-instances"),
        ("tags", put(json!({ "tags": ["a", "b"] })), 400, "too-many-tags"),
        ("metadata", put(json!({ "metadata": { "a": "wxyz" } })), 400, "metadata-too-large"),
        ("a short lease", put(json!({ "ttl_seconds": 9 })), 400, "ttl-out-of-range"),
        ("a long lease", put(json!({ "ttl_seconds": 21 })), 400, "ttl-out-of-range"),
        ("body", put(json!({ "version": "x".repeat(1024) })), 413, "body-too-large"),
        ("wait", registry.get("/catalog?index=2&wait_seconds=3"), 400, "wait-too-long"),
    ] {
        check(&registry, call, status, slug, what).await;
    }
    let full = registry.put(&path("more", "one"), &most).send().await;
    assert_eq!((full.header("retry-after"), &full.body["limit"]), (Some("10"), &json!(1)));
}
