//! Token exchange (RFC 8693): less than the token, for the same subject, with the one who acts.

use http::StatusCode;
use lombard_token::SigningKey;
use serde_json::json;

use crate::{
    bound::{post, proof},
    support::{Answer, Browser, Role, claims},
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The client `name`, which may exchange tokens for what it is registered for; its secret.
async fn register(role: &Role, name: &str, scope: &str) -> String {
    let client = json!({
        "client_id": name, "name": name, "scope": scope, "profile": "oauth-2.1",
        "grant_types": [GRANT, "client_credentials"], "authorization_details_types": ["payment"],
    });
    let made = role.admin("POST", "/v1/auth/clients", client).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    made.json()["client_secret"].as_str().unwrap().to_owned()
}

async fn exchange(
    role: &Role,
    (client, secret): (&str, &str),
    token: &str,
    changes: &[(&str, &str)],
) -> Answer {
    let mut parameters = vec![
        ("grant_type", GRANT),
        ("client_id", client),
        ("client_secret", secret),
        ("subject_token", token),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    for (name, value) in changes {
        parameters.retain(|(other, _)| other != name);
        parameters.push((name, value));
    }
    role.post("/oauth/token", &parameters).await
}

/// What ada allowed the shop.
async fn of_ada(role: &Role) -> String {
    let code = role.code(&Browser::default(), &[]).await;
    let tokens = role.redeem(&code, &[]).await.json();
    tokens["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_acts_for_the_subject_with_less() {
    let role = Role::start().await;
    let worker = register(&role, "worker", "ledger:read ledger:write").await;
    let helper = register(&role, "helper", "ledger:read").await;
    let token = of_ada(&role).await;
    let answer = exchange(&role, ("worker", &worker), &token, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = answer.json();
    assert_eq!(
        (&answer["issued_token_type"], &answer["token_type"]),
        (&json!(ACCESS_TOKEN), &json!("Bearer"))
    );
    assert!(answer.get("refresh_token").is_none() && answer.get("id_token").is_none());
    let first = answer["access_token"].as_str().unwrap();
    let (of_subject, of_worker) = (claims(&token), claims(first));
    for name in ["sub", "aud", "gid", "auth_time", "acr"] {
        assert_eq!(of_worker[name], of_subject[name], "{name}");
    }
    assert_eq!(of_worker["client_id"], "worker");
    assert_eq!(of_worker["act"], json!({ "sub": "worker" }));
    assert_eq!(of_worker["scope"], "ledger:read ledger:write:customers/1/*", "not who she is");
    assert!(of_worker["exp"].as_u64().unwrap() <= of_subject["exp"].as_u64().unwrap());
    // Again, by another one, with less still.
    let less = [("scope", "ledger:read")];
    let answer = exchange(&role, ("helper", &helper), first, &less).await.json();
    let second = answer["access_token"].as_str().unwrap();
    assert_eq!(claims(second)["act"], json!({ "sub": "helper", "act": { "sub": "worker" } }));
    assert_eq!(claims(second)["scope"], "ledger:read");
    let own = [("token", second), ("client_id", "helper"), ("client_secret", &helper)];
    let shown = role.post("/oauth/introspect", &own).await.json();
    assert_eq!(shown["act"]["act"]["sub"], "worker");
    // It ends with what it came from.
    assert!(
        role.verifier()
            .for_audience(claims(second)["aud"].as_str().unwrap())
            .inspect(second)
            .is_ok()
    );
    let path = "/v1/auth/users/ada/disable";
    assert_eq!(role.admin("POST", path, json!(null)).await.status, StatusCode::NO_CONTENT);
    for (token, client, secret) in [(first, "worker", &worker), (second, "helper", &helper)] {
        let own = [("token", token), ("client_id", client), ("client_secret", secret)];
        assert_eq!(role.post("/oauth/introspect", &own).await.json()["active"], false);
    }
}

#[tokio::test]
async fn nothing_is_widened() {
    let role = Role::start().await;
    let worker = register(&role, "worker", "ledger:read ledger:write registry:read").await;
    let who = ("worker", &*worker);
    let token = of_ada(&role).await;
    for (changes, error) in [
        (vec![("scope", "ledger:write")], "invalid_scope"),
        (vec![("scope", "registry:read")], "invalid_scope"),
        (vec![("scope", "admin")], "invalid_scope"),
        (vec![("scope", "openid")], "invalid_scope"),
        (vec![("resource", "http://127.0.0.1:8080/v1/registry")], "invalid_target"),
        (vec![("audience", "worker")], "invalid_target"),
        (vec![("subject_token", "x.y.z")], "invalid_grant"),
        (vec![("subject_token", "")], "invalid_request"),
        (vec![("subject_token_type", "")], "invalid_request"),
        (
            vec![("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
            "invalid_request",
        ),
        (
            vec![("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
            "invalid_request",
        ),
        (vec![("actor_token", "x"), ("actor_token_type", ACCESS_TOKEN)], "invalid_request"),
        (vec![("authorization_details", "[]")], "invalid_authorization_details"),
    ] {
        let answer = exchange(&role, who, &token, &changes).await;
        assert_eq!(answer.json()["error"], error, "{changes:?}: {}", answer.text);
    }
    // A client that is not registered for it, with a token that it holds.
    let secret = role.shop_secret();
    let answer = exchange(&role, ("shop", &secret), &token, &[]).await;
    assert_eq!(answer.json()["error"], "unauthorized_client");
    // A token that was taken back.
    let own = [("token", &*token), ("client_id", "shop"), ("client_secret", &*secret)];
    assert_eq!(role.post("/oauth/revoke", &own).await.status, StatusCode::OK);
    assert_eq!(exchange(&role, who, &token, &[]).await.json()["error"], "invalid_grant");
}

/// Whoever was shown a bound token, and has not its key, gets nothing for it.
#[tokio::test]
async fn a_bound_token_is_exchanged_by_whoever_has_its_key() {
    let role = Role::start().await;
    let worker = register(&role, "worker", "ledger:read").await;
    let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let at_token = |key| proof(key, "POST", "/oauth/token", None);
    let own = [("client_id", "worker"), ("client_secret", &*worker)];
    let with = |more: &[(&'static str, String)]| {
        let own = own.map(|(name, value)| (name, value.to_owned()));
        own.into_iter().chain(more.iter().cloned()).collect::<Vec<_>>()
    };
    let send = async |proofs: &[String], parameters: Vec<(&str, String)>| {
        let parameters: Vec<_> = parameters.iter().map(|(n, v)| (*n, v.as_str())).collect();
        post(&role, "/oauth/token", proofs, &parameters).await
    };
    let credentials = with(&[("grant_type", "client_credentials".to_owned())]);
    let bound = send(&[at_token(&key)], credentials).await.json();
    let token = bound["access_token"].as_str().unwrap().to_owned();
    let ask = || {
        with(&[
            ("grant_type", GRANT.to_owned()),
            ("subject_token", token.clone()),
            ("subject_token_type", ACCESS_TOKEN.to_owned()),
        ])
    };
    for proofs in [vec![], vec![at_token(&other)]] {
        assert_eq!(send(&proofs, ask()).await.json()["error"], "invalid_grant");
    }
    let answer = send(&[at_token(&key)], ask()).await;
    assert_eq!(answer.json()["token_type"], "DPoP", "{}", answer.text);
}
