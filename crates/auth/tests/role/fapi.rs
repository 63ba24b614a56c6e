//! The FAPI 2.0 Security Profile: what a client of it must do, and every weaker way, which is refused.

use http::StatusCode;
use lombard_token::{CLIENT_ASSERTION_TYPE, SigningKey, client_assertion};
use serde_json::{Value, json};

use crate::{
    bound::{post, proof},
    support::{Answer, Browser, ISSUER, Role, VERIFIER, claims},
};

const URI: &str = "https://bank.example/cb";
const SCOPE: &str = "openid offline_access ledger:read";

/// A client of the profile, with the key it authenticates with and the one that its tokens are bound to.
pub(crate) struct Bank {
    pub(crate) key: SigningKey,
    pub(crate) bound: SigningKey,
}

impl Bank {
    pub(crate) async fn registered(role: &Role) -> Self {
        let (key, bound) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let made = role.admin("POST", "/v1/auth/clients", metadata(&key)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        let made = made.json();
        assert_eq!(made["profile"], "fapi-2.0", "without a word about it");
        assert_eq!(made["require_pushed_authorization_requests"], true);
        assert_eq!(made["dpop_bound_access_tokens"], true);
        Self { key, bound }
    }

    pub(crate) fn assertion(&self, audience: &str) -> String {
        let now = lombard_types::Timestamp::from_system_time(std::time::SystemTime::now());
        let id = uuid::Uuid::new_v4().to_string();
        client_assertion(&self.key, "bank", audience, &id, now).unwrap()
    }

    /// An authenticated request, with or without the proof of a key.
    async fn send(
        &self,
        role: &Role,
        path: &str,
        is_proved: bool,
        parameters: &[(&str, &str)],
    ) -> Answer {
        self.send_to(role, (path, ISSUER), is_proved, parameters).await
    }

    async fn send_to(
        &self,
        role: &Role,
        (path, audience): (&str, &str),
        is_proved: bool,
        parameters: &[(&str, &str)],
    ) -> Answer {
        let assertion = self.assertion(audience);
        let own =
            [("client_assertion_type", CLIENT_ASSERTION_TYPE), ("client_assertion", &assertion)];
        let parameters: Vec<_> = own.into_iter().chain(parameters.iter().copied()).collect();
        let proofs: Vec<_> =
            is_proved.then(|| proof(&self.bound, "POST", path, None)).into_iter().collect();
        post(role, path, &proofs, &parameters).await
    }

    async fn push(&self, role: &Role, changes: &[(&str, &str)]) -> Answer {
        let changes: Vec<_> = own_request().into_iter().chain(changes.iter().copied()).collect();
        let parameters = Role::request(&changes);
        let parameters: Vec<_> = parameters.iter().map(|(n, v)| (*n, v.as_str())).collect();
        self.send(role, "/oauth/par", false, &parameters).await
    }

    /// A proof of the key that tokens are bound to.
    pub(crate) fn proof_at(&self, path: &str) -> String {
        proof(&self.bound, "POST", path, None)
    }

    /// A code that is good with that key only.
    pub(crate) async fn bound_code(&self, role: &Role) -> String {
        let thumbprint = self.bound.public_jwk().thumbprint();
        let pushed = self.push(role, &[("dpop_jkt", &thumbprint)]).await;
        self.code_of(role, pushed).await
    }

    /// From a pushed request to the code.
    async fn code(&self, role: &Role) -> String {
        let pushed = self.push(role, &[]).await;
        self.code_of(role, pushed).await
    }

    async fn code_of(&self, role: &Role, pushed: Answer) -> String {
        assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.text);
        assert!(pushed.json()["expires_in"].as_u64().unwrap() < 600);
        let uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
        let browser = Browser::default();
        let path = format!("/oauth/authorize?client_id=bank&request_uri={uri}");
        let answer = browser.get(role, &path).await;
        let answer = browser.go_on(role, answer).await;
        assert_eq!(answer.sent("iss").as_deref(), Some(ISSUER));
        answer.sent("code").unwrap()
    }
}

fn own_request() -> [(&'static str, &'static str); 3] {
    [("client_id", "bank"), ("redirect_uri", URI), ("scope", SCOPE)]
}

fn metadata(key: &SigningKey) -> Value {
    json!({
        "client_id": "bank", "name": "Bank", "scope": SCOPE, "jwk": key.public_jwk(),
        "redirect_uris": [URI],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
    })
}

