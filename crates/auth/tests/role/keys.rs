//! Signing keys: they follow each other and nobody is refused, but where one is compromised.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use futures_util::future::BoxFuture;
use http::StatusCode;
use lombard_token::{Jwks, KeySource, KeySourceError, Revocation, Verifier, VerifyError};
use lombard_types::Timestamp;
use serde_json::{Value, json};

use super::{
    audit::found,
    support::{Answer, ISSUER, Role, SECRET},
};

async fn look(role: &Role) -> Value {
    role.admin("GET", "/v1/auth/keys", Value::Null).await.json()
}

/// The key with this phase.
async fn kid(role: &Role, phase: &str) -> String {
    let keys = look(role).await;
    let items = keys["items"].as_array().unwrap().clone();
    let found: Vec<_> = items.iter().filter(|key| key["phase"] == phase).collect();
    assert_eq!(found.len(), 1, "{keys}");
    found[0]["kid"].as_str().unwrap().to_owned()
}

async fn rotate(role: &Role, at_once: bool) -> Answer {
    role.admin("POST", "/v1/auth/keys/rotate", json!({ "at_once": at_once })).await
}

async fn compromise(role: &Role, kid: &str) -> Answer {
    role.admin("POST", &format!("/v1/auth/keys/{kid}/compromise"), Value::Null).await
}

async fn token(role: &Role) -> String {
    let parameters =
        [("grant_type", "client_credentials"), ("client_id", "admin"), ("client_secret", SECRET)];
    let answer = role.post("/oauth/token", &parameters).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

fn signed_by(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// A verifier elsewhere, which asks over HTTP.
#[derive(Clone)]
struct Remote(Arc<Role>);

impl KeySource for Remote {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async {
            let answer = self.0.get("/oauth/jwks").await;
            Jwks::parse(answer.text.as_bytes()).map_err(|error| KeySourceError(error.to_string()))
        })
    }
}

impl Remote {
    async fn verifier(&self) -> Verifier {
        let verifier = Verifier::new(ISSUER, format!("{ISSUER}/v1/auth"), Arc::new(self.clone()));
        verifier.refresh().await.unwrap();
        verifier
    }

    /// What the verifier hears of revocations, as over the wire.
    async fn hear(&self, verifier: &Verifier) {
        let feed = self.0.get("/oauth/revocations").await.json();
        let seconds =
            |entry: &Value, name: &str| Timestamp::from_unix_seconds(entry[name].as_u64().unwrap());
        let revocations = feed["revocations"].as_array().unwrap().iter().map(|entry| Revocation {
            key: entry["key"].as_str().unwrap().parse().unwrap(),
            at: seconds(entry, "at"),
            until: seconds(entry, "until"),
        });
        let now = Timestamp::from_system_time(SystemTime::now());
        verifier.revoked().hear(revocations.collect::<Vec<_>>(), now);
    }
}

