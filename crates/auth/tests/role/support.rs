//! The role in process with a client and a person, and a browser that keeps cookies and fills in forms.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use lombard_auth::{Auth, Config, Deps};
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_log::{Log as _, MemoryLog};
use lombard_token::{DpopNonces, Verifier};
use lombard_types::Position;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

pub(crate) const ISSUER: &str = "http://127.0.0.1:8080";
pub(crate) const SECRET: &str = "admin-secret-of-256-bits";
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const REDIRECT_URI: &str = "https://shop.example/cb?tenant=7";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// The running role.
pub(crate) struct Role {
    pub(crate) router: Router,
    /// For the listener on which clients show certificates.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    verifier: Verifier,
    issuer: &'static str,
    drain: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    pub(crate) log: MemoryLog,
    pub(crate) metrics: Metrics,
    pub(crate) place: TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub(crate) fn location(&self) -> String {
        let location = self.headers.get(header::LOCATION);
        assert!(location.is_some(), "{} {}", self.status, self.text);
        location.unwrap().to_str().unwrap().to_owned()
    }

    /// A parameter of the URL that the browser is sent to.
    pub(crate) fn sent(&self, name: &str) -> Option<String> {
        let location = self.location();
        let url = url::Url::parse(&location).unwrap();
        url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
    }
}

pub(crate) fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
}

