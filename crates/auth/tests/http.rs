//! The role in process, on a log in memory: what is asked for over HTTP, and what comes back.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

use axum::{Router, body::Body};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use futures_util::FutureExt as _;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use lombard_auth::{Auth, Config, Deps, EventCodec};
use lombard_auth_core::Event;
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_log::{Log as _, MemoryLog};
use lombard_token::{
    Algorithm, CLIENT_ASSERTION_TYPE, Jwks, KeySource, KeySourceError, Revocation, SigningKey,
    Verifier, VerifyError, client_assertion,
};
use lombard_types::Timestamp;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use tower::ServiceExt as _;

const ISSUER: &str = "http://127.0.0.1:8080";
const SECRET: &str = "a secret+with%signs";

struct Role {
    router: Router,
    drain: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    log: MemoryLog,
    operator: SigningKey,
    place: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Value,
}

fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
}

fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

impl Role {
    async fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let operator = SigningKey::generate().unwrap();
        let clients = json!({ "clients": [
            { "client_id": "operator", "name": "Operator", "scope": "admin", "jwk": operator.public_jwk() },
            { "client_id": "shop", "name": "Shop", "scope": "ledger:read ledger:write:shop/*", "authorization_details_types": ["payment"], "secret_sha256": sha256(SECRET) },
            { "client_id": "wide", "name": "Wide", "scope": "ledger:read registry:read", "secret_sha256": sha256("wide") },
        ]});
        std::fs::write(place.path().join("clients.json"), clients.to_string()).unwrap();
        Self::start_on(place, MemoryLog::new(), operator).await
    }

    async fn start_on(place: TempDir, log: MemoryLog, operator: SigningKey) -> Self {
        let health = Health::starting();
        let deps = Deps {
            log: Arc::new(log.clone()),
            snapshot_directory: None,
            issuer: ISSUER.to_owned(),
            dpop_nonces: None,
            signing_keys_directory: place.path().join("signing-keys"),
            server_secret_file: place.path().join("server.secret"),
            bootstrap_file: Some(place.path().join("clients.json")),
            health: health.clone(),
            metrics: Metrics::new("auth"),
        };
        let auth = Auth::new(Config::default(), deps).unwrap();
        let router = auth.router();
        let drain = CancellationToken::new();
        let run = auth.run(drain.clone());
        let running = tokio::spawn(async move { run.await.unwrap() });
        while !health.is_ready() {
            tokio::task::yield_now().await;
        }
        Self { router, drain, running, log, operator, place }
    }

    /// The same again: two lives at once would write to one log.
    async fn restart(self) -> Self {
        let Self { drain, running, log, operator, place, .. } = self;
        drain.cancel();
        running.await.unwrap();
        Self::start_on(place, log, operator).await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// How much has ever happened, beside what was audited.
    async fn changes(&self) -> usize {
        let records = self.log.read(lombard_types::Position::START, 16 << 20).await.unwrap();
        let mut count = 0;
        for record in &records {
            let each = |event, _| count += usize::from(!matches!(event, Event::Audited(_)));
            lombard_engine::decode_record(&EventCodec, record, each).unwrap();
        }
        count
    }

    async fn token(&self, authorization: Option<&str>, form: &str) -> Answer {
        let mut request = Request::post("/oauth/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    fn assertion(&self, jti: &str) -> String {
        let assertion = client_assertion(&self.operator, "operator", ISSUER, jti, now()).unwrap();
        format!("client_assertion_type={CLIENT_ASSERTION_TYPE}&client_assertion={assertion}")
    }

    async fn admin_token(&self) -> String {
        let jti = uuid::Uuid::new_v4().to_string();
        let form = format!("grant_type=client_credentials&{}", self.assertion(&jti));
        let answer = self.token(None, &form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.admin_with_key(method, path, body, None).await
    }

    async fn admin_with_key(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.admin_token().await));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }
}

fn basic(id: &str, secret: &str) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect()
    };
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))))
}

struct FixedKeys(Jwks);

impl KeySource for FixedKeys {
    fn fetch(&self) -> futures_util::future::BoxFuture<'_, Result<Jwks, KeySourceError>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

#[tokio::test]
async fn a_client_gets_a_token_that_verifies() {
    let role = Role::start().await;
    let posted = format!(
        "grant_type=client_credentials&client_id=shop&client_secret={}",
        "a+secret%2Bwith%25signs"
    );
    for (authorization, form) in
        [(Some(basic("shop", SECRET)), "grant_type=client_credentials".to_owned()), (None, posted)]
    {
        let answer = role.token(authorization.as_deref(), &form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.body["token_type"], "Bearer");
        assert_eq!(answer.body["expires_in"], 300);
        assert_eq!(answer.body["scope"], "ledger:read ledger:write:shop/*");

        let keys = role.send(Request::get("/oauth/jwks").body(Body::empty()).unwrap()).await;
        let jwks = Jwks::parse(keys.body.to_string().as_bytes()).unwrap();
        let verifier =
            Verifier::new(ISSUER, format!("{ISSUER}/v1/ledger"), Arc::new(FixedKeys(jwks)));
        let token = answer.body["access_token"].as_str().unwrap();
        let claims = verifier.verify_or_refresh(token).await.unwrap();
        assert_eq!((&*claims.client_id, &*claims.subject), ("shop", "shop"));
        assert!(claims.scope.permits("ledger", "write", Some("shop/till")));
        let elsewhere = verifier.for_audience(format!("{ISSUER}/v1/registry"));
        assert!(elsewhere.verify_or_refresh(token).await.is_err());
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("at+jwt")));
    }
}

