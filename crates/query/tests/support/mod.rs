//! The read side over HTTP, beside a ledger on the same log, as the program runs them.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "helpers may panic, and not every test uses all of them"
)]

use std::sync::Arc;

use axum::{Router, body::Body, extract::Request, http::StatusCode, middleware};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use lombard_chassis::{Health, Metrics, Problem, context};
use lombard_ledger::{EventCodec, Ledger, StatementSealer};
use lombard_ledger_core::{Evidence, Statement};
use lombard_log::{MemoryLog, SharedLog};
use lombard_query::{Config, Deps, Query, Sealer};
use lombard_testkit::Issuer;
use lombard_types::Position;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const ISSUER: Issuer = Issuer::for_role("ledger");

pub(crate) fn token(scope: &str) -> String {
    ISSUER.token("tester", scope)
}

pub(crate) struct Harness {
    pub(crate) router: Router,
    log: SharedLog,
    _directory: tempfile::TempDir,
}

/// The ledger's writer as the program hands it to the read side.
#[derive(Debug)]
struct LedgerSealer(StatementSealer);

impl Sealer for LedgerSealer {
    fn settle(&self) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(self.0.settle())
    }

    fn seal(
        &self,
        statement: Statement,
        evidence: Arc<Evidence>,
    ) -> BoxFuture<'_, Result<Position, Problem>> {
        Box::pin(self.0.seal(statement, evidence))
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) position: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("{pointer}: {}", self.body))
    }
}

impl Harness {
    pub(crate) async fn new(config: Config) -> Self {
        Self::over(config, Arc::new(MemoryLog::new())).await
    }

    /// The same log under a read side and a writer that begin from nothing else.
    pub(crate) async fn rebuilt(self, config: Config) -> Self {
        Self::over(config, self.log).await
    }

    async fn over(config: Config, log: SharedLog) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let verifier = ISSUER.ready_verifier().await;
        let deps = Deps {
            log: Arc::clone(&log),
            codec: EventCodec,
            directory: directory.path().join("query"),
            verifier: verifier.clone(),
            metrics: Metrics::new("query"),
        };
        let query = Query::start(config, deps).await.unwrap();
        let deps = lombard_ledger::Deps {
            log: Arc::clone(&log),
            snapshot_directory: None,
            index_directory: directory.path().join("index"),
            verifier,
            health: Health::starting(),
            metrics: Metrics::new("ledger"),
        };
        let ledger = Ledger::new(lombard_ledger::Config::default(), deps).unwrap();
        let query = query.with_sealer(Arc::new(LedgerSealer(ledger.sealer())));
        let router =
            ledger.router().merge(query.router()).layer(middleware::from_fn(context::layer));
        Self { router, log, _directory: directory }
    }

    pub(crate) async fn send(&self, request: Request) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let position = parts.headers.get("lombard-position");
        Answer {
            status: parts.status,
            position: position.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default(),
            body: serde_json::from_slice(&bytes).unwrap(),
        }
    }

    pub(crate) async fn get(&self, scope: &str, path: &str) -> Answer {
        let request = Request::get(format!("/v1/ledger{path}"))
            .header("authorization", format!("Bearer {}", token(scope)));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// The text of an answer, whatever it is.
    pub(crate) async fn text(&self, path: &str, accept: &str) -> (StatusCode, String) {
        let request = Request::get(format!("/v1/ledger{path}"))
            .header("accept", accept)
            .header("authorization", format!("Bearer {}", token(READ)));
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// Asks for a statement to be sealed, whatever becomes of it.
    pub(crate) async fn seal(&self, scope: &str, account: &str, body: Value) -> Answer {
        let request = Request::post(format!("/v1/ledger/accounts/{account}/statements"))
            .header("authorization", format!("Bearer {}", token(scope)))
            .header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, idempotency_key: &str, body: Value) -> Answer {
        let request = Request::post(format!("/v1/ledger{path}"))
            .header("authorization", format!("Bearer {}", token("ledger:read ledger:write")))
            .header("content-type", "application/json")
            .header("idempotency-key", idempotency_key);
        let answer = self.send(request.body(Body::from(body.to_string())).unwrap()).await;
        assert!(answer.status.is_success(), "{}", answer.body);
        answer
    }

    pub(crate) async fn open(&self, path: &str) -> String {
        let body = json!({ "path": path, "asset": "EUR", "floor": null });
        self.post("/accounts", path, body).await.text("/id").to_owned()
    }
}

pub(crate) fn payment(amount: &str) -> Value {
    json!({ "debit_account": "world", "credit_account": "customers/42/wallet", "asset": "EUR", "amount": amount })
}

pub(crate) const READ: &str = "ledger:read";
