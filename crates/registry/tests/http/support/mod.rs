//! A registry in process: its router over a log in memory, and its task.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode},
    middleware,
    response::Response,
};
use http_body_util::BodyExt;
use lombard_chassis::{CancellationToken, Health, Metrics, context, extract};
use lombard_log::{Log, MemoryLog};
use lombard_registry::{Config, Deps, Dns, Registry};
use lombard_testkit::Issuer;
use lombard_types::Position;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower::ServiceExt;

pub(crate) const TOKENS: Issuer = Issuer::for_role("registry");

pub(crate) struct Harness {
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) log: MemoryLog,
    pub(crate) drain: CancellationToken,
    running: JoinHandle<()>,
    router: Router,
    /// What other registries' clients are served.
    pub(crate) compatible: Router,
    pub(crate) dns: Dns,
    grpc: Mutex<Option<lombard_grpc::Server>>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer}: {}", self.body))
    }

    pub(crate) fn slug(&self) -> &str {
        self.text("/type").rsplit(':').next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn index(&self) -> u64 {
        self.body["index"].as_u64().unwrap()
    }
}

/// A request being built.
pub(crate) struct Call {
    router: Router,
    method: Method,
    path: String,
    client: &'static str,
    scope: Option<String>,
    content_type: Option<&'static str>,
    headers: Vec<(&'static str, HeaderValue)>,
    body: String,
}

impl Harness {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default(), MemoryLog::new()).await
    }

    pub(crate) async fn with(config: Config, log: MemoryLog) -> Self {
        let (metrics, health) = (Metrics::new("registry"), Health::starting());
        let deps = Deps {
            log: Arc::new(log.clone()),
            snapshot_directory: None,
            verifier: TOKENS.ready_verifier().await,
            health: health.clone(),
            metrics: metrics.clone(),
        };
        let registry = Registry::new(config, deps).unwrap();
        let router = registry
            .router()
            .fallback(extract::not_found)
            .method_not_allowed_fallback(extract::method_not_allowed)
            .layer(middleware::from_fn(context::layer));
        let (compatible, dns) = (registry.compatible_router(), registry.dns());
        let grpc = lombard_grpc::Server {
            routes: registry.grpc_routes(),
            verifier: TOKENS.ready_verifier().await,
            health: health.clone(),
            metrics: metrics.clone(),
            limits: registry.grpc_limits(),
        };
        let grpc = Mutex::new(Some(grpc));
        let drain = CancellationToken::new();
        let run = registry.run(drain.clone());
        let running = tokio::spawn(async move { run.await.unwrap() });
        Self { metrics, health, log, drain, running, router, compatible, dns, grpc }
    }

    /// The same log under a new registry, as after a restart.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(Config::default()).await
    }

    pub(crate) async fn restart_with(self, config: Config) -> Self {
        self.drain.cancel();
        self.running.await.unwrap();
        drop((self.router, self.compatible, self.dns, self.grpc));
        Self::with(config, self.log.after_crash()).await
    }

    /// What serves gRPC, for the one who asks first.
    pub(crate) fn grpc(&self) -> lombard_grpc::Server {
        self.grpc.lock().unwrap().take().unwrap()
    }

    pub(crate) fn log_tail(&self) -> Position {
        self.log.tail()
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path, String::new())
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Call {
        self.call(Method::PUT, path, body.to_string())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Call {
        self.call(Method::POST, path, body.to_string())
    }

    pub(crate) fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path, String::new())
    }

    pub(crate) fn call(&self, method: Method, path: &str, body: String) -> Call {
        Call {
            router: self.router.clone(),
            method,
            path: format!("/v1/registry{path}"),
            client: "tester",
            scope: Some("registry:read registry:register".to_owned()),
            content_type: Some("application/json"),
            headers: Vec::new(),
            body,
        }
    }

    /// Registers an instance that works.
    pub(crate) async fn register(&self, service: &str, instance: &str) -> Answer {
        let answer = self.put(&path(service, instance), &registration()).send().await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer
    }

    /// Waits until the first instance of a service is in this state.
    pub(crate) async fn until_state(&self, service: &str, state: &str) -> Answer {
        let mut index = 0;
        loop {
            let path = format!("/services/{service}?index={index}&wait_seconds=30");
            let found = self.get(&path).send().await;
            if found.body["instances"][0]["state"] == state {
                return found;
            }
            index = found.index();
        }
    }

    /// Waits until so many requests wait for a change.
    pub(crate) async fn until_waiters(&self, count: usize) {
        let line = format!("lombard_registry_waiters {count}\n");
        while !self.metrics.encode().unwrap().contains(&line) {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn path(service: &str, instance: &str) -> String {
    format!("/services/{service}/instances/{instance}")
}

pub(crate) fn registration() -> Value {
    json!({ "url": "http://127.0.0.1:9000", "ttl_seconds": 3600 })
}

impl Call {
    pub(crate) fn content_type(mut self, content_type: Option<&'static str>) -> Self {
        self.content_type = content_type;
        self
    }

    pub(crate) fn client(mut self, client: &'static str) -> Self {
        self.client = client;
        self
    }

    pub(crate) fn scope(mut self, scope: &str) -> Self {
        self.scope = Some(scope.to_owned());
        self
    }

    pub(crate) fn without_token(mut self) -> Self {
        self.scope = None;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let (parts, body) = self.respond().await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)));
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The answer before its body has arrived.
    pub(crate) async fn respond(self) -> Response {
        let mut request = Request::builder().method(self.method).uri(self.path);
        if let Some(scope) = self.scope {
            let token = TOKENS.token(self.client, &scope);
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(content_type) = self.content_type {
            request = request.header("content-type", content_type);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(self.body)).unwrap();
        self.router.oneshot(request).await.unwrap()
    }
}