/// A list of one payment of the shop, with members added.
fn payment(debtor: &str, more: &str) -> String {
    format!(
        r#"[{{"type":"payment","amount":"12.50","asset":"EUR","debtor_account":"{debtor}","creditor_account":"bank"{more}}}]"#
    )
}

#[tokio::test]
async fn a_payment_is_granted_echoed_and_in_the_token() {
    let role = Role::start().await;
    let form = format!(
        "grant_type=client_credentials&authorization_details={}",
        payment("shop/till", r#","uses":2"#)
    );
    let answer = role.token(Some(&basic("shop", SECRET)), &form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(answer.body.get("scope").is_none(), "no scope was asked for");
    let echoed = &answer.body["authorization_details"];
    assert_eq!((&echoed[0]["amount"], &echoed[0]["uses"]), (&json!("12.50"), &json!(2)));
    let keys = role.send(Request::get("/oauth/jwks").body(Body::empty()).unwrap()).await;
    let jwks = Jwks::parse(keys.body.to_string().as_bytes()).unwrap();
    let verifier = Verifier::new(ISSUER, format!("{ISSUER}/v1/ledger"), Arc::new(FixedKeys(jwks)));
    let token = answer.body["access_token"].as_str().unwrap();
    let claims = verifier.verify_or_refresh(token).await.unwrap();
    assert!(claims.scope.is_empty());
    assert_eq!(claims.authorization_details.to_value(), *echoed);
    // As RFC 9396 prints it: with line breaks.
    let printed = form.replace(",", "%2C%0A%09");
    assert_eq!(role.token(Some(&basic("shop", SECRET)), &printed).await.status, StatusCode::OK);
    // Another token is another permission: its uses are counted on their own.
    let again = role.token(Some(&basic("shop", SECRET)), &form).await;
    assert_ne!(again.body["authorization_details"][0]["id"], echoed[0]["id"]);
    // With a scope, both are granted.
    let both = role.token(Some(&basic("shop", SECRET)), &format!("{form}&scope=ledger:read")).await;
    assert_eq!(both.body["scope"], "ledger:read");
}

#[tokio::test]
async fn every_bad_request_has_its_error_and_issues_nothing() {
    let role = Role::start().await;
    let shop = basic("shop", SECRET);
    let used = role.assertion("used");
    assert_eq!(
        role.token(None, &format!("grant_type=client_credentials&{used}")).await.status,
        StatusCode::OK
    );
    let foreign = SigningKey::generate().unwrap();
    let sign = |key: &SigningKey, client: &str, issuer: &str, time: Timestamp| {
        let assertion = client_assertion(key, client, issuer, "x", time).unwrap();
        format!(
            "grant_type=client_credentials&client_assertion_type={CLIENT_ASSERTION_TYPE}&client_assertion={assertion}"
        )
    };
    let grant = "grant_type=client_credentials";
    let raw = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let table: Vec<(&str, Option<String>, String, u16, &str)> = vec![
        ("no grant type", Some(shop.clone()), String::new(), 400, "invalid_request"),
        (
            "another grant type",
            Some(shop.clone()),
            "grant_type=password&username=a&password=b".into(),
            400,
            "unsupported_grant_type",
        ),
        (
            "implicit",
            Some(shop.clone()),
            "grant_type=implicit".into(),
            400,
            "unsupported_grant_type",
        ),
        (
            "a parameter twice",
            Some(shop.clone()),
            format!("{grant}&{grant}"),
            400,
            "invalid_request",
        ),
        ("bad encoding", Some(shop.clone()), format!("{grant}&scope=%zz"), 400, "invalid_request"),
        ("no authentication", None, grant.into(), 401, "invalid_client"),
        ("id only", None, format!("{grant}&client_id=shop"), 401, "invalid_client"),
        ("wrong secret", Some(basic("shop", "guess")), grant.into(), 401, "invalid_client"),
        ("empty secret", Some(basic("shop", "")), grant.into(), 401, "invalid_client"),
        ("unknown client", Some(basic("nobody", SECRET)), grant.into(), 401, "invalid_client"),
        (
            "secret for a key client",
            Some(basic("operator", "x")),
            grant.into(),
            401,
            "invalid_client",
        ),
        ("all-zero digest trick", Some(basic("operator", "")), grant.into(), 401, "invalid_client"),
        ("not basic", Some("Bearer x".into()), grant.into(), 401, "invalid_client"),
        ("not base64", Some("Basic !!!".into()), grant.into(), 401, "invalid_client"),
        ("no colon", Some(raw("shop")), grant.into(), 401, "invalid_client"),
        (
            "secret not form-encoded",
            Some(raw(&format!("shop:{SECRET}"))),
            grant.into(),
            401,
            "invalid_client",
        ),
        (
            "two methods",
            Some(shop.clone()),
            format!("{grant}&client_secret=x"),
            400,
            "invalid_request",
        ),
        (
            "two methods, assertion",
            Some(shop.clone()),
            format!("{grant}&{}", role.assertion("y")),
            400,
            "invalid_request",
        ),
        (
            "another client_id",
            Some(shop.clone()),
            format!("{grant}&client_id=wide"),
            400,
            "invalid_request",
        ),
        ("assertion used twice", None, format!("{grant}&{used}"), 401, "invalid_client"),
        (
            "assertion of another key",
            None,
            sign(&foreign, "operator", ISSUER, now()),
            401,
            "invalid_client",
        ),
        (
            "assertion for another issuer",
            None,
            sign(&role.operator, "operator", "http://evil", now()),
            401,
            "invalid_client",
        ),
        (
            "assertion for the endpoint",
            None,
            sign(&role.operator, "operator", "http://127.0.0.1:8080/oauth/token", now()),
            401,
            "invalid_client",
        ),
        (
            "assertion of a secret client",
            None,
            sign(&role.operator, "shop", ISSUER, now()),
            401,
            "invalid_client",
        ),
        (
            "expired assertion",
            None,
            sign(
                &role.operator,
                "operator",
                ISSUER,
                Timestamp::from_unix_seconds(now().unix_seconds() - 600),
            ),
            401,
            "invalid_client",
        ),
        (
            "assertion from the future",
            None,
            sign(&role.operator, "operator", ISSUER, now().plus(Duration::from_secs(600))),
            401,
            "invalid_client",
        ),
        (
            "assertion without type",
            None,
            format!("{grant}&client_assertion=x"),
            400,
            "invalid_request",
        ),
        (
            "assertion is no token",
            None,
            format!("{grant}&client_assertion_type={CLIENT_ASSERTION_TYPE}&client_assertion=x"),
            401,
            "invalid_client",
        ),
        (
            "scope not registered",
            Some(shop.clone()),
            format!("{grant}&scope=ledger:write"),
            400,
            "invalid_scope",
        ),
        (
            "scope of others",
            Some(shop.clone()),
            format!("{grant}&scope=ledger:write:other/*"),
            400,
            "invalid_scope",
        ),
        ("admin", Some(shop.clone()), format!("{grant}&scope=admin"), 400, "invalid_scope"),
        (
            "malformed scope",
            Some(shop.clone()),
            format!("{grant}&scope=ledger"),
            400,
            "invalid_scope",
        ),
        (
            "two spaces in the scope",
            Some(shop.clone()),
            format!("{grant}&scope=ledger:read++ledger:read"),
            400,
            "invalid_scope",
        ),
        ("several resources", Some(basic("wide", "wide")), grant.into(), 400, "invalid_scope"),
        (
            "foreign resource",
            Some(shop.clone()),
            format!("{grant}&resource=http://evil/v1/ledger"),
            400,
            "invalid_target",
        ),
        (
            "resource without right",
            Some(shop.clone()),
            format!("{grant}&resource={ISSUER}/v1/registry"),
            400,
            "invalid_scope",
        ),
        (
            "details that are not JSON",
            Some(shop.clone()),
            format!("{grant}&authorization_details=x"),
            400,
            "invalid_authorization_details",
        ),
        (
            "a payment from another's account",
            Some(shop.clone()),
            format!("{grant}&authorization_details={}", payment("customers/1", "")),
            400,
            "invalid_authorization_details",
        ),
        (
            "a payment with a member that is not known",
            Some(shop.clone()),
            format!("{grant}&authorization_details={}", payment("shop/till", r#","memo":"x""#)),
            400,
            "invalid_authorization_details",
        ),
        (
            "a payment with an id",
            Some(shop.clone()),
            format!("{grant}&authorization_details={}", payment("shop/till", r#","id":"x""#)),
            400,
            "invalid_authorization_details",
        ),
        (
            "a type that the client may not ask for",
            Some(shop.clone()),
            format!(r#"{grant}&authorization_details=[{{"type":"statement"}}]"#),
            400,
            "invalid_authorization_details",
        ),
        (
            "a payment at another resource",
            Some(shop.clone()),
            format!(
                "{grant}&resource={ISSUER}/v1/registry&authorization_details={}",
                payment("shop/till", "")
            ),
            400,
            "invalid_authorization_details",
        ),
        (
            "a payment of a client without the type",
            Some(basic("wide", "wide")),
            format!("{grant}&authorization_details={}", payment("shop/till", "")),
            400,
            "invalid_authorization_details",
        ),
        (
            "too long",
            Some(shop.clone()),
            format!("{grant}&x={}", "y".repeat(20_000)),
            400,
            "invalid_request",
        ),
    ];
    let changes = role.changes().await;
    for (what, authorization, form, status, error) in table {
        let answer = role.token(authorization.as_deref(), &form).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["error"]),
            (status, &json!(error)),
            "{what}: {}",
            answer.body
        );
        assert!(answer.body.get("access_token").is_none(), "{what}");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{what}");
        let asks_for_basic = answer.headers.contains_key(header::WWW_AUTHENTICATE);
        assert_eq!(asks_for_basic, status == 401 && authorization.is_some(), "{what}");
    }
    let json = Request::post("/oauth/token").header(header::CONTENT_TYPE, "application/json");
    let answer = role.send(json.body(Body::from("{}")).unwrap()).await;
    assert_eq!((answer.status.as_u16(), &answer.body["error"]), (400, &json!("invalid_request")));
    assert_eq!(role.changes().await, changes, "a token request changes nothing");
}

#[tokio::test]
async fn clients_are_administered() {
    let role = Role::start().await;
    let new = json!({
        "name": "Payments", "scope": "payments:write", "profile": "oauth-2.1",
        "authorization_details_types": ["payment"],
    });
    let made =
        role.admin_with_key(Method::POST, "/v1/auth/clients", Some(new.clone()), Some("k1")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let id = made.body["client_id"].as_str().unwrap().to_owned();
    let secret = made.body["client_secret"].as_str().unwrap().to_owned();
    assert_eq!(made.headers[header::LOCATION], format!("/v1/auth/clients/{id}"));
    let grant = "grant_type=client_credentials";
    let answer = role.token(Some(&basic(&id, &secret)), grant).await;
    assert_eq!(
        answer.status,
        StatusCode::OK,
        "the token endpoint knows it at once: {}",
        answer.body
    );

    // A retry whose first answer was lost.
    let again = role.admin_with_key(Method::POST, "/v1/auth/clients", Some(new), Some("k1")).await;
    assert_eq!((again.status, &again.body["client_id"]), (StatusCode::OK, &json!(id)));
    let renewed = again.body["client_secret"].as_str().unwrap().to_owned();
    assert_eq!(
        role.token(Some(&basic(&id, &secret)), grant).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(role.token(Some(&basic(&id, &renewed)), grant).await.status, StatusCode::OK);

    let path = format!("/v1/auth/clients/{id}");
    let shown = role.admin(Method::GET, &path, None).await;
    assert_eq!(shown.body["scope"], "payments:write");
    assert_eq!(shown.body["authorization_details_types"], json!(["payment"]));
    assert!(shown.body.get("client_secret").is_none());
    let rotated = role.admin(Method::POST, &format!("{path}/secret"), None).await;
    let newest = rotated.body["client_secret"].as_str().unwrap();
    assert_eq!(
        role.token(Some(&basic(&id, &renewed)), grant).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(role.token(Some(&basic(&id, newest)), grant).await.status, StatusCode::OK);
    assert_eq!(role.admin(Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(role.token(Some(&basic(&id, newest)), grant).await.status, StatusCode::UNAUTHORIZED);

    let page = role.admin(Method::GET, "/v1/auth/clients?limit=2", None).await;
    assert_eq!(page.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(page.body["next"], "shop");
    let rest = role.admin(Method::GET, "/v1/auth/clients?limit=2&after=shop", None).await;
    assert_eq!(
        (rest.body["items"].as_array().unwrap().len(), &rest.body["next"]),
        (1, &Value::Null)
    );
}

#[tokio::test]
async fn administration_refuses_what_does_not_fit() {
    let role = Role::start().await;
    let good = json!({ "name": "X", "scope": "a:b", "profile": "oauth-2.1" });
    let table = [
        (Method::POST, "/v1/auth/clients", Some(json!({ "scope": "a:b" })), 400, "invalid-body"),
        (
            Method::POST,
            "/v1/auth/clients",
            Some(json!({ "name": "X", "scope": "a:b", "secret": "mine" })),
            400,
            "invalid-body",
        ),
        (
            Method::POST,
            "/v1/auth/clients",
            Some(json!({ "name": "", "scope": "a:b" })),
            400,
            "invalid-client-metadata",
        ),
        (
            Method::POST,
            "/v1/auth/clients",
            Some(json!({ "name": "X", "scope": "" })),
            400,
            "invalid-client-metadata",
        ),
        (
            Method::POST,
            "/v1/auth/clients",
            Some(json!({ "name": "X", "scope": "a:b", "client_id": "two words" })),
            400,
            "invalid-client-metadata",
        ),
        (
            Method::POST,
            "/v1/auth/clients",
            Some(json!({ "name": "X", "scope": "a:b", "jwk": { "kty": "RSA" } })),
            400,
            "invalid-client-metadata",
        ),
        (
            Method::POST,
            "/v1/auth/clients",
            Some(json!({ "name": "X", "scope": "a:b", "authorization_details_types": ["x"] })),
            400,
            "invalid-client-metadata",
        ),
        (
            Method::POST,
            "/v1/auth/clients",
            Some(
                json!({ "name": "X", "scope": "a:b", "client_id": "shop", "profile": "oauth-2.1" }),
            ),
            409,
            "client-exists",
        ),
        (Method::GET, "/v1/auth/clients/nobody", None, 404, "client-not-found"),
        (Method::DELETE, "/v1/auth/clients/nobody", None, 404, "client-not-found"),
        (Method::POST, "/v1/auth/clients/operator/secret", None, 409, "client-has-no-secret"),
        (Method::GET, "/v1/auth/clients?limit=0", None, 400, "invalid-query"),
        (Method::GET, "/v1/auth/clients?limits=1", None, 400, "invalid-query"),
    ];
    let changes = role.changes().await;
    for (method, path, body, status, slug) in table {
        let what = format!("{method} {path} {body:?}");
        let answer = role.admin(method, path, body).await;
        let kind = format!("urn:lombard:error:{slug}");
        assert_eq!(
            (answer.status.as_u16(), &answer.body["type"]),
            (status, &json!(kind)),
            "{what}: {}",
            answer.body
        );
    }
    // Without a token, with a bad one, and with a good one for something else.
    let shop = role.token(Some(&basic("shop", SECRET)), "grant_type=client_credentials").await;
    let ledger = shop.body["access_token"].as_str().unwrap().to_owned();
    for authorization in [None, Some("Bearer x.y.z".to_owned()), Some(format!("Bearer {ledger}"))] {
        let mut request =
            Request::post("/v1/auth/clients").header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let answer = role.send(request.body(Body::from(good.to_string())).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{authorization:?}");
        assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
    }
    assert_eq!(role.changes().await, changes);
}

#[tokio::test]
async fn a_restart_keeps_clients_and_key_and_brings_nothing_back() {
    let role = Role::start().await;
    let before = role.token(Some(&basic("shop", SECRET)), "grant_type=client_credentials").await;
    assert_eq!(
        role.admin(Method::DELETE, "/v1/auth/clients/wide", None).await.status,
        StatusCode::NO_CONTENT
    );
    let role = role.restart().await;
    let keys = role.send(Request::get("/oauth/jwks").body(Body::empty()).unwrap()).await;
    let jwks = Jwks::parse(keys.body.to_string().as_bytes()).unwrap();
    let verifier = Verifier::new(ISSUER, format!("{ISSUER}/v1/ledger"), Arc::new(FixedKeys(jwks)));
    verifier.verify_or_refresh(before.body["access_token"].as_str().unwrap()).await.unwrap();
    let wide = role
        .token(Some(&basic("wide", "wide")), "grant_type=client_credentials&scope=ledger:read")
        .await;
    assert_eq!(wide.status, StatusCode::UNAUTHORIZED);
}

impl Role {
    async fn post(&self, path: &str, authorization: Option<&str>, form: &str) -> Answer {
        let mut request =
            Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn token_of(&self, id: &str, secret: &str, more: &str) -> String {
        let form = format!("grant_type=client_credentials{more}");
        let answer = self.token(Some(&basic(id, secret)), &form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    async fn introspect(&self, authorization: &str, token: &str) -> Value {
        let form = format!("token={token}&token_type_hint=access_token");
        let answer = self.post("/oauth/introspect", Some(authorization), &form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        answer.body
    }
}

#[tokio::test]
async fn a_token_is_introspected_by_its_client_and_by_an_administrator_and_by_nobody_else() {
    let role = Role::start().await;
    let (shop, wide) = (basic("shop", SECRET), basic("wide", "wide"));
    let details = format!("&authorization_details={}", payment("shop/till", ""));
    let token = role.token_of("shop", SECRET, &format!("&scope=ledger:read{details}")).await;
    let shown = role.introspect(&shop, &token).await;
    assert_eq!(shown["active"], true);
    for (name, expected) in [
        ("iss", ISSUER),
        ("sub", "shop"),
        ("client_id", "shop"),
        ("aud", "http://127.0.0.1:8080/v1/ledger"),
        ("scope", "ledger:read"),
        ("token_type", "Bearer"),
    ] {
        assert_eq!(shown[name], expected, "{name}");
    }
    assert_eq!(shown["authorization_details"][0]["amount"], "12.50");
    assert_eq!(shown["exp"].as_u64().unwrap() - shown["iat"].as_u64().unwrap(), 300);

    let nothing = json!({ "active": false });
    assert_eq!(role.introspect(&wide, &token).await, nothing);
    let form = format!("token={token}&{}", role.assertion("introspects"));
    let by_operator = role.post("/oauth/introspect", None, &form).await;
    assert_eq!(by_operator.body, shown);

    // What is no good token is not active, and nothing else is said.
    let foreign = SigningKey::generate().unwrap().sign("at+jwt", b"{}").unwrap();
    let assertion = client_assertion(&role.operator, "shop", ISSUER, "1", now()).unwrap();
    let changed = format!("{}x", &token[..token.len() - 1]);
    for token in ["x", "a.b.c", &foreign, &assertion, &changed] {
        assert_eq!(role.introspect(&shop, token).await, nothing, "{token}");
    }
    for (authorization, form, status, error) in [
        (None, format!("token={token}"), 401, "invalid_client"),
        (Some(basic("shop", "guess")), format!("token={token}"), 401, "invalid_client"),
        (Some(shop.clone()), String::new(), 400, "invalid_request"),
        (Some(shop.clone()), format!("token={token}&token=x"), 400, "invalid_request"),
    ] {
        for path in ["/oauth/introspect", "/oauth/revoke"] {
            let answer = role.post(path, authorization.as_deref(), &form).await;
            let found = (answer.status.as_u16(), &answer.body["error"]);
            assert_eq!(found, (status, &json!(error)), "{path} {form}");
        }
    }
    assert_eq!(role.introspect(&shop, &token).await, shown, "nothing was revoked");
}

#[tokio::test]
async fn a_revoked_token_is_good_no_more_and_verifiers_hear_of_it() {
    let role = Role::start().await;
    let shop = basic("shop", SECRET);
    let token = role.token_of("shop", SECRET, "").await;
    let other = role.token_of("shop", SECRET, "").await;
    let none = role.get("/oauth/revocations").await.body;
    assert_eq!(none, json!({ "last": 0, "revocations": [] }));
    // Who waits is told at once.
    let waiting = role.get("/oauth/revocations?after=0&wait_ms=20000");

    // Another client may not, and is told; what is no token is no error.
    let changes = role.changes().await;
    let stranger =
        role.post("/oauth/revoke", Some(&basic("wide", "wide")), &format!("token={token}")).await;
    let found = (stranger.status.as_u16(), &stranger.body["error"]);
    assert_eq!(found, (400, &json!("unauthorized_client")));
    let nonsense = role.post("/oauth/revoke", Some(&shop), "token=x").await;
    assert_eq!(nonsense.status, StatusCode::OK);
    assert_eq!(role.changes().await, changes);

    let form = format!("token={token}");
    let revoke = role.post("/oauth/revoke", Some(&shop), &form);
    let (revoked, heard) = tokio::join!(revoke, waiting);
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(
        (&heard.body["last"], heard.body["revocations"].as_array().unwrap().len()),
        (&json!(1), 1)
    );
    assert!(!heard.body.to_string().contains("shop"), "the list is public and names nobody");
    assert_eq!(role.introspect(&shop, &token).await, json!({ "active": false }));
    assert_eq!(role.introspect(&shop, &other).await["active"], true);
    // Again is no error and no event.
    let changes = role.changes().await;
    let again = role.post("/oauth/revoke", Some(&shop), &format!("token={token}")).await;
    assert_eq!((again.status, role.changes().await), (StatusCode::OK, changes));

    // A verifier elsewhere, which is told what the answer says.
    let jwks = Jwks::parse(role.get("/oauth/jwks").await.body.to_string().as_bytes()).unwrap();
    let verifier = Verifier::new(ISSUER, format!("{ISSUER}/v1/ledger"), Arc::new(FixedKeys(jwks)));
    verifier.refresh().await.unwrap();
    verifier.verify(&token).unwrap();
    let entry = &heard.body["revocations"][0];
    let time = |name: &str| Timestamp::from_unix_seconds(entry[name].as_u64().unwrap());
    let key = entry["key"].as_str().unwrap().parse().unwrap();
    verifier.revoked().hear([Revocation { key, at: time("at"), until: time("until") }], now());
    assert_eq!(verifier.verify(&token).map(|_| ()), Err(VerifyError::Revoked));
    verifier.verify(&other).unwrap();

    // A restart forgets nothing; a verifier of another history gets everything.
    let role = role.restart().await;
    assert_eq!(role.introspect(&shop, &token).await, json!({ "active": false }));
    assert_eq!(role.get("/oauth/revocations?after=1").await.body["revocations"], json!([]));
    assert_eq!(role.get("/oauth/revocations?after=999").await.body, heard.body);
}

/// Over a real connection, as roles and the gateway hear of it.
#[tokio::test]
async fn a_verifier_elsewhere_refuses_a_revoked_token_without_being_asked() {
    let role = Role::start().await;
    let token = role.token_of("shop", SECRET, "").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let router = role.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let (health, drain) = (Health::starting(), CancellationToken::new());
    let audience = format!("{ISSUER}/v1/ledger");
    let verifier = lombard_chassis::keys::verifier(ISSUER, audience, server, &health, drain);
    while let Err(error) = verifier.verify_or_refresh(&token).await {
        assert_eq!(error, VerifyError::NoKeys);
        tokio::task::yield_now().await;
    }
    let form = format!("token={token}");
    let revoked = role.post("/oauth/revoke", Some(&basic("shop", SECRET)), &form).await;
    assert_eq!(revoked.status, StatusCode::OK);
    while verifier.verify(&token).is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(verifier.verify(&token).map(|_| ()), Err(VerifyError::Revoked));
    assert!(!verifier.revoked().is_silent());
}

#[tokio::test]
async fn the_tokens_of_a_client_are_revoked_by_hand_and_with_the_client() {
    let role = Role::start().await;
    let shop = basic("shop", SECRET);
    let token = role.token_of("shop", SECRET, "").await;
    let refused = role.admin(Method::POST, "/v1/auth/clients/nobody/revoke", None).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    let done = role.admin(Method::POST, "/v1/auth/clients/shop/revoke", None).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    assert_eq!(role.introspect(&shop, &token).await, json!({ "active": false }));

    let wide = role.token_of("wide", "wide", "&scope=ledger:read").await;
    assert_eq!(role.introspect(&basic("wide", "wide"), &wide).await["active"], true);
    assert_eq!(
        role.admin(Method::DELETE, "/v1/auth/clients/wide", None).await.status,
        StatusCode::NO_CONTENT
    );
    let form = format!("token={wide}&{}", role.assertion("looks"));
    let shown = role.post("/oauth/introspect", None, &form).await;
    assert_eq!(shown.body, json!({ "active": false }));

    // The role refuses such tokens at its own door too.
    let admin = role.admin_token().await;
    let done = role.admin(Method::POST, "/v1/auth/clients/operator/revoke", None).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    loop {
        let request = Request::get("/v1/auth/clients")
            .header(header::AUTHORIZATION, format!("Bearer {admin}"));
        let answer = role.send(request.body(Body::empty()).unwrap()).await;
        if answer.status == StatusCode::UNAUTHORIZED {
            break;
        }
        tokio::task::yield_now().await;
    }
}

/// As partners' libraries do it: a key for EdDSA, no `typ` in the assertion.
#[tokio::test]
async fn a_client_may_have_a_key_of_another_kind() {
    let role = Role::start().await;
    let key = SigningKey::generate_for(Algorithm::EdDsa).unwrap();
    let new = json!({ "client_id": "ed", "name": "Ed", "scope": "ledger:read", "jwk": key.public_jwk(), "profile": "oauth-2.1" });
    let made = role.admin(Method::POST, "/v1/auth/clients", Some(new)).await;
    assert_eq!((made.status, &made.body["jwk"]["crv"]), (StatusCode::CREATED, &json!("Ed25519")));
    let assertion = client_assertion(&key, "ed", ISSUER, "1", now()).unwrap();
    let form = format!(
        "grant_type=client_credentials&client_assertion_type={CLIENT_ASSERTION_TYPE}&client_assertion={assertion}"
    );
    let answer = role.token(None, &form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test]
async fn metadata_and_keys_are_cacheable() {
    let role = Role::start().await;
    let path = "/.well-known/oauth-authorization-server";
    let metadata = role.send(Request::get(path).body(Body::empty()).unwrap()).await;
    assert_eq!(metadata.body["issuer"], ISSUER);
    assert_eq!(metadata.body["token_endpoint"], format!("{ISSUER}/oauth/token"));
    assert_eq!(metadata.body["authorization_details_types_supported"], json!(["payment"]));
    let algorithms = &metadata.body["token_endpoint_auth_signing_alg_values_supported"];
    assert_eq!(*algorithms, json!(["ES256", "EdDSA", "PS256"]));
    let keys = role.send(Request::get("/oauth/jwks").body(Body::empty()).unwrap()).await;
    let etag = keys.headers[header::ETAG].clone();
    let again = Request::get("/oauth/jwks")
        .header(header::IF_NONE_MATCH, etag)
        .body(Body::empty())
        .unwrap();
    assert_eq!(role.send(again).await.status, StatusCode::NOT_MODIFIED);
    assert!(keys.body["keys"][0].get("d").is_none());
}

#[tokio::test]
async fn persons_and_groups_are_looked_after() {
    let role = Role::start().await;
    let group = json!({ "scope": "ledger:read" });
    let answer = role.admin(Method::PUT, "/v1/auth/groups/staff", Some(group)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let ada = json!({
        "name": "ada", "display_name": "Ada", "scope": "ledger:write:customers/1/*", "groups": ["staff"],
        "password": "correct horse battery",
    });
    let answer =
        role.admin_with_key(Method::POST, "/v1/auth/users", Some(ada.clone()), Some("k1")).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let shown = answer.body.to_string();
    assert!(!shown.contains("argon2") && !shown.contains("battery"), "{shown}");
    assert_eq!(answer.body["has_password"], true);
    let id = answer.body["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.body["subject"], format!("users/{id}"));
    let again = role.admin_with_key(Method::POST, "/v1/auth/users", Some(ada), Some("k1")).await;
    assert_eq!((again.status, &again.body["id"]), (StatusCode::OK, &json!(id)));
    for path in [format!("/v1/auth/users/{id}"), "/v1/auth/users/ada".to_owned()] {
        let answer = role.admin(Method::GET, &path, None).await;
        assert_eq!(answer.body["groups"], json!(["staff"]), "{path}");
    }
    let list = role.admin(Method::GET, "/v1/auth/users?limit=1", None).await;
    assert_eq!(list.body["items"][0]["name"], "ada");
    for (method, path, body, status, slug) in [
        (Method::POST, "/v1/auth/users", Some(json!({ "name": "ada" })), 409, "user-exists"),
        (Method::POST, "/v1/auth/users", Some(json!({ "name": "Ada" })), 400, "invalid-user"),
        (
            Method::POST,
            "/v1/auth/users",
            Some(json!({ "name": "bob", "scope": "openid" })),
            400,
            "invalid-user",
        ),
        (
            Method::POST,
            "/v1/auth/users",
            Some(json!({ "name": "bob", "groups": ["none"] })),
            404,
            "user-group-not-found",
        ),
        (
            Method::POST,
            "/v1/auth/users",
            Some(json!({ "name": "bob", "password": "short" })),
            400,
            "password-refused",
        ),
        (Method::GET, "/v1/auth/users/bob", None, 404, "user-not-found"),
        (Method::DELETE, "/v1/auth/groups/staff", None, 409, "user-group-in-use"),
        (Method::DELETE, "/v1/auth/groups/none", None, 404, "user-group-not-found"),
    ] {
        let answer = role.admin(method, path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {}", answer.body);
        assert_eq!(answer.body["type"], format!("urn:lombard:error:{slug}"));
    }
    for (method, path, body) in [
        (Method::POST, "/v1/auth/users/ada/disable", None),
        (Method::POST, "/v1/auth/users/ada/enable", None),
        (
            Method::PUT,
            "/v1/auth/users/ada/password",
            Some(json!({ "password": "another good one" })),
        ),
        (Method::PUT, "/v1/auth/users/ada", Some(json!({ "display_name": "Ada L." }))),
    ] {
        let answer = role.admin(method, path, body).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path} {}", answer.body);
    }
    let answer = role.admin(Method::GET, "/v1/auth/users/ada", None).await;
    assert_eq!((&answer.body["scope"], &answer.body["groups"]), (&json!(""), &json!([])));
    for path in ["/v1/auth/users/ada", "/v1/auth/groups/staff"] {
        assert_eq!(role.admin(Method::DELETE, path, None).await.status, StatusCode::NO_CONTENT);
    }
    // None of the passwords is in the log, not even a part of one.
    let records = role.log.read(lombard_types::Position::START, 1 << 20).await.unwrap();
    for record in records {
        let text = String::from_utf8_lossy(&record.payload).into_owned();
        assert!(!text.contains("battery") && !text.contains("good one"));
    }
}

#[tokio::test]
async fn clients_that_act_for_persons_are_registered_strictly() {
    let role = Role::start().await;
    let app = json!({
        "name": "App", "scope": "openid offline_access ledger:read", "token_endpoint_auth_method": "none",
        "redirect_uris": ["http://127.0.0.1/cb"],
    });
    let answer = role.admin(Method::POST, "/v1/auth/clients", Some(app.clone())).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(answer.body["token_endpoint_auth_method"], "none");
    assert_eq!(answer.body["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert!(answer.body.get("client_secret").is_none());
    for (member, value, blamed) in [
        ("redirect_uris", json!(["https://*.example/cb"]), "redirect_uris"),
        ("redirect_uris", json!([]), "grant_types"),
        ("grant_types", json!(["client_credentials", "authorization_code"]), "grant_types"),
        ("grant_types", json!(["password"]), "grant_types"),
        ("grant_types", json!([]), "grant_types"),
        ("scope", json!("openid"), "grant_types"),
        ("token_endpoint_auth_method", json!("client_secret_jwt"), "token_endpoint_auth_method"),
    ] {
        let mut bad = app.clone();
        bad["grant_types"] = json!(["authorization_code", "refresh_token"]);
        bad[member] = value;
        let answer = role.admin(Method::POST, "/v1/auth/clients", Some(bad)).await;
        assert_eq!(answer.body["type"], "urn:lombard:error:invalid-client-metadata", "{member}");
        assert_eq!(answer.body["member"], blamed);
    }
}