#[tokio::test]
async fn from_a_pushed_request_to_bound_tokens() {
    let role = Role::start().await;
    let bank = Bank::registered(&role).await;
    let code = bank.code(&role).await;
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", URI),
        ("code_verifier", VERIFIER),
    ];
    let bearer = bank.send(&role, "/oauth/token", false, &redeem).await;
    assert_eq!(bearer.json()["error"], "invalid_dpop_proof", "and the code is not spent");
    let issued = bank.send(&role, "/oauth/token", true, &redeem).await;
    assert_eq!(issued.status, StatusCode::OK, "{}", issued.text);
    let issued = issued.json();
    assert_eq!(issued["token_type"], "DPoP");
    let thumbprint = bank.bound.public_jwk().thumbprint();
    assert_eq!(claims(issued["access_token"].as_str().unwrap())["cnf"]["jkt"], thumbprint);
    // Refresh tokens do not rotate: the same one is good again and again, with the client's key and a proof only.
    let refresh = issued["refresh_token"].as_str().unwrap();
    let again = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    for _ in 0..3 {
        let next = bank.send(&role, "/oauth/token", true, &again).await;
        assert_eq!(next.status, StatusCode::OK, "{}", next.text);
        assert_eq!(
            (&next.json()["refresh_token"], &next.json()["token_type"]),
            (&json!(refresh), &json!("DPoP"))
        );
    }
    let bearer = bank.send(&role, "/oauth/token", false, &again).await;
    assert_eq!(bearer.json()["error"], "invalid_dpop_proof");
    let own = [("grant_type", "client_credentials"), ("scope", "ledger:read")];
    assert_eq!(bank.send(&role, "/oauth/token", true, &own).await.json()["token_type"], "DPoP");
    let bearer = bank.send(&role, "/oauth/token", false, &own).await;
    assert_eq!(bearer.json()["error"], "invalid_dpop_proof");
}

#[tokio::test]
async fn every_weaker_way_is_refused() {
    let role = Role::start().await;
    let bank = Bank::registered(&role).await;
    // A request that the browser brings, whoever wrote it.
    let answer = Browser::default().authorize(&role, &own_request()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text.contains("must push"), "{}", answer.text);
    // Pushed requests without PKCE, with `plain`, to another place, or for an implicit grant.
    for (changes, error) in [
        ([("code_challenge", "")], "invalid_request"),
        ([("code_challenge_method", "plain")], "invalid_request"),
        ([("redirect_uri", "https://bank.example/other")], "invalid_request"),
        ([("response_type", "token")], "unsupported_response_type"),
        ([("request", "a.b.c")], "invalid_request_object"),
    ] {
        assert_eq!(bank.push(&role, &changes).await.json()["error"], error, "{changes:?}");
    }
    // Assertions for the endpoint, which RFC 7523 would let pass, and no authentication at all.
    let own = [("grant_type", "client_credentials")];
    for audience in [format!("{ISSUER}/oauth/token"), format!("{ISSUER}/"), "x".to_owned()] {
        let answer = bank.send_to(&role, ("/oauth/token", &audience), true, &own).await;
        assert_eq!(answer.json()["error"], "invalid_client", "{audience}");
    }
    let proofs = [proof(&bank.bound, "POST", "/oauth/token", None)];
    for parameters in [
        vec![("client_id", "bank"), own[0]],
        vec![("client_id", "bank"), ("client_secret", "x"), own[0]],
    ] {
        let answer = post(&role, "/oauth/token", &proofs, &parameters).await;
        assert_eq!(answer.json()["error"], "invalid_client");
    }
}

#[tokio::test]
async fn a_client_is_what_its_profile_makes_it_and_the_plain_profile_is_said() {
    let role = Role::start().await;
    let key = SigningKey::generate().unwrap();
    let with = |changes: Value| {
        let mut client = metadata(&key);
        for (name, value) in changes.as_object().unwrap() {
            client[name] = value.clone();
        }
        client
    };
    for (changes, blamed) in [
        (json!({ "jwk": null }), "profile"),
        (json!({ "jwk": null, "token_endpoint_auth_method": "client_secret_basic" }), "profile"),
        (json!({ "redirect_uris": ["http://127.0.0.1/cb"] }), "profile"),
        (json!({ "profile": "fapi-1.0" }), "profile"),
        (
            json!({
                "profile": "fapi-2.0", "jwk": null, "token_endpoint_auth_method": "none",
                "grant_types": ["authorization_code"],
            }),
            "profile",
        ),
    ] {
        let answer = role.admin("POST", "/v1/auth/clients", with(changes.clone())).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{changes}: {}", answer.text);
        assert_eq!(answer.json()["member"], blamed, "{changes}");
    }
    let plain = with(json!({ "jwk": null, "profile": "oauth-2.1" }));
    let made = role.admin("POST", "/v1/auth/clients", plain).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    for path in ["/v1/auth/clients/bank", "/v1/auth/clients/app", "/v1/auth/clients/admin"] {
        let shown = role.admin("GET", path, Value::Null).await.json();
        assert_eq!(shown["profile"], "oauth-2.1", "{path}");
        assert_eq!(shown["dpop_bound_access_tokens"], false);
    }
}
