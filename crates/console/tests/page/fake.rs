//! A gateway and roles that answer what a test says, and a console in front of them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use lombard_chassis::{CancellationToken, Health, Metrics, Server, ServerLimits, serve};
use lombard_console::{Config, Console, Deps};
use serde_json::json;

pub(crate) const CLIENT: &str = "shop";
/// With characters that must be encoded on the way to the token endpoint.
pub(crate) const SECRET: &str = "s3cret: +%é";

/// Everything that the fake platform does.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    issuer: String,
    /// Status and body by path.
    answers: BTreeMap<String, (u16, String)>,
    /// The scopes that may be asked for, by the resource's prefix.
    scopes: BTreeMap<String, String>,
    seen: Vec<String>,
}

/// Instead of a status: no answer ever.
pub(crate) const NEVER: u16 = 0;

impl Fake {
    pub(crate) fn answer(&self, path: &str, status: u16, body: impl ToString) {
        self.0.lock().unwrap().answers.insert(path.to_owned(), (status, body.to_string()));
    }

    pub(crate) fn problem(&self, path: &str, status: u16, title: &str) {
        self.answer(path, status, json!({ "status": status, "title": title }));
    }

    pub(crate) fn scope(&self, prefix: &str, scope: &str) {
        self.0.lock().unwrap().scopes.insert(prefix.to_owned(), scope.to_owned());
    }

    /// The requests so far, and forgets them.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }

    async fn handle(
        State(fake): State<Self>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let path = uri.path().to_owned();
        let authorization =
            headers.get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
        let answer = {
            let mut script = fake.0.lock().unwrap();
            if method == Method::POST && path == "/oauth/token" {
                script.token(authorization, &body)
            } else {
                script.seen.push(uri.to_string());
                script.read(&path, authorization)
            }
        };
        match answer {
            (NEVER, _) => std::future::pending().await,
            (status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        }
    }
}

impl Script {
    fn token(&mut self, authorization: &str, body: &[u8]) -> (u16, String) {
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(body).into_owned().collect();
        let resource = form.get("resource").cloned().unwrap_or_default();
        let prefix = resource.strip_prefix(&self.issuer).unwrap_or_default().to_owned();
        let asked = form.get("scope").map_or("", String::as_str);
        self.seen.push(format!("token {prefix} {asked}"));
        assert_eq!(form.get("grant_type").map(String::as_str), Some("client_credentials"));
        if let Some(answer) = self.answers.get("/oauth/token") {
            return answer.clone();
        }
        let encode = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let wanted = STANDARD.encode(format!("{}:{}", encode(CLIENT), encode(SECRET)));
        if authorization != format!("Basic {wanted}") {
            return (401, json!({ "error": "invalid_client" }).to_string());
        }
        match self.scopes.get(&prefix) {
            Some(scope) if asked.is_empty() || scope == asked => {
                let token = format!("token-for-{prefix}");
                (200, json!({ "access_token": token, "expires_in": 300, "other": 1 }).to_string())
            }
            _ => (400, json!({ "error": "invalid_scope" }).to_string()),
        }
    }

    fn read(&self, path: &str, authorization: &str) -> (u16, String) {
        if let Some(prefix) = ["/v1/ledger", "/v1/registry", "/v1/eventstore"]
            .into_iter()
            .find(|prefix| path.starts_with(prefix))
            && authorization != format!("Bearer token-for-{prefix}")
        {
            return (401, json!({ "title": "Not authenticated" }).to_string());
        }
        self.answers.get(path).cloned().unwrap_or((404, String::new()))
    }
}

async fn listen(router: Router) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let drain = CancellationToken::new();
    let (limits, metrics) = (ServerLimits::default(), Metrics::default());
    tokio::spawn(serve(listener, Server { router, limits, metrics }, drain));
    address
}

/// An address where nobody listens.
pub(crate) fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

pub(crate) struct TestConsole {
    pub(crate) fake: Fake,
    pub(crate) metrics: Metrics,
    url: String,
}

pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) html: String,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn assert_has(&self, text: &str) {
        assert!(self.html.contains(text), "{text:?} is not in\n{}", self.html);
    }

    #[track_caller]
    pub(crate) fn assert_lacks(&self, text: &str) {
        assert!(!self.html.contains(text), "{text:?} is in\n{}", self.html);
    }
}

