//! Clients that register themselves (RFC 7591, RFC 7592).

use axum::body::Body;
use http::{Request, StatusCode, header};
use lombard_auth::Config;
use lombard_token::SigningKey;
use serde_json::{Value, json};

use crate::{
    audit::found,
    support::{Answer, Role, config},
};

const WIDEST: &str = "openid offline_access ledger:read";

/// A role at which clients may register themselves, and an initial access token.
async fn start() -> (Role, String) {
    let role = Role::start_with(Config { registration_scope: WIDEST.to_owned(), ..config() }).await;
    let token = token_with(&role, "partners", "auth:register").await;
    (role, token)
}

async fn token_with(role: &Role, id: &str, scope: &str) -> String {
    let client = json!({ "client_id": id, "name": id, "profile": "oauth-2.1", "scope": scope });
    let made = role.admin("POST", "/v1/auth/clients", client).await.json();
    let secret = made["client_secret"].as_str().unwrap();
    let asked =
        [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    role.post("/oauth/token", &asked).await.json()["access_token"].as_str().unwrap().to_owned()
}

async fn call(role: &Role, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    role.send(request.body(Body::from(body.to_string())).unwrap()).await
}

fn metadata() -> Value {
    let key = SigningKey::generate().unwrap();
    json!({
        "client_name": "Partner", "redirect_uris": ["https://partner.example/cb"], "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [key.public_jwk()] },
        "logo_uri": "https://partner.example/logo", "scope": "openid ledger:read",
    })
}

#[tokio::test]
async fn a_client_registers_looks_at_and_removes_itself() {
    let (role, token) = start().await;
    let made = call(&role, "POST", "/oauth/register", &token, &metadata()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.headers[header::CACHE_CONTROL], "no-store");
    let made = made.json();
    assert_eq!(made["profile"], "fapi-2.0");
    assert_eq!(made["require_pushed_authorization_requests"], true);
    assert_eq!(made["client_name"], "Partner");
    assert_eq!(made["grant_types"], json!(["authorization_code"]));
    assert_eq!((&made["client_secret"], &made["logo_uri"]), (&Value::Null, &Value::Null));
    let own = made["registration_access_token"].as_str().unwrap();
    let uri = made["registration_client_uri"].as_str().unwrap();
    let path = &uri[uri.find("/oauth").unwrap()..];

    let role =
        role.restart_with(Config { registration_scope: WIDEST.to_owned(), ..config() }).await;
    let shown = call(&role, "GET", path, own, &Value::Null).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("registration_access_token");
    assert_eq!(shown.json(), expected);
    // Nobody else's token, nor another client's place.
    let other = call(&role, "POST", "/oauth/register", &token, &metadata()).await.json();
    let others = other["registration_access_token"].as_str().unwrap();
    for (token, path) in [
        (others, path),
        (&*token, path),
        ("x", path),
        (own, "/oauth/register/shop"),
        (own, "/oauth/register/x"),
    ] {
        for method in ["GET", "DELETE"] {
            let refused = call(&role, method, path, token, &Value::Null).await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
    assert_eq!(call(&role, "DELETE", path, own, &Value::Null).await.status, StatusCode::NO_CONTENT);
    let gone = call(&role, "GET", path, own, &Value::Null).await;
    assert_eq!(gone.status, StatusCode::UNAUTHORIZED);
    let audited = found(&role, "&action=client.register&client_id=partners", 2).await;
    assert_eq!(audited[0]["detail"], made["client_id"]);
    found(&role, "&action=client.unregister&outcome=allowed", 1).await;
    assert!(!role.recorded().await.contains(own));
}

/// RFC 7592 section 2.2: what is said takes the place of all that was said before.
#[tokio::test]
async fn a_client_changes_its_registration() {
    let (role, token) = start().await;
    let made = call(&role, "POST", "/oauth/register", &token, &metadata()).await.json();
    let own = made["registration_access_token"].as_str().unwrap();
    let uri = made["registration_client_uri"].as_str().unwrap();
    let path = &uri[uri.find("/oauth").unwrap()..];
    let mut changed = metadata();
    changed["client_id"] = made["client_id"].clone();
    changed["client_name"] = json!("Partner & Co.");
    changed["scope"] = json!("openid");
    changed["id_token_signed_response_alg"] = json!("PS256");
    let answer = call(&role, "PUT", path, own, &changed).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let now = answer.json();
    for (name, expected) in [
        ("client_name", &json!("Partner & Co.")),
        ("scope", &json!("openid")),
        ("id_token_signed_response_alg", &json!("PS256")),
        ("client_id", &made["client_id"]),
        ("client_id_issued_at", &made["client_id_issued_at"]),
        ("registration_client_uri", &made["registration_client_uri"]),
        ("profile", &made["profile"]),
    ] {
        assert_eq!(&now[name], expected, "{name}");
    }
    let kid = |shown: &Value| shown["jwks"]["keys"][0]["kid"].clone();
    assert_ne!(kid(&now), kid(&made), "the key is another one");
    assert!(role.get("/oauth/jwks").await.text.contains("PS256"), "keys for it are there");

    let other = call(&role, "POST", "/oauth/register", &token, &metadata()).await.json();
    let with = |name: &str, value: Value| {
        let mut refused = changed.clone();
        refused[name] = value;
        refused
    };
    for (metadata, error) in [
        (metadata(), "invalid_client_metadata"),
        (with("client_id", other["client_id"].clone()), "invalid_client_metadata"),
        (with("client_id", json!(7)), "invalid_client_metadata"),
        (with("registration_access_token", json!(own)), "invalid_client_metadata"),
        (with("registration_client_uri", json!(uri)), "invalid_client_metadata"),
        (with("client_id_issued_at", json!(1)), "invalid_client_metadata"),
        (with("client_secret", json!("mine")), "invalid_client_metadata"),
        (with("client_secret_expires_at", json!(0)), "invalid_client_metadata"),
        (with("scope", json!("admin")), "invalid_client_metadata"),
        (with("token_endpoint_auth_method", json!("none")), "invalid_client_metadata"),
        (with("redirect_uris", json!(["https://*.evil.example/"])), "invalid_redirect_uri"),
    ] {
        let refused = call(&role, "PUT", path, own, &metadata).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{metadata}: {}", refused.text);
        assert_eq!(refused.json()["error"], error, "{metadata}: {}", refused.text);
    }
    for (token, path) in [
        (other["registration_access_token"].as_str().unwrap(), path),
        (&*token, path),
        (own, "/oauth/register/shop"),
    ] {
        let refused = call(&role, "PUT", path, token, &changed).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let role =
        role.restart_with(Config { registration_scope: WIDEST.to_owned(), ..config() }).await;
    assert_eq!(call(&role, "GET", path, own, &Value::Null).await.json(), now);
    let entry = &found(&role, "&action=client.update&outcome=allowed", 1).await[0];
    assert_eq!(entry["client_id"], made["client_id"]);
}

#[tokio::test]
async fn what_is_refused() {
    let (role, token) = start().await;
    let with = |name: &str, value: Value| {
        let mut changed = metadata();
        changed[name] = value;
        changed
    };
    for (metadata, error) in [
        (with("scope", json!("openid ledger:write")), "invalid_client_metadata"),
        (with("scope", json!("admin")), "invalid_client_metadata"),
        (with("redirect_uris", json!(["http://127.0.0.1/cb"])), "invalid_client_metadata"),
        (with("redirect_uris", json!(["https://*.partner.example/cb"])), "invalid_redirect_uri"),
        (with("redirect_uris", json!(["https://partner.example/cb#x"])), "invalid_redirect_uri"),
        (with("response_types", json!(["token"])), "invalid_client_metadata"),
        (with("grant_types", json!(["implicit"])), "invalid_client_metadata"),
        (with("grant_types", json!(["password"])), "invalid_client_metadata"),
        (with("jwks", json!({ "keys": [] })), "invalid_client_metadata"),
        (
            with("jwks", json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] })),
            "invalid_client_metadata",
        ),
        (with("jwks_uri", json!("http://169.254.169.254/")), "invalid_client_metadata"),
        (
            with("token_endpoint_auth_method", json!("client_secret_basic")),
            "invalid_client_metadata",
        ),
        (with("token_endpoint_auth_method", json!("client_secret_jwt")), "invalid_client_metadata"),
        (with("token_endpoint_auth_method", json!("tls_client_auth")), "invalid_client_metadata"),
        // A secret would be enough for the plain profile only, which a client does not choose itself.
        (
            json!({ "client_name": "x", "profile": "oauth-2.1", "grant_types": ["client_credentials"] }),
            "invalid_client_metadata",
        ),
    ] {
        let refused = call(&role, "POST", "/oauth/register", &token, &metadata).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{metadata}: {}", refused.text);
        assert_eq!(refused.json()["error"], error, "{metadata}: {}", refused.text);
    }
    let reader = token_with(&role, "reader", "auth:read").await;
    for (token, status) in [(&*reader, StatusCode::FORBIDDEN), ("x", StatusCode::UNAUTHORIZED)] {
        let refused = call(&role, "POST", "/oauth/register", token, &metadata()).await;
        assert_eq!(refused.status, status);
    }
    assert_eq!(
        role.admin("GET", "/v1/auth/clients", Value::Null).await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    // Where it is not configured, nobody registers, and nothing says that one could.
    let role = Role::start().await;
    let token = token_with(&role, "partners", "auth:register").await;
    let refused = call(&role, "POST", "/oauth/register", &token, &metadata()).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let discovered = role.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(discovered["registration_endpoint"], Value::Null);
}
