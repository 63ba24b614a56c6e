//! Checks that the registry makes itself, against servers that answer what they are told to.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
};

use axum::http::StatusCode;
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_log::MemoryLog;
use lombard_registry::{ChecksConfig, Config};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{Harness, TOKENS, path};

fn quick() -> Config {
    let checks = ChecksConfig { interval_ms_min: 1, ..ChecksConfig::default() };
    Config { checks, flaps_max: 0, ..Config::default() }
}

async fn start(config: Config) -> Harness {
    Harness::with(config, MemoryLog::new()).await
}

/// Answers every request with the status that it is told to, and counts them.
#[derive(Clone, Default)]
struct Told {
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl Told {
    async fn serve(&self, status: u16) -> SocketAddr {
        self.say(status);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = self.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 1024];
                let length = stream.read(&mut head).await.unwrap();
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                assert!(
                    head.is_empty() || head.starts_with("GET /healthz?a=1 HTTP/1.1\r\n"),
                    "{head}"
                );
                told.asked.fetch_add(1, Ordering::Relaxed);
                let status = told.status.load(Ordering::Relaxed);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 6\r\n\r\nsecret"
                );
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        address
    }

    fn say(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

async fn register(registry: &Harness, at: SocketAddr, check: Value) -> StatusCode {
    let body = json!({ "url": format!("http://{at}"), "check": check });
    registry.put(&path("pay", "one"), &body).send().await.status
}

fn http_check() -> Value {
    json!({ "type": "http", "path": "/healthz?a=1", "interval_ms": 5, "failures_min": 2 })
}

#[tokio::test]
async fn an_instance_is_what_its_answers_say() {
    let (registry, told) = (start(quick()).await, Told::default());
    let at = told.serve(503).await;
    assert_eq!(register(&registry, at, http_check()).await, 201);
    let found = registry.until_state("pay", "critical").await;
    assert_eq!(found.text("/instances/0/note"), "the check was answered with status 503");
    assert_eq!(found.text("/instances/0/check/path"), "/healthz?a=1");
    assert!(!found.body.to_string().contains("secret"), "what is answered is told to nobody");
    told.say(204);
    registry.until_state("pay", "passing").await;
    let catalog = registry.get("/catalog").send().await;
    assert_eq!(catalog.text("/services/pay/0/url"), format!("http://{at}"));
    told.say(429);
    registry.until_state("pay", "warning").await;
    // A redirect is no answer, and nobody goes where it leads.
    told.say(302);
    let found = registry.until_state("pay", "critical").await;
    assert_eq!(found.text("/instances/0/note"), "the check was answered with status 302");
    let history = registry.get("/services/pay/history").send().await;
    assert_eq!(history.text("/changes/0/what"), "critical");
    assert!(registry.metrics.encode().unwrap().contains("checks_total{outcome=\"passing\"}"));
}

#[tokio::test]
async fn a_restart_forgets_no_finding_and_goes_on_asking() {
    let (registry, told) = (start(quick()).await, Told::default());
    let at = told.serve(200).await;
    register(&registry, at, http_check()).await;
    registry.until_state("pay", "passing").await;
    told.say(500);
    registry.until_state("pay", "critical").await;
    let registry = registry.restart_with(quick()).await;
    let found = registry.get("/services/pay").send().await;
    assert_eq!(found.text("/instances/0/state"), "critical");
    told.say(200);
    registry.until_state("pay", "passing").await;
    let gone = registry.delete(&path("pay", "one")).send().await;
    assert_eq!(gone.status, 200);
    // Those that were asked already are answered; after that nobody is asked any more.
    let gauge = "lombard_registry_checked 0\n";
    assert!(registry.metrics.encode().unwrap().contains(gauge));
}

#[tokio::test]
async fn a_connection_that_is_refused_takes_it_out_after_a_while() {
    let registry = start(quick()).await;
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let check = json!({ "type": "tcp", "interval_ms": 5 });
    register(&registry, listener.local_addr().unwrap(), check.clone()).await;
    registry.until_state("pay", "passing").await;
    let body =
        json!({ "url": format!("http://{unused}"), "check": check, "deregister_after_seconds": 1 });
    let seen = registry.put(&path("pay", "one"), &body).send().await.index();
    let found = registry.until_state("pay", "critical").await;
    assert_eq!(found.text("/instances/0/note"), "the check's connection was refused");
    let mut index = found.index().max(seen);
    loop {
        let path = format!("/services/pay?index={index}&wait_seconds=30");
        let found = registry.get(&path).send().await;
        if found.body["instances"] == json!([]) {
            break;
        }
        index = found.index();
    }
}

#[tokio::test]
async fn grpc_health_decides() {
    let registry = start(quick()).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, health) = (listener.local_addr().unwrap(), Health::starting());
    let server = lombard_grpc::Server {
        routes: lombard_grpc::Routes::new(),
        verifier: TOKENS.ready_verifier().await,
        health: health.clone(),
        metrics: Metrics::new("checked"),
        limits: lombard_grpc::Limits::default(),
    };
    let drain = CancellationToken::new();
    let serving = tokio::spawn(lombard_grpc::serve(listener, server, drain.clone()));
    let check = json!({ "type": "grpc", "interval_ms": 5, "timeout_ms": 10_000 });
    register(&registry, at, check).await;
    let found = registry.until_state("pay", "critical").await;
    assert_eq!(found.text("/instances/0/note"), "the check was answered with not serving");
    health.ready();
    registry.until_state("pay", "passing").await;
    drain.cancel();
    serving.await.unwrap().unwrap();
    registry.until_state("pay", "critical").await;
}