impl TestConsole {
    /// A platform where all is well; `change` is made to the configuration.
    pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let fake = Fake::default();
        let gateway = listen(
            Router::new()
                .route("/{*path}", axum::routing::any(Fake::handle))
                .with_state(fake.clone()),
        )
        .await;
        let issuer = format!("http://{gateway}");
        fake.0.lock().unwrap().issuer = issuer.clone();
        all_well(&fake);
        let mut config = Config {
            roles: ["gateway", "ledger"]
                .into_iter()
                .map(|role| (role.to_owned(), format!("{issuer}/role/{role}")))
                .collect(),
            issuer,
            ..Config::default()
        };
        change(&mut config);
        let metrics = Metrics::new("console");
        let deps = Deps { health: Health::starting(), metrics: metrics.clone() };
        let console = Console::new(config, deps).unwrap();
        let address = listen(console.router()).await;
        Self { fake, metrics, url: format!("http://{address}") }
    }

    pub(crate) async fn get(&self, path: &str, credentials: Option<(&str, &str)>) -> Page {
        let mut request = reqwest::Client::new().get(format!("{}{path}", self.url));
        if let Some((client_id, secret)) = credentials {
            request = request.basic_auth(client_id, Some(secret));
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Page { status, headers, html: response.text().await.unwrap() }
    }

    /// The page, with the right credentials.
    pub(crate) async fn page(&self) -> Page {
        self.get("/console", Some((CLIENT, SECRET))).await
    }
}

fn all_well(fake: &Fake) {
    for (prefix, scope) in [
        ("/v1/ledger", "ledger:read"),
        ("/v1/registry", "registry:read"),
        ("/v1/eventstore", "events:read"),
    ] {
        fake.scope(prefix, scope);
    }
    for role in ["gateway", "ledger"] {
        fake.answer(&format!("/role/{role}/readyz"), 200, r#"{"ready":true,"obstacles":{}}"#);
    }
    fake.answer(
        "/v1/ledger/trial-balance",
        200,
        json!({ "balanced": true, "assets": [{
            "asset": "EUR", "account_count": 2, "debits": "340282366920938463463374607431.10",
            "credits": "340282366920938463463374607431.10", "balanced": true,
        }] }),
    );
    fake.answer(
        "/v1/ledger/transfers",
        200,
        json!({ "items": [
            transfer("00000000-0000-0000-0000-000000000001", "posted", None),
            transfer("00000000-0000-0000-0000-000000000002", "refused", Some("exceeds_credits")),
        ], "next": "7" }),
    );
    fake.answer(
        "/v1/ledger/accounts",
        200,
        json!({ "items": [account("customers/42/wallet")], "next": null }),
    );
    fake.answer(
        "/v1/registry/services",
        200,
        json!({ "services": [
            { "service": "payments", "instance_count": 1 },
            { "service": "quotes", "instance_count": 0 },
        ] }),
    );
    fake.answer(
        "/v1/registry/services/payments",
        200,
        json!({ "service": "payments", "instances": [
            { "instance": "payments-1", "url": "http://127.0.0.1:9001", "version": "1.4.2", "tags": [] },
        ] }),
    );
    fake.answer("/v1/registry/services/quotes", 200, json!({ "instances": [] }));
    fake.answer(
        "/v1/eventstore/streams",
        200,
        json!({ "items": [
            { "stream": "payment-42", "last_revision": "6", "last_position": "1234" },
        ], "next": null }),
    );
}

fn transfer(id: &str, status: &str, result: Option<&str>) -> serde_json::Value {
    json!({
        "id": id, "status": status, "result": result, "asset": "EUR", "amount": "12.50",
        "debit_account": "customers/42/wallet", "credit_account": "merchants/7/till",
        "recorded_at": "2026-01-31T09:30:00.5Z", "code": 0, "metadata": { "order": 7 },
    })
}

pub(crate) fn account(path: &str) -> serde_json::Value {
    json!({
        "path": path, "asset": "EUR", "normal_side": "credit", "floor": null,
        "balance": { "posted": "-0.05", "pending": "0.00", "available": "99.95" },
    })
}
