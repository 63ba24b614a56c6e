//! A log in a directory, and its transparency in process.

use std::{path::Path, sync::Arc};

use axum::{Router, body::Body, extract::Request, http::StatusCode, middleware};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_body_util::BodyExt as _;
use lombard_chassis::{CancellationToken, Metrics, context, extract};
use lombard_log::{
    Batch, Log as _, SegmentedConfig, SegmentedLog,
    checkpoint::{Checkpoint, VerifyingKey},
    merkle::TreeHash,
};
use lombard_testkit::Issuer;
use lombard_transparency::{Config, Deps, Transparency};
use lombard_types::Position;
use serde_json::Value;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

const ISSUER: Issuer = Issuer::for_role("ledger");

pub(crate) struct Harness {
    pub(crate) log: Arc<SegmentedLog>,
    pub(crate) metrics: Metrics,
    drain: CancellationToken,
    running: JoinHandle<()>,
    router: Router,
}

/// Signs as soon as there is anything.
pub(crate) fn at_once() -> Config {
    Config { checkpoint_interval_ms: 1, ..Config::default() }
}

/// Segments of a few records.
pub(crate) const TINY: SegmentedConfig = SegmentedConfig {
    segment_bytes_min: 4096,
    segment_bytes_max: 8192,
    record_bytes_max: 1000,
    queue_bytes_max: 64 << 10,
};

pub(crate) fn payload(position: u64) -> Vec<u8> {
    format!("record {position}").into_bytes()
}

pub(crate) async fn append(log: &SegmentedLog, count: u64) {
    for _ in 0..count {
        let mut batch = Batch::new();
        batch.push(&payload(log.tail().get()));
        log.make_room(100).await.unwrap();
        log.append(log.tail(), batch).await.unwrap();
    }
}

impl Harness {
    pub(crate) async fn start(place: &Path, config: Config) -> Self {
        let directory = place.join("log");
        let log = Arc::new(SegmentedLog::open(&directory, TINY).unwrap());
        let metrics = Metrics::new("ledger");
        let deps = Deps {
            role: "ledger",
            family: "ledger",
            log: Arc::clone(&log) as lombard_log::SharedLog,
            log_id: log.id(),
            directory,
            key_file: place.join("checkpoint.key"),
            metrics: metrics.clone(),
        };
        let transparency = Transparency::new(config, deps).unwrap();
        let verifier = ISSUER.ready_verifier().await;
        let router = transparency
            .router(verifier)
            .fallback(extract::not_found)
            .layer(middleware::from_fn(context::layer));
        let drain = CancellationToken::new();
        let running = tokio::spawn(transparency.run(drain.clone()));
        Self { log, metrics, drain, running, router }
    }

    /// Ends it and closes the log.
    pub(crate) async fn stop(self) {
        let Self { log, metrics, drain, running, router } = self;
        drain.cancel();
        running.await.unwrap();
        // Each holds the log.
        drop((router, metrics));
        drop(Arc::into_inner(log).unwrap());
    }

    /// Begins to end it.
    pub(crate) fn drain(&self) {
        self.drain.cancel();
    }

    pub(crate) async fn ask(&self, path: &str, scope: Option<&str>) -> (StatusCode, String) {
        let mut request = Request::get(format!("/v1/ledger/log{path}"));
        if let Some(scope) = scope {
            request = request
                .header("authorization", format!("Bearer {}", ISSUER.token("tester", scope)));
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let (status, body) = self.ask(path, Some("ledger:read:nothing")).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await).unwrap()
    }

    /// The status, and the last part of the problem's type.
    pub(crate) async fn problem(&self, path: &str, scope: Option<&str>) -> (u16, String) {
        let (status, body) = self.ask(path, scope).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        (status.as_u16(), body["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned())
    }

    pub(crate) async fn key(&self) -> VerifyingKey {
        VerifyingKey::parse(self.get("/key").await.trim_end()).unwrap()
    }

    /// The first checkpoint over at least so many records.
    pub(crate) async fn checkpoint(&self, size: u64) -> Checkpoint {
        loop {
            let (status, note) = self.ask("/checkpoint", Some("ledger:read")).await;
            if status.is_success() {
                let checkpoint = Checkpoint::verify(note.as_bytes(), &self.key().await).unwrap();
                if checkpoint.size >= size {
                    return checkpoint;
                }
            } else {
                assert!(note.contains("proof-not-ready"), "{note}");
            }
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn hashes(value: &Value) -> Vec<TreeHash> {
    value.as_array().unwrap().iter().map(hash).collect()
}

pub(crate) fn hash(value: &Value) -> TreeHash {
    let bytes = BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
    TreeHash::new(bytes.try_into().unwrap())
}

pub(crate) fn leaf(position: u64) -> TreeHash {
    TreeHash::of_record(Position::new(position), &payload(position))
}