#[tokio::test]
async fn the_next_key_is_known_before_it_signs_and_the_last_one_after() {
    let role = Role::start().await;
    let (active, standby) = (kid(&role, "active").await, kid(&role, "standby").await);
    let before = token(&role).await;
    assert_eq!(signed_by(&before), active);
    let early = rotate(&role, false).await;
    assert_eq!(early.status, StatusCode::CONFLICT);
    assert_eq!(early.json()["type"], "urn:lombard:error:signing-key-not-ready");
    let next = look(&role).await["next_step"].clone();
    assert_eq!(next["step"], "rotate");
    assert_eq!(rotate(&role, true).await.status, StatusCode::NO_CONTENT);
    assert_eq!(kid(&role, "active").await, standby);
    assert_eq!(kid(&role, "retiring").await, active);
    assert_eq!(signed_by(&token(&role).await), standby);
    let names = std::fs::read_dir(role.place.path().join("signing-keys")).unwrap();
    let mut names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
    names.sort();
    let next = kid(&role, "standby").await;
    let mut expected: Vec<std::ffi::OsString> =
        [&standby, &next].map(|kid| format!("{kid}.sealed").into()).into();
    expected.push("master.key".into());
    expected.sort();
    assert_eq!(names, expected, "what signs no more is destroyed");
    // A restart goes on with the same keys.
    let role = role.restart().await;
    assert_eq!(kid(&role, "active").await, standby);
    role.verifier().inspect(&before).unwrap();
    for (path, status) in [
        ("/v1/auth/keys/unknown/compromise", StatusCode::NOT_FOUND),
        ("/v1/auth/keys/a%2Fb/compromise", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(role.admin("POST", path, Value::Null).await.status, status, "{path}");
    }
}

/// Many issue and verify while the keys change again and again: nobody is refused. The verifier elsewhere fetches the set
/// after each change, as it does by the minute, and a key is a standby for longer than that.
#[tokio::test]
async fn rotation_under_load_refuses_nobody() {
    let role = Arc::new(Role::start().await);
    let remote = Remote(Arc::clone(&role));
    let verifier = remote.verifier().await;
    let (done, issued) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let issue = |_| {
        let (role, verifier) = (Arc::clone(&role), verifier.clone());
        let (done, issued) = (Arc::clone(&done), Arc::clone(&issued));
        tokio::spawn(async move {
            let mut first = None;
            while !done.load(Ordering::Relaxed) {
                let token = token(&role).await;
                verifier.verify(&token).unwrap();
                role.verifier().verify(&token).unwrap();
                verifier.verify(first.get_or_insert(token)).unwrap();
                issued.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        })
    };
    let issuers: Vec<_> = (0..8).map(issue).collect();
    for _ in 0..12 {
        assert_eq!(rotate(&role, true).await.status, StatusCode::NO_CONTENT);
        verifier.refresh().await.unwrap();
        let before = issued.load(Ordering::Relaxed);
        while issued.load(Ordering::Relaxed) < before + 16 {
            tokio::task::yield_now().await;
        }
    }
    done.store(true, Ordering::Relaxed);
    for issuer in issuers {
        issuer.await.unwrap();
    }
}

#[tokio::test]
async fn what_a_compromised_key_signed_is_refused_and_the_next_one_signs_at_once() {
    let role = Arc::new(Role::start().await);
    let remote = Remote(Arc::clone(&role));
    let verifier = remote.verifier().await;
    let (active, standby) = (kid(&role, "active").await, kid(&role, "standby").await);
    let stolen = token(&role).await;
    verifier.verify(&stolen).unwrap();
    assert_eq!(compromise(&role, &active).await.status, StatusCode::NO_CONTENT);
    remote.hear(&verifier).await;
    // The verifier has the old set still, and knows the token; it hears of the key only.
    assert_eq!(verifier.verify(&stolen).map(drop), Err(VerifyError::Revoked));
    let fresh = token(&role).await;
    assert_eq!(signed_by(&fresh), standby);
    verifier.verify(&fresh).unwrap();
    let published = role.get("/oauth/jwks").await.text;
    assert!(!published.contains(&active) && published.contains(&standby), "{published}");
    assert!(role.verifier().inspect_any(&stolen).is_err());
    assert_eq!(compromise(&role, &active).await.status, StatusCode::NOT_FOUND);
    assert_eq!(kid(&role, "active").await, standby);
}

#[tokio::test]
async fn lost_private_halves_are_followed_by_new_keys() {
    let role = Role::start().await;
    let before = token(&role).await;
    let (active, directory) = (kid(&role, "active").await, role.place.path().join("signing-keys"));
    std::fs::remove_file(directory.join(format!("{active}.sealed"))).unwrap();
    let role = role.restart().await;
    assert_eq!(kid(&role, "retiring").await, active);
    assert_ne!(signed_by(&token(&role).await), active);
    role.verifier().inspect(&before).unwrap();
}

/// Who changed a key is in the audit: an administrator, or the server itself, and why.
#[tokio::test]
async fn the_audit_says_who_changed_a_key() {
    let role = Role::start().await;
    let begun = &found(&role, "&action=key.begin", 1).await[0];
    assert_eq!(begun["subject"], "system/start");
    let active = kid(&role, "active").await;
    assert_eq!(begun["detail"], format!("alg=ES256 kid={active}"));
    assert_eq!(rotate(&role, true).await.status, StatusCode::NO_CONTENT);
    let active = kid(&role, "active").await;
    let rotated = &found(&role, "&action=key.rotate", 1).await[0];
    assert_eq!((&rotated["client_id"], &rotated["subject"]), (&json!("admin"), &json!("admin")));
    assert_eq!(rotated["detail"], format!("alg=ES256 kid={active}"));
    assert_eq!(compromise(&role, &active).await.status, StatusCode::NO_CONTENT);
    let taken_back = &found(&role, "&action=key.compromise", 1).await[0];
    assert_eq!(
        (&taken_back["client_id"], &taken_back["detail"]),
        (&json!("admin"), &json!(active))
    );
    let client = json!({
        "name": "x", "scope": "ledger:read", "profile": "oauth-2.1", "id_token_signed_response_alg": "EdDSA",
    });
    let made = role.admin("POST", "/v1/auth/clients", client).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let begun = found(&role, "&action=key.begin&subject=system/registration", 1).await;
    assert!(begun[0]["detail"].as_str().unwrap().starts_with("alg=EdDSA kid="), "{begun:?}");
}

#[tokio::test]
async fn only_administrators_change_keys() {
    let role = Role::start().await;
    let client = json!({
        "client_id": "reader", "name": "Reader", "scope": "auth:read", "profile": "oauth-2.1",
    });
    let made = role.admin("POST", "/v1/auth/clients", client).await.json();
    let secret = made["client_secret"].as_str().unwrap().to_owned();
    let (active, body) = (kid(&role, "active").await, json!({ "at_once": true }));
    for path in ["/v1/auth/keys/rotate".to_owned(), format!("/v1/auth/keys/{active}/compromise")] {
        let answer = role.call(("reader", &secret), "POST", &path, body.clone()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    let seen = role.call(("reader", &secret), "GET", "/v1/auth/keys", Value::Null).await;
    assert_eq!(seen.status, StatusCode::OK);
    assert!(!seen.text.contains("\"d\""), "no private half: {}", seen.text);
    assert_eq!(kid(&role, "active").await, active);
}