#[tokio::test]
async fn nothing_outside_the_networks_is_asked() {
    let checks = ChecksConfig { networks: Vec::new(), ..quick().checks };
    let (registry, told) = (start(Config { checks, ..quick() }).await, Told::default());
    let at = told.serve(200).await;
    register(&registry, at, http_check()).await;
    let found = registry.until_state("pay", "critical").await;
    let note = "the check's host has no address that may be asked";
    assert_eq!(found.text("/instances/0/note"), note);
    let name = format!("http://localhost:{}", at.port());
    let body = json!({ "url": name, "check": http_check() });
    registry.put(&path("pay", "one"), &body).send().await;
    registry.until_state("pay", "critical").await;
    assert_eq!(told.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_not_waited_for() {
    let registry = start(quick()).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut check = http_check();
    check["timeout_ms"] = 1.into();
    register(&registry, silent.local_addr().unwrap(), check).await;
    let found = registry.until_state("pay", "critical").await;
    assert_eq!(found.text("/instances/0/note"), "the check was not answered in time");
}

#[tokio::test]
async fn a_check_that_does_not_fit_is_refused() {
    let registry = start(Config::default()).await;
    for (check, field) in [
        (json!({ "type": "script" }), "check.type"),
        (json!({ "type": "tcp", "path": "/" }), "check.path"),
        (json!({ "type": "http", "service": "a" }), "check.service"),
        (json!({ "type": "http", "path": "health" }), "check.path"),
        (json!({ "type": "grpc", "service": "a b" }), "check.service"),
        (json!({ "type": "tcp", "interval_ms": 999 }), "check.interval_ms"),
        (json!({ "type": "tcp", "interval_ms": 3_600_001 }), "check.interval_ms"),
        (json!({ "type": "tcp", "timeout_ms": 0 }), "check.timeout_ms"),
        (json!({ "type": "tcp", "timeout_ms": 30_001 }), "check.timeout_ms"),
        (json!({ "type": "tcp", "successes_min": 0 }), "check.successes_min"),
        (json!({ "type": "tcp", "failures_min": 0 }), "check.failures_min"),
    ] {
        let body = json!({ "url": "http://127.0.0.1:1", "check": check });
        let refused = registry.put(&path("pay", "one"), &body).send().await;
        assert_eq!((refused.status.as_u16(), refused.text("/field")), (400, field), "{check}");
    }
    let body = json!({ "url": "http://127.0.0.1:1" });
    let refused = registry.put(&path("pay", "one"), &body).send().await;
    assert_eq!((refused.status.as_u16(), refused.text("/field")), (400, "ttl_seconds"));
}