pub(crate) fn form(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

pub(crate) fn config() -> Config {
    Config { password_memory_kib: 64, password_passes: 1, ..Config::default() }
}

impl Role {
    /// With the person `ada`, who may read the ledger and write to her accounts, the confidential client `shop` and the
    /// public client `app`.
    pub(crate) async fn start() -> Self {
        Self::start_with(config()).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        Self::start_as(ISSUER, config).await
    }

    /// Where browsers see it under another URL.
    pub(crate) async fn start_at(issuer: &'static str) -> Self {
        Self::start_as(issuer, config()).await
    }

    async fn start_as(issuer: &'static str, config: Config) -> Self {
        let place = tempfile::tempdir().unwrap();
        let clients = json!({ "clients": [
            { "client_id": "admin", "name": "Admin", "scope": "admin", "secret_sha256": sha256(SECRET) },
        ]});
        std::fs::write(place.path().join("clients.json"), clients.to_string()).unwrap();
        let role = Self::begin(issuer, place, MemoryLog::new(), config, None).await;
        let ada = json!({
            "name": "ada", "display_name": "Ada Lovelace", "email": "ada@bank.example",
            "scope": "ledger:read ledger:write:customers/1/*", "password": PASSWORD,
        });
        assert_eq!(role.admin("POST", "/v1/auth/users", ada).await.status, StatusCode::CREATED);
        let scope = "openid profile email offline_access ledger:read ledger:write";
        let client = |id: &str, method: &str, uri: &str| {
            json!({
                "client_id": id, "name": "Shop & Söhne", "scope": scope, "redirect_uris": [uri],
                "profile": "oauth-2.1", "token_endpoint_auth_method": method, "authorization_details_types": ["payment"],
                "post_logout_redirect_uris": ["https://shop.example/bye"],
            })
        };
        for client in [
            client("shop", "client_secret_basic", REDIRECT_URI),
            client("app", "none", "http://127.0.0.1/cb"),
        ] {
            let answer = role.admin("POST", "/v1/auth/clients", client).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
            if let Some(secret) = answer.json()["client_secret"].as_str() {
                std::fs::write(role.place.path().join("shop.secret"), secret).unwrap();
            }
        }
        role
    }

    /// The same again, where proofs of possession must have nonces.
    pub(crate) async fn restart_with_nonces(self, nonces: DpopNonces) -> Self {
        let issuer = self.issuer;
        let (place, log) = self.stop().await;
        Self::begin(issuer, place, log, config(), Some(nonces)).await
    }

    /// On a log and files that may be there already.
    async fn begin(
        issuer: &'static str,
        place: TempDir,
        log: MemoryLog,
        config: Config,
        nonces: Option<DpopNonces>,
    ) -> Self {
        let (health, metrics) = (Health::starting(), Metrics::new("auth"));
        let deps = Deps {
            log: Arc::new(log.clone()),
            snapshot_directory: None,
            issuer: issuer.to_owned(),
            dpop_nonces: nonces.map(Arc::new),
            signing_keys_directory: place.path().join("signing-keys"),
            server_secret_file: place.path().join("server.secret"),
            bootstrap_file: Some(place.path().join("clients.json")),
            health: health.clone(),
            metrics: metrics.clone(),
        };
        let auth = Auth::new(config, deps).unwrap();
        let (router, verifier, tls) = (auth.router(), auth.verifier(), auth.tls());
        let drain = CancellationToken::new();
        let run = auth.run(drain.clone());
        let running = tokio::spawn(async move { run.await.unwrap() });
        health.wait_until_ready().await;
        Self { router, tls, verifier, issuer, drain, running, log, metrics, place }
    }

    /// What the role verifies its own tokens with.
    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Ends this life: two at once would write to one log.
    async fn stop(self) -> (TempDir, MemoryLog) {
        self.drain.cancel();
        self.running.await.unwrap();
        (self.place, self.log)
    }

    /// The same again, as after a restart.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(config()).await
    }

    /// The same again with another configuration.
    pub(crate) async fn restart_with(self, config: Config) -> Self {
        let issuer = self.issuer;
        let (place, log) = self.stop().await;
        Self::begin(issuer, place, log, config, None).await
    }

    pub(crate) fn shop_secret(&self) -> String {
        std::fs::read_to_string(self.place.path().join("shop.secret")).unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn post(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form(parameters)));
        self.send(request.unwrap()).await
    }

    /// A request with nothing in it.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call(("admin", SECRET), method, path, body).await
    }

    /// A request with the token of a client with a secret.
    pub(crate) async fn call(
        &self,
        (client_id, client_secret): (&str, &str),
        method: &str,
        path: &str,
        body: Value,
    ) -> Answer {
        let parameters = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", client_secret),
        ];
        let token = self.post("/oauth/token", &parameters).await;
        let token = token.json()["access_token"].as_str().unwrap().to_owned();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A request of the client `shop`, with parameters added, replaced, or with an empty value taken away.
    pub(crate) fn request<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, String)> {
        let mut parameters: BTreeMap<&str, String> = [
            ("client_id", "shop"),
            ("redirect_uri", REDIRECT_URI),
            ("response_type", "code"),
            ("scope", "openid profile offline_access ledger:read ledger:write"),
            ("state", "a state&more"),
            ("nonce", "n-0S6"),
            ("code_challenge_method", "S256"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        parameters.insert("code_challenge", sha256(VERIFIER));
        for (name, value) in changes {
            match *value {
                "" => drop(parameters.remove(name)),
                value => drop(parameters.insert(name, value.to_owned())),
            }
        }
        parameters.into_iter().collect()
    }

    /// From the request to the code, with login and consent.
    pub(crate) async fn code(&self, browser: &Browser, changes: &[(&str, &str)]) -> String {
        let answer = browser.authorize(self, changes).await;
        let answer = browser.go_on(self, answer).await;
        answer.sent("code").unwrap_or_else(|| panic!("{}", answer.location()))
    }

    /// Redeems a code of `shop`.
    pub(crate) async fn redeem(&self, code: &str, changes: &[(&str, &str)]) -> Answer {
        let secret = self.shop_secret();
        let mut parameters: BTreeMap<&str, &str> = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
            ("client_id", "shop"),
            ("client_secret", &*secret),
        ]
        .into();
        parameters.extend(changes.iter().copied());
        parameters.retain(|_, value| !value.is_empty());
        let parameters: Vec<_> = parameters.into_iter().collect();
        self.post("/oauth/token", &parameters).await
    }

    pub(crate) async fn refresh(&self, token: &str, changes: &[(&str, &str)]) -> Answer {
        let secret = self.shop_secret();
        let mut parameters: BTreeMap<&str, &str> = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", "shop"),
            ("client_secret", &*secret),
        ]
        .into();
        parameters.extend(changes.iter().copied());
        parameters.retain(|_, value| !value.is_empty());
        let parameters: Vec<_> = parameters.into_iter().collect();
        self.post("/oauth/token", &parameters).await
    }

    pub(crate) async fn is_active(&self, token: &str) -> bool {
        let secret = self.shop_secret();
        let parameters = [("token", token), ("client_id", "shop"), ("client_secret", &*secret)];
        self.post("/oauth/introspect", &parameters).await.json()["active"] == true
    }

    pub(crate) async fn userinfo(&self, token: &str) -> Answer {
        let request = Request::get("/oauth/userinfo")
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// How often that was counted.
    pub(crate) fn counted(&self, series: &str) -> Option<u64> {
        let text = self.metrics.encode().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|count| count.parse().unwrap())
    }

    /// All that was ever recorded, when the audit of what was answered before is.
    pub(crate) async fn recorded_bytes(&self) -> Vec<u8> {
        // An administrator's change is answered after its entry, and all before it.
        self.admin("PUT", "/v1/auth/groups/mark", json!({ "scope": "" })).await;
        let records = self.log.read(Position::START, 16 << 20).await.unwrap();
        records.iter().flat_map(|record| record.payload.to_vec()).collect()
    }

    /// The same as text.
    pub(crate) async fn recorded(&self) -> String {
        String::from_utf8_lossy(&self.recorded_bytes().await).into_owned()
    }
}

