//! What Consul's clients are served: who may, and what wakes. The clients themselves are in `tests/clients`.

use std::net::SocketAddr;

use axum::{body::Body, extract::ConnectInfo, extract::Request, http::StatusCode};
use http_body_util::BodyExt as _;
use lombard_log::MemoryLog;
use lombard_registry::{Compatibility, Config};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{Harness, TOKENS};

const LOCAL: &str = "127.0.0.1:40000";
const REMOTE: &str = "192.0.2.1:40000";

/// Status, index and body of an answer.
async fn send(
    registry: &Harness,
    method: &str,
    path: &str,
    peer: &str,
    token: Option<(&'static str, &str)>,
    body: &Value,
) -> (StatusCode, u64, String) {
    let peer: SocketAddr = peer.parse().unwrap();
    let mut request = Request::builder().method(method).uri(path).extension(ConnectInfo(peer));
    if let Some((client, scope)) = token {
        request = request.header("x-consul-token", TOKENS.token(client, scope));
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = request.body(Body::from(body)).unwrap();
    let response = registry.compatible.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let index = response.headers().get("x-consul-index");
    let index = index.map_or(0, |index| index.to_str().unwrap().parse().unwrap());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, index, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn register(registry: &Harness, client: &'static str, scope: &str, name: &str) -> u16 {
    let body = json!({ "Name": name, "ID": "one", "Address": "127.0.0.1", "Port": 1,
        "Check": { "TTL": "60s", "Status": "passing" } });
    let path = "/v1/agent/service/register";
    send(registry, "PUT", path, REMOTE, Some((client, scope)), &body).await.0.as_u16()
}

#[tokio::test]
async fn reading_takes_a_token_or_this_machine_and_writing_always_one() {
    let registry = Harness::new().await;
    let path = "/v1/health/service/pay";
    let get = async |peer, token| send(&registry, "GET", path, peer, token, &Value::Null).await.0;
    assert_eq!(get(LOCAL, None).await, 200);
    assert_eq!(get(REMOTE, None).await, 401);
    assert_eq!(get(REMOTE, Some(("reader", "registry:read"))).await, 200);
    assert_eq!(get(LOCAL, Some(("other", "registry:register"))).await, 403, "a token counts");
    let write = send(&registry, "PUT", "/v1/agent/service/register", LOCAL, None, &json!({})).await;
    assert_eq!(write.0, 401);

    assert_eq!(register(&registry, "mine", "registry:register:pay", "pay").await, 200);
    assert_eq!(register(&registry, "mine", "registry:register:pay", "other").await, 403);
    assert_eq!(register(&registry, "theirs", "registry:register", "pay").await, 409);
    let pass = "/v1/agent/check/pass/service:one";
    let report = async |client| {
        let token = Some((client, "registry:register"));
        send(&registry, "PUT", pass, REMOTE, token, &Value::Null).await.0
    };
    assert_eq!(
        (report("mine").await, report("theirs").await),
        (StatusCode::OK, StatusCode::FORBIDDEN)
    );

    let compatibility = Compatibility { anonymous_reads: false };
    let config = Config { compatibility, ..Config::default() };
    let closed = Harness::with(config, MemoryLog::new()).await;
    assert_eq!(send(&closed, "GET", path, LOCAL, None, &Value::Null).await.0, 401);
}

#[tokio::test]
async fn an_id_that_several_services_have_means_the_callers_own() {
    let registry = Harness::new().await;
    assert_eq!(register(&registry, "a", "registry:register", "pay").await, 200);
    assert_eq!(register(&registry, "b", "registry:register", "ship").await, 200);
    let gone = async |client| {
        let path = "/v1/agent/service/deregister/one";
        let token = Some((client, "registry:register"));
        send(&registry, "PUT", path, REMOTE, token, &Value::Null).await.0.as_u16()
    };
    assert_eq!(gone("c").await, 409, "which one?");
    assert_eq!(gone("a").await, 200);
    assert!(registry.get("/services/ship").send().await.body["instances"][0].is_object());
    assert_eq!((gone("a").await, gone("b").await, gone("b").await), (403, 200, 404));
}

#[tokio::test]
async fn a_blocking_query_wakes_for_its_service_only() {
    let registry = Harness::new().await;
    let ask = async |path: String| send(&registry, "GET", &path, LOCAL, None, &Value::Null).await;
    let (_, index, body) = ask("/v1/health/service/pay".to_owned()).await;
    assert_eq!((index, body.as_str()), (1, "[]"), "never 0");
    let blocked = ask(format!("/v1/health/service/pay?index={index}&wait=60s"));
    let names = ask("/v1/catalog/services?index=1&wait=60s".to_owned());
    let change = async {
        registry.until_waiters(2).await;
        registry.register("other", "one").await;
        registry.until_waiters(1).await;
        registry.register("pay", "one").await;
    };
    let ((_, later, body), (_, _, listed), ()) = tokio::join!(blocked, names, change);
    assert_eq!(later, 3, "the change of the other service was slept through");
    assert!(body.contains("\"ServiceID\":\"one\""), "{body}");
    assert_eq!(listed, r#"{"other":[]}"#);
    // An instance more without a new tag changes no name.
    let (_, names, _) = ask("/v1/catalog/services".to_owned()).await;
    registry.register("pay", "two").await;
    assert_eq!(ask("/v1/catalog/services".to_owned()).await.1, names);
}

#[tokio::test]
async fn what_lapses_is_critical_and_stays_as_long_as_it_says() {
    let registry = Harness::new().await;
    let register = async |after: &str| {
        let body = json!({ "Name": "pay", "Address": "127.0.0.1", "Port": 1,
            "Check": { "TTL": "1s", "Status": "passing", "DeregisterCriticalServiceAfter": after } });
        let (token, path) = (Some(("mine", "registry:register")), "/v1/agent/service/register");
        assert_eq!(send(&registry, "PUT", path, LOCAL, token, &body).await.0, 200);
    };
    let ask = async |path: &str| send(&registry, "GET", path, LOCAL, None, &Value::Null).await;
    register("1h").await;
    registry.until_state("pay", "critical").await;
    let (_, _, body) = ask("/v1/health/state/critical").await;
    assert!(body.contains("service:pay"), "{body}");
    register("1s").await;
    let (_, mut index, mut body) = ask("/v1/health/service/pay").await;
    while body != "[]" {
        let path = format!("/v1/health/service/pay?index={index}&wait=60s");
        (_, index, body) = ask(&path).await;
    }
}
