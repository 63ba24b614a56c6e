//! Access tokens that say nothing by themselves.

use axum::body::Body;
use http::{Request, StatusCode, header};
use lombard_auth::Config;
use lombard_token::{SigningKey, VerifyError};
use serde_json::{Value, json};

use crate::{
    bound::{post, proof},
    support::{Answer, Browser, REDIRECT_URI, Role, config},
};

/// The client `veil`, whose access tokens are opaque; its secret.
async fn register(role: &Role) -> String {
    let client = json!({
        "client_id": "veil", "name": "Veil", "profile": "oauth-2.1", "redirect_uris": [REDIRECT_URI],
        "scope": "openid profile offline_access ledger:read", "access_token_format": "opaque",
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
    });
    let made = role.admin("POST", "/v1/auth/clients", client).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json()["access_token_format"], "opaque");
    made.json()["client_secret"].as_str().unwrap().to_owned()
}

async fn introspect(role: &Role, (client, secret): (&str, &str), token: &str) -> Value {
    let parameters = [("token", token), ("client_id", client), ("client_secret", secret)];
    let answer = role.post("/oauth/introspect", &parameters).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

async fn of_the_client(role: &Role, secret: &str) -> Answer {
    let parameters = [
        ("grant_type", "client_credentials"),
        ("client_id", "veil"),
        ("client_secret", secret),
        ("scope", "ledger:read"),
    ];
    role.post("/oauth/token", &parameters).await
}

fn access(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn only_the_server_can_say_what_it_stands_for() {
    let role = Role::start().await;
    let secret = register(&role).await;
    let as_veil = [("client_id", "veil"), ("client_secret", &*secret)];
    let asked = [("client_id", "veil"), ("scope", "openid profile offline_access ledger:read")];
    let code = role.code(&Browser::default(), &asked).await;
    let tokens = role.redeem(&code, &as_veil).await;
    let token = access(&tokens);
    assert!(token.starts_with("lombard_at_") && !token.contains('.'), "{token}");
    assert_eq!(tokens.json()["token_type"], "Bearer");

    let said = introspect(&role, ("veil", &secret), &token).await;
    assert_eq!(said["active"], true, "{said}");
    assert_eq!(said["client_id"], "veil");
    assert_eq!(said["acr"], "urn:lombard:acr:password");
    assert!(said["aud"].as_str().unwrap().ends_with("/v1/ledger"), "{said}");
    assert!(said["scope"].as_str().unwrap().contains("ledger:read"), "{said}");
    let others = introspect(&role, ("shop", &role.shop_secret()), &token).await;
    assert_eq!(others, json!({ "active": false }), "no business of others");
    assert_eq!(role.userinfo(&token).await.json()["preferred_username"], "ada");

    // Whoever takes JWTs says why it takes this one not.
    assert_eq!(role.verifier().inspect(&token).map(drop), Err(VerifyError::Opaque));
    let request =
        Request::get("/v1/auth/clients").header(header::AUTHORIZATION, format!("Bearer {token}"));
    let refused = role.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.text.contains("access_token_format"), "{}", refused.text);

    // One that nobody has made, and one that is nearly right.
    for wrong in
        [format!("{token}x"), token[..token.len() - 1].to_owned(), "lombard_at_".to_owned()]
    {
        let said = introspect(&role, ("veil", &secret), &wrong).await;
        assert_eq!(said, json!({ "active": false }));
        assert_eq!(role.userinfo(&wrong).await.status, StatusCode::UNAUTHORIZED);
    }

    assert!(!role.recorded().await.contains(&token), "only its hash is kept");
    let role = role.restart().await;
    assert_eq!(introspect(&role, ("veil", &secret), &token).await["active"], true);

    let refresh = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
    let again = access(&role.refresh(&refresh, &as_veil).await);
    assert!(again.starts_with("lombard_at_") && again != token);
    let parameters = [("token", &*token), ("client_id", "veil"), ("client_secret", &*secret)];
    assert_eq!(role.post("/oauth/revoke", &parameters).await.status, StatusCode::OK);
    assert_eq!(introspect(&role, ("veil", &secret), &token).await["active"], false);
    assert_eq!(role.userinfo(&token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(role.userinfo(&again).await.status, StatusCode::OK, "the other one is good");
    // It ends with its client like every other.
    role.admin("DELETE", "/v1/auth/clients/veil", Value::Null).await;
    assert_eq!(role.userinfo(&again).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_bound_one_is_used_with_its_key() {
    let role = Role::start().await;
    let secret = register(&role).await;
    let asked = [("client_id", "veil"), ("scope", "openid")];
    let code = role.code(&Browser::default(), &asked).await;
    let key = SigningKey::generate().unwrap();
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("client_id", "veil"),
        ("client_secret", &secret),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", crate::support::VERIFIER),
    ];
    let proofs = [proof(&key, "POST", "/oauth/token", None)];
    let tokens = post(&role, "/oauth/token", &proofs, &redeem).await;
    let token = access(&tokens);
    assert_eq!(tokens.json()["token_type"], "DPoP");
    assert_eq!(role.userinfo(&token).await.status, StatusCode::UNAUTHORIZED, "without a proof");
    let said = introspect(&role, ("veil", &secret), &token).await;
    assert_eq!(said["cnf"]["jkt"], key.public_jwk().thumbprint());
    for (key, status) in
        [(&SigningKey::generate().unwrap(), StatusCode::UNAUTHORIZED), (&key, StatusCode::OK)]
    {
        let request = Request::get("/oauth/userinfo")
            .header(header::AUTHORIZATION, format!("DPoP {token}"))
            .header("dpop", proof(key, "GET", "/oauth/userinfo", Some(&token)));
        assert_eq!(role.send(request.body(Body::empty()).unwrap()).await.status, status);
    }
}

#[tokio::test]
async fn so_many_are_kept() {
    let role = Role::start_with(Config { opaque_tokens_max: 2, ..config() }).await;
    let secret = register(&role).await;
    let token = access(&of_the_client(&role, &secret).await);
    access(&of_the_client(&role, &secret).await);
    let refused = of_the_client(&role, &secret).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text);
    assert_eq!(refused.json()["error"], "temporarily_unavailable");
    assert_eq!(introspect(&role, ("veil", &secret), &token).await["active"], true);
    // What is a JWT needs no room.
    assert!(role.admin("GET", "/v1/auth/keys", Value::Null).await.status.is_success());
    let unknown = json!({ "name": "x", "scope": "a:b", "profile": "oauth-2.1", "access_token_format": "paseto" });
    let refused = role.admin("POST", "/v1/auth/clients", unknown).await;
    assert_eq!(refused.json()["member"], "access_token_format", "{}", refused.text);
}