/// Keeps cookies, follows no redirect by itself.
#[derive(Default)]
pub(crate) struct Browser {
    pub(crate) cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    pub(crate) async fn get(&self, role: &Role, path: &str) -> Answer {
        self.send(role, Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, role: &Role, path: &str, body: &[(&str, &str)]) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ORIGIN, role.issuer)
            .body(Body::from(form(body)));
        self.send(role, request.unwrap()).await
    }

    pub(crate) async fn send(&self, role: &Role, mut request: Request<Body>) -> Answer {
        let cookies: Vec<String> = {
            let kept = self.cookies.lock().unwrap();
            kept.iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        if !cookies.is_empty() {
            request.headers_mut().insert(header::COOKIE, cookies.join("; ").parse().unwrap());
        }
        let answer = role.send(request).await;
        for set in answer.headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            assert!(set.contains("; HttpOnly; SameSite=Lax"), "{set}");
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    pub(crate) async fn authorize(&self, role: &Role, changes: &[(&str, &str)]) -> Answer {
        let parameters = Role::request(changes);
        let parameters: Vec<_> = parameters.iter().map(|(n, v)| (*n, v.as_str())).collect();
        self.get(role, &format!("/oauth/authorize?{}", form(&parameters))).await
    }

    /// Follows redirects within the server, logs in as `ada` and allows, until the browser is sent to a client.
    pub(crate) async fn go_on(&self, role: &Role, mut answer: Answer) -> Answer {
        for _ in 0..8 {
            if answer.status != StatusCode::SEE_OTHER {
                answer = self.submit(role, &answer, ("ada", PASSWORD), "allow").await;
                continue;
            }
            let location = answer.location();
            if location.contains("://") {
                return answer;
            }
            answer = self.get(role, &format!("/oauth/{location}")).await;
        }
        panic!("no end: {} {}", answer.status, answer.text);
    }

    /// Fills in the form of a page and sends it.
    pub(crate) async fn submit(
        &self,
        role: &Role,
        page: &Answer,
        (name, password): (&str, &str),
        decision: &str,
    ) -> Answer {
        let hidden = |name: &str| hidden(&page.text, name);
        let (request, csrf, shown) = (hidden("request"), hidden("csrf"), hidden("shown"));
        if page.text.contains("id=\"login\"") {
            let body = [
                ("request", &*request),
                ("csrf", &csrf),
                ("username", name),
                ("password", password),
            ];
            return self.post(role, "/oauth/login", &body).await;
        }
        assert!(page.text.contains("id=\"consent\""), "{} {}", page.status, page.text);
        let body =
            [("request", &*request), ("csrf", &csrf), ("shown", &shown), ("decision", decision)];
        self.post(role, "/oauth/consent", &body).await
    }

    /// Goes to the first page with a form.
    pub(crate) async fn page(&self, role: &Role, mut answer: Answer) -> Answer {
        while answer.status == StatusCode::SEE_OTHER && !answer.location().contains("://") {
            let location = answer.location();
            answer = self.get(role, &format!("/oauth/{location}")).await;
        }
        answer
    }

    /// Logged in as `ada`.
    pub(crate) async fn logged_in(role: &Role) -> Self {
        let browser = Self::default();
        role.code(&browser, &[]).await;
        browser
    }
}

/// The value of a hidden field.
pub(crate) fn hidden(page: &str, name: &str) -> String {
    let begin = format!("name=\"{name}\" value=\"");
    let found = page.split_once(&begin).and_then(|(_, rest)| rest.split_once('"'));
    found.map(|(value, _)| value.to_owned()).unwrap_or_default()
}

/// The claims of a token, whose signature is not the matter here.
pub(crate) fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}
