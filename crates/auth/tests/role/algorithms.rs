//! What tokens are signed with, where clients and resources ask for it.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use lombard_auth::Config;
use lombard_token::{Algorithm, Jwks, SigningKey, verify_own_id_token};
use serde_json::{Value, json};

use crate::support::{Browser, REDIRECT_URI, Role, claims, config};

/// A member of a token's header.
fn header(token: &str, name: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header[name].as_str().unwrap().to_owned()
}

/// The client `partner`, with these members beside what it needs; its secret.
async fn register(role: &Role, members: Value) -> String {
    let mut client = json!({
        "client_id": "partner", "name": "Partner", "profile": "oauth-2.1", "scope": "openid ledger:read",
        "redirect_uris": [REDIRECT_URI],
    });
    client.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let made = role.admin("POST", "/v1/auth/clients", client).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    made.json()["client_secret"].as_str().unwrap().to_owned()
}

/// An access token and an ID token of ada's.
async fn tokens(role: &Role, secret: &str) -> (String, String) {
    let asked = [("client_id", "partner"), ("scope", "openid ledger:read")];
    let code = role.code(&Browser::default(), &asked).await;
    let answer = role.redeem(&code, &[("client_id", "partner"), ("client_secret", secret)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let text = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
    (text("access_token"), text("id_token"))
}

async fn published(role: &Role) -> Jwks {
    Jwks::parse(role.get("/oauth/jwks").await.text.as_bytes()).unwrap()
}

/// How many keys are published of each algorithm, in their order.
async fn counts(role: &Role) -> [usize; 3] {
    let keys = published(role).await.keys;
    Algorithm::ALL.map(|it| keys.iter().filter(|key| key.algorithm() == it).count())
}

fn inspect(role: &Role, token: &str) -> bool {
    role.verifier().inspect_any(token).is_ok()
}

#[tokio::test]
async fn each_algorithm_has_keys_of_its_own_from_when_it_is_asked_for() {
    let role = Role::start().await;
    assert_eq!(counts(&role).await, [2, 0, 0]);
    let wanted =
        json!({ "access_token_signing_alg": "PS256", "id_token_signed_response_alg": "EdDSA" });
    let secret = register(&role, wanted).await;
    assert_eq!(counts(&role).await, [2, 2, 2], "one that signs and one that is next");
    let discovered = role.get("/.well-known/openid-configuration").await.json();
    let all = json!(["ES256", "EdDSA", "PS256"]);
    assert_eq!(discovered["id_token_signing_alg_values_supported"], all);

    let (access, id) = tokens(&role, &secret).await;
    assert_eq!((header(&access, "alg"), header(&id, "alg")), ("PS256".into(), "EdDSA".into()));
    assert!(inspect(&role, &access));
    assert_eq!(role.userinfo(&access).await.status, StatusCode::OK);
    let keys = published(&role).await.keys;
    assert_eq!(keys.iter().filter(|key| verify_own_id_token(&id, key).is_ok()).count(), 1);
    // OpenID Connect Core section 3.1.3.6: the hash that Ed25519 has, and half of it.
    let hash = digest::digest(&digest::SHA512, access.as_bytes());
    assert_eq!(claims(&id)["at_hash"], URL_SAFE_NO_PAD.encode(&hash.as_ref()[..32]));

    // Each algorithm's keys follow each other on their own.
    let rotate = json!({ "at_once": true, "alg": "EdDSA" });
    let rotated = role.admin("POST", "/v1/auth/keys/rotate", rotate).await;
    assert_eq!(rotated.status, StatusCode::NO_CONTENT, "{}", rotated.text);
    assert_eq!(counts(&role).await, [2, 3, 2]);
    let (_, next) = tokens(&role, &secret).await;
    assert_eq!(header(&next, "alg"), "EdDSA");
    assert_ne!(header(&next, "kid"), header(&id, "kid"));
    let keys = published(&role).await.keys;
    assert!(
        keys.iter().any(|key| verify_own_id_token(&id, key).is_ok()),
        "what it signed stays good"
    );

    let path = format!("/v1/auth/keys/{}/compromise", header(&access, "kid"));
    let taken_back = role.admin("POST", &path, Value::Null).await;
    assert_eq!(taken_back.status, StatusCode::NO_CONTENT, "{}", taken_back.text);
    assert!(!inspect(&role, &access));
    assert_eq!(role.userinfo(&access).await.status, StatusCode::UNAUTHORIZED);
    let (access, _) = tokens(&role, &secret).await;
    assert_eq!(header(&access, "alg"), "PS256");
    assert_eq!(role.userinfo(&access).await.status, StatusCode::OK);
    // So they do after a restart, with the same keys.
    let before = published(&role).await;
    let role = role.restart().await;
    assert_eq!(published(&role).await, before);
    assert!(inspect(&role, &access));
    let (access, id) = tokens(&role, &secret).await;
    assert_eq!((header(&access, "alg"), header(&id, "alg")), ("PS256".into(), "EdDSA".into()));
}

#[tokio::test]
async fn a_resource_says_what_it_takes() {
    let wanted = [("/v1/ledger".to_owned(), "EdDSA".to_owned())].into();
    let role = Role::start_with(Config { access_token_algorithms: wanted, ..config() }).await;
    assert_eq!(counts(&role).await, [2, 2, 0], "from the start");
    let secret = register(&role, json!({ "access_token_signing_alg": "PS256" })).await;
    let (access, id) = tokens(&role, &secret).await;
    assert_eq!(header(&access, "alg"), "EdDSA", "before what the client says");
    assert_eq!(header(&id, "alg"), "ES256");
    // Tokens for other resources are as they were: those of administrators are taken by the role itself.
    assert_eq!(role.admin("GET", "/v1/auth/keys", Value::Null).await.status, StatusCode::OK);
    for (resource, name) in
        [("v1/ledger", "EdDSA"), ("/v1/ledger", "RS256"), ("/v1/ledger", "none")]
    {
        let wanted = [(resource.to_owned(), name.to_owned())].into();
        let config = Config { access_token_algorithms: wanted, ..config() };
        assert_eq!(config.mistakes().len(), 1, "{resource} {name}");
    }
}

#[tokio::test]
async fn no_others_can_be_asked_for() {
    let role = Role::start().await;
    for (member, value) in [
        ("id_token_signed_response_alg", "RS256"),
        ("id_token_signed_response_alg", "HS256"),
        ("id_token_signed_response_alg", "none"),
        ("id_token_signed_response_alg", "es256"),
        ("access_token_signing_alg", "RS256"),
        ("access_token_signing_alg", ""),
    ] {
        let client = json!({
            "name": "x", "scope": "ledger:read", "profile": "oauth-2.1", member: value,
        });
        let refused = role.admin("POST", "/v1/auth/clients", client).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{member} {value}");
        assert_eq!(refused.json()["member"], member, "{}", refused.text);
    }
    let client = json!({
        "name": "x", "scope": "ledger:read", "profile": "oauth-2.1", "access_token_format": "opaque",
        "access_token_signing_alg": "PS256",
    });
    let refused = role.admin("POST", "/v1/auth/clients", client).await;
    assert_eq!(refused.json()["member"], "access_token_signing_alg", "{}", refused.text);
    for body in [json!({ "alg": "RS256" }), json!({ "alg": "PS256", "at_once": true })] {
        let refused = role.admin("POST", "/v1/auth/keys/rotate", body.clone()).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{body}: {}", refused.text);
    }
    assert_eq!(counts(&role).await, [2, 0, 0], "and no keys were made for it");
    // A key says one algorithm, whoever signs with it: a token of another is none.
    let key = SigningKey::generate_for(Algorithm::EdDsa).unwrap();
    assert!(!inspect(&role, &key.sign("at+jwt", br#"{"aud":"x"}"#).unwrap()));
}
