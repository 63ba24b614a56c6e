//! A ledger in process: its router over a log in memory.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, Method, StatusCode},
    middleware,
};
use http_body_util::BodyExt;
use lombard_chassis::{Health, Metrics, context, extract};
use lombard_ledger::{Config, Deps, EventCodec, Ledger};
use lombard_log::{MemoryLog, SharedLog};
use lombard_query::Query;
use lombard_testkit::Issuer;
use lombard_token::AuthorizationDetails;
use lombard_types::Position;
use serde_json::Value;
use tower::ServiceExt;

const ISSUER: Issuer = Issuer::for_role("ledger");
pub(crate) const ADMIN: &str = "ledger:read ledger:write";

pub(crate) struct Harness {
    pub(crate) ledger: Ledger,
    pub(crate) metrics: Metrics,
    log: SharedLog,
    router: Router,
    _index: tempfile::TempDir,
}

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
        self.text("/type").rsplit(['/', ':']).next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A request being built.
pub(crate) struct Call<'a> {
    harness: &'a Harness,
    method: Method,
    path: String,
    client: &'static str,
    scope: Option<String>,
    details: Option<String>,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Harness {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default(), Arc::new(MemoryLog::new())).await
    }

    pub(crate) async fn with(config: Config, log: SharedLog) -> Self {
        Self::with_snapshots(config, log, None).await
    }

    pub(crate) async fn with_snapshots(
        config: Config,
        log: SharedLog,
        snapshot_directory: Option<PathBuf>,
    ) -> Self {
        Self::with_reads(config, log, snapshot_directory, lombard_query::Config::default()).await
    }

    /// With limits of the read side, too.
    pub(crate) async fn with_reads(
        config: Config,
        log: SharedLog,
        snapshot_directory: Option<PathBuf>,
        reads: lombard_query::Config,
    ) -> Self {
        let index = tempfile::tempdir().unwrap();
        let metrics = Metrics::new("ledger");
        let deps = Deps {
            log: Arc::clone(&log),
            snapshot_directory,
            index_directory: index.path().join("spent"),
            verifier: ISSUER.ready_verifier().await,
            health: Health::starting(),
            metrics: metrics.clone(),
        };
        let verifier = deps.verifier.clone();
        let ledger = Ledger::new(config, deps).unwrap();
        let deps = lombard_query::Deps {
            log: Arc::clone(&log),
            codec: EventCodec,
            directory: index.path().join("query"),
            verifier,
            metrics: metrics.clone(),
        };

        let query = Query::start(reads, deps).await.unwrap();
        let router = ledger
            .router()
            .merge(query.router())
            .fallback(extract::not_found)
            .method_not_allowed_fallback(extract::method_not_allowed)
            .layer(middleware::from_fn(context::layer));
        Self { ledger, metrics, log, router, _index: index }
    }

    /// The same log under a new ledger, as after a restart.
    pub(crate) async fn restart(self) -> Self {
        Self::with(Config::default(), self.log).await
    }

    pub(crate) fn log_tail(&self) -> Position {
        self.log.tail()
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path, String::new())
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Call<'_> {
        self.call(Method::POST, path, body.to_string())
    }

    pub(crate) fn call(&self, method: Method, path: &str, body: String) -> Call<'_> {
        Call {
            harness: self,
            method,
            path: format!("/v1/ledger{path}"),
            client: "tester",
            scope: Some(ADMIN.to_owned()),
            details: None,
            headers: vec![("content-type", "application/json".to_owned())],
            body,
        }
    }

    /// Opens an account; `floor` as in the request.
    pub(crate) async fn open(&self, path: &str, asset: &str, floor: Value) -> Answer {
        let body = serde_json::json!({ "path": path, "asset": asset, "floor": floor });
        let answer = self.post("/accounts", body).send().await;
        assert!(answer.status.is_success(), "{}", answer.body);
        answer
    }

    /// Asks to open an account, whatever becomes of it.
    pub(crate) async fn open_any(&self, path: &str) -> Answer {
        self.post("/accounts", serde_json::json!({ "path": path, "asset": "EUR" })).send().await
    }

    /// Asks for a transfer between paths.
    pub(crate) async fn pay(&self, key: &str, from: &str, to: &str, amount: &str) -> Answer {
        self.post("/transfers", payment(from, to, amount)).key(key).send().await
    }

    /// `world` without a floor, `customers/1/wallet` with 100.00 EUR and `customers/2/wallet` empty.
    pub(crate) async fn with_money() -> Self {
        let harness = Self::new().await;
        harness.open("world", "EUR", Value::Null).await;
        harness.open("customers/1/wallet", "EUR", "0".into()).await;
        harness.open("customers/2/wallet", "EUR", "0".into()).await;
        let funded = harness.pay("fund", "world", "customers/1/wallet", "100").await;
        assert_eq!(funded.status, StatusCode::CREATED, "{}", funded.body);
        harness
    }
}

pub(crate) fn payment(from: &str, to: &str, amount: &str) -> Value {
    serde_json::json!({ "debit_account": from, "credit_account": to, "asset": "EUR", "amount": amount })
}

impl Call<'_> {
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(existing, _)| *existing != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn without_header(mut self, name: &'static str) -> Self {
        self.headers.retain(|(existing, _)| *existing != name);
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

    /// With these authorization details in the token.
    pub(crate) fn details(mut self, details: &Value) -> Self {
        self.details = Some(details.to_string());
        self
    }

    pub(crate) fn without_token(mut self) -> Self {
        self.scope = None;
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let mut request = Request::builder().method(self.method).uri(self.path);
        if let Some(scope) = self.scope {
            let mut claims = ISSUER.claims(self.client, &scope);
            if let Some(details) = &self.details {
                claims.authorization_details =
                    AuthorizationDetails::parse_granted(details).unwrap();
            }
            let token = Issuer::sign(&claims);
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(self.body)).unwrap();
        let response = self.harness.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)));
        Answer { status: parts.status, headers: parts.headers, body }
    }
}
