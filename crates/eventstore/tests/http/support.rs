//! An event store in this process, on a log in memory, and tokens for it.

use std::sync::Arc;

use axum::{Router, body::Body, middleware};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use lombard_chassis::{Health, Metrics, context, extract};
use lombard_eventstore::{Config, Deps, EventStore, GroupsLog};
use lombard_log::{MemoryLog, SharedLog, disk::SharedDisk};
use lombard_testkit::Issuer;
use lombard_token::Claims;
use serde_json::Value;
use tower::ServiceExt as _;

const ISSUER: Issuer = Issuer::for_role("eventstore");
pub(crate) const EVENTS: &str = "/v1/eventstore/streams/payment-42/events";
pub(crate) const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) struct TestStore {
    pub(crate) router: Router,
    pub(crate) log: SharedLog,
    /// The log, where it is in memory.
    pub(crate) memory: MemoryLog,
    pub(crate) store: EventStore,
    pub(crate) metrics: Metrics,
    /// Where the index and the keys are.
    pub(crate) place: Arc<tempfile::TempDir>,
}

/// One request.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) scope: Option<&'a str>,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: String,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The last part of a problem's type.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16());
        json["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
    }

    /// The path of the next page.
    pub(crate) fn next(&self) -> Option<String> {
        let link = self.headers.get("link")?.to_str().unwrap();
        Some(link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned())
    }
}

impl TestStore {
    pub(crate) fn new() -> Self {
        Self::with(Config::default(), MemoryLog::new())
    }

    pub(crate) fn with(config: Config, log: MemoryLog) -> Self {
        Self::on(config, Arc::new(log.clone()), log)
    }

    pub(crate) fn on(config: Config, log: SharedLog, memory: MemoryLog) -> Self {
        Self::at(config, log, memory, Arc::new(tempfile::tempdir().unwrap()))
    }

    pub(crate) fn at(
        config: Config,
        log: SharedLog,
        memory: MemoryLog,
        index: Arc<tempfile::TempDir>,
    ) -> Self {
        Self::on_disk(config, (log, memory), index, Arc::new(lombard_log::disk::Real))
    }

    /// With the keys of data subjects on a disk.
    pub(crate) fn on_disk(
        config: Config,
        (log, memory): (SharedLog, MemoryLog),
        index: Arc<tempfile::TempDir>,
        disk: SharedDisk,
    ) -> Self {
        let metrics = Metrics::new("eventstore");
        let deps = Deps {
            log: Arc::clone(&log),
            index_directory: index.path().join("index"),
            subjects_directory: index.path().join("subjects"),
            disk,
            groups: GroupsLog::in_memory(),
            verifier: ISSUER.verifier(),
            health: Health::starting(),
            metrics: metrics.clone(),
        };
        let store = EventStore::new(config, deps).unwrap();
        let router = store
            .router()
            .fallback(extract::not_found)
            .method_not_allowed_fallback(extract::method_not_allowed)
            .layer(middleware::from_fn(context::layer));
        Self { router, log, memory, metrics, store, place: index }
    }

    pub(crate) fn token(&self, scope: &str) -> String {
        Issuer::sign(&Claims { subject: "user-1".into(), ..ISSUER.claims("payments", scope) })
    }

    /// The answer's head; its body may have no end.
    pub(crate) async fn send(&self, call: Call<'_>) -> http::Response<Body> {
        let mut request = Request::builder().method(call.method).uri(call.path);
        if let Some(scope) = call.scope {
            request = request.header("authorization", format!("Bearer {}", self.token(scope)));
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(call.body)).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn call(&self, call: Call<'_>) -> Reply {
        let (parts, body) = self.send(call).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Reply { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        let (method, scope) = (Method::GET, Some("events:read"));
        self.call(Call { method, path, scope, headers: vec![], body: String::new() }).await
    }

    /// Appends a batch.
    pub(crate) async fn append(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        events: Value,
    ) -> Reply {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/cloudevents-batch+json"));
        let (method, scope) = (Method::POST, Some("events:append"));
        self.call(Call { method, path, scope, headers, body: events.to_string() }).await
    }
}

pub(crate) fn id(number: u64) -> String {
    format!("0190d7a4-5c2e-7d31-8e2f-{number:012x}")
}

/// A small event.
pub(crate) fn event(number: u64) -> Value {
    serde_json::json!({
        "specversion": "1.0",
        "id": id(number),
        "source": "/payments",
        "type": "payment.settled",
        "data": { "number": number },
    })
}

pub(crate) fn events(numbers: impl IntoIterator<Item = u64>) -> Value {
    numbers.into_iter().map(event).collect::<Vec<_>>().into()
}
