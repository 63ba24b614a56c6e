//! Back-channel logout: clients hear that a person has left, again and again until they say that they have.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, routing::post};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use crate::support::{Browser, ISSUER, Role, claims, form};

/// A client's server, which answers with these statuses in turn, then with 200.
struct Client {
    uri: String,
    told: mpsc::UnboundedReceiver<String>,
}

type Heard = (mpsc::UnboundedSender<String>, Arc<Mutex<Vec<StatusCode>>>);

async fn hear(State((told, statuses)): State<Heard>, body: String) -> StatusCode {
    told.send(body).unwrap();
    let mut statuses = statuses.lock();
    if statuses.is_empty() { StatusCode::OK } else { statuses.remove(0) }
}

impl Client {
    async fn start(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/logout?tenant=7", listener.local_addr().unwrap());
        let (sender, told) = mpsc::unbounded_channel();
        let statuses = statuses.iter().map(|it| StatusCode::from_u16(*it).unwrap()).collect();
        let state: Heard = (sender, Arc::new(Mutex::new(statuses)));
        let router = Router::new().route("/logout", post(hear)).with_state(state);
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { uri, told }
    }

    async fn register(&self, role: &Role) {
        let client = json!({
            "client_id": "till", "name": "Till", "scope": "openid ledger:read", "profile": "oauth-2.1",
            "redirect_uris": ["https://till.example/cb"], "backchannel_logout_uri": self.uri,
            "token_endpoint_auth_method": "none",
        });
        let answer = role.admin("POST", "/v1/auth/clients", client).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        let shown = role.admin("GET", "/v1/auth/clients/till", Value::Null).await.json();
        assert_eq!(shown["backchannel_logout_uri"], self.uri);
    }

    /// The next logout token.
    async fn token(&mut self) -> String {
        let body = tokio::time::timeout(Duration::from_secs(60), self.told.recv()).await;
        let body = body.unwrap().unwrap();
        body.strip_prefix("logout_token=").unwrap_or_else(|| panic!("{body}")).to_owned()
    }
}

/// Logs in, and has `till` know of it.
async fn known(role: &Role, browser: &Browser, scope: &str) -> Value {
    let changes =
        [("client_id", "till"), ("redirect_uri", "https://till.example/cb"), ("scope", scope)];
    let code = role.code(browser, &changes).await;
    let own =
        [("client_id", "till"), ("client_secret", ""), ("redirect_uri", "https://till.example/cb")];
    role.redeem(&code, &own).await.json()
}

async fn log_out(role: &Role, browser: &Browser, id_token: &str) {
    let path = format!("/oauth/logout?{}", form(&[("id_token_hint", id_token)]));
    assert!(browser.get(role, &path).await.text.contains("id=\"logged-out\""));
}

#[tokio::test]
async fn a_client_hears_that_a_person_has_left() {
    let (role, browser) = (Role::start().await, Browser::default());
    let mut till = Client::start(&[500, 503]).await;
    till.register(&role).await;
    let tokens = known(&role, &browser, "openid ledger:read").await;
    let id_token = tokens["id_token"].as_str().unwrap();
    log_out(&role, &browser, id_token).await;
    // Twice it could not; the third time it has heard.
    let told = [till.token().await, till.token().await, till.token().await];
    for token in &told {
        let (said, id) = (claims(token), claims(id_token));
        assert_eq!((&said["iss"], &said["aud"]), (&json!(ISSUER), &json!("till")));
        assert_eq!((&said["sub"], &said["sid"]), (&id["sub"], &id["sid"]));
        assert_eq!(
            said["events"],
            json!({ "http://schemas.openid.net/event/backchannel-logout": {} })
        );
        assert!(said.get("nonce").is_none(), "section 2.4: it is taken for no ID token");
        assert!(said["exp"].as_u64().unwrap() - said["iat"].as_u64().unwrap() <= 120);
        let header = claims(&format!(".{}", token.split('.').next().unwrap()));
        assert_eq!(header["typ"], "logout+jwt");
        // Nor for a hint, nor for an access token.
        let hint = format!("/oauth/logout?{}", form(&[("id_token_hint", token)]));
        assert_eq!(role.get(&hint).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(role.userinfo(token).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_ne!(claims(&told[0])["jti"], claims(&told[1])["jti"]);
    // A login and a logout later, exactly one more is told.
    let tokens = known(&role, &browser, "openid ledger:read").await;
    log_out(&role, &browser, tokens["id_token"].as_str().unwrap()).await;
    let next = till.token().await;
    assert_ne!(claims(&next)["sid"], claims(&told[0])["sid"]);
    assert!(till.told.try_recv().is_err());
}

/// What an administrator ends is told too, after a restart if need be; who knows of no ID token is told nothing.
#[tokio::test]
async fn what_is_not_told_before_a_restart_is_told_after_it() {
    let role = Role::start().await;
    let (browser, other) = (Browser::default(), Browser::default());
    let mut till = Client::start(&[500, 500, 500]).await;
    till.register(&role).await;
    let sid = |tokens: &Value| claims(tokens["id_token"].as_str().unwrap())["sid"].clone();
    let first = sid(&known(&role, &browser, "openid ledger:read").await);
    let tokens = known(&role, &other, "ledger:read").await;
    assert!(tokens["access_token"].is_string());
    let body = json!({ "password": "another horse battery" });
    role.admin("PUT", "/v1/auth/users/ada/password", body).await;
    assert_eq!(claims(&till.token().await)["sid"], first);
    let role = role.restart().await;
    // Refused twice more, and heard then.
    for _ in 0..3 {
        assert_eq!(claims(&till.token().await)["sid"], first, "the other session has no ID token");
    }
    drop(role);
}

#[tokio::test]
async fn where_logouts_may_be_sent() {
    let local = Role::start().await;
    // Whoever registers a client must not reach what listens beside the platform.
    let other = Role::start_at("https://bank.example").await;
    for (role, uri) in [
        (&local, "https://till.example/out"),
        (&local, "http://till.example/out"),
        (&local, "com.example.till:/out"),
        (&local, "x"),
        (&other, "http://127.0.0.1:9000/out"),
        (&other, "http://localhost/out"),
    ] {
        let client = json!({
            "client_id": "till", "name": "Till", "scope": "openid", "profile": "oauth-2.1",
            "redirect_uris": ["https://till.example/cb"], "backchannel_logout_uri": uri,
        });
        let answer = role.admin("POST", "/v1/auth/clients", client).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}: {}", answer.text);
        assert!(answer.text.contains("backchannel_logout_uri"), "{}", answer.text);
    }
    let metadata = local.get("/.well-known/openid-configuration").await.json();
    assert_eq!(metadata["backchannel_logout_supported"], true);
    assert_eq!(metadata["backchannel_logout_session_supported"], true);
}
