//! Signed requests (RFC 9101), signed answers (JARM) and signed introspection (RFC 9701): FAPI 2.0 Message Signing.

use axum::body::Body;
use http::{Request, StatusCode, header};
use lombard_token::{
    CLIENT_ASSERTION_TYPE, Jwks, SigningKey, client_assertion, verify_own_id_token,
};
use lombard_types::Timestamp;
use serde_json::{Value, json};

use crate::support::{
    Answer, Browser, ISSUER, PASSWORD, Role, VERIFIER, claims, form, hidden, sha256,
};

const URI: &str = "https://signer.example/cb";
const SCOPE: &str = "openid offline_access ledger:read";

fn now() -> u64 {
    Timestamp::from_system_time(std::time::SystemTime::now()).unix_seconds()
}

/// A client of the plain profile with a key, so that its browser may bring requests too.
struct Signer {
    role: Role,
    key: SigningKey,
}

impl Signer {
    async fn start(is_required: bool) -> Self {
        let (role, key) = (Role::start().await, SigningKey::generate().unwrap());
        let client = json!({
            "client_id": "signer", "name": "Signer", "profile": "oauth-2.1", "scope": SCOPE, "redirect_uris": [URI],
            "jwk": key.public_jwk(), "require_signed_request_object": is_required,
            "authorization_details_types": ["payment"],
        });
        let made = role.admin("POST", "/v1/auth/clients", client).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        assert_eq!(made.json()["require_signed_request_object"], is_required);
        Self { role, key }
    }

    fn claims() -> Value {
        json!({
            "iss": "signer", "aud": ISSUER, "nbf": now(), "exp": now() + 60, "jti": "1", "client_id": "signer",
            "redirect_uri": URI, "response_type": "code", "scope": SCOPE, "state": "signed", "nonce": "n",
            "code_challenge": sha256(VERIFIER), "code_challenge_method": "S256", "max_age": 3600,
        })
    }

    fn sign(&self, claims: &Value) -> String {
        self.key.sign("oauth-authz-req+jwt", claims.to_string().as_bytes()).unwrap()
    }

    fn with(&self, name: &str, value: Value) -> String {
        let mut claims = Self::claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        self.sign(&claims)
    }

    async fn push(&self, parameters: &[(&str, &str)]) -> Answer {
        let at = Timestamp::from_system_time(std::time::SystemTime::now());
        let id = uuid::Uuid::new_v4().to_string();
        let assertion = client_assertion(&self.key, "signer", ISSUER, &id, at).unwrap();
        let own =
            [("client_assertion_type", CLIENT_ASSERTION_TYPE), ("client_assertion", &*assertion)];
        let parameters: Vec<_> = own.into_iter().chain(parameters.iter().copied()).collect();
        self.role.post("/oauth/par", &parameters).await
    }

    async fn ask(&self, browser: &Browser, parameters: &[(&str, &str)]) -> Answer {
        browser.get(&self.role, &format!("/oauth/authorize?{}", form(parameters))).await
    }
}

#[tokio::test]
async fn what_a_client_has_signed_counts_and_nothing_beside_it() {
    let signer = Signer::start(true).await;
    let object = signer.sign(&Signer::claims());
    // By the browser, with what an attacker has put beside it.
    let browser = Browser::default();
    let beside = [
        ("client_id", "signer"),
        ("request", &*object),
        ("redirect_uri", "https://evil.example/"),
        ("state", "forged"),
        ("scope", "ledger:write"),
        ("response_mode", "fragment"),
    ];
    let answer = signer.ask(&browser, &beside).await;
    let answer = browser.go_on(&signer.role, answer).await;
    assert!(answer.location().starts_with(URI));
    assert_eq!(answer.sent("state").as_deref(), Some("signed"));
    assert!(answer.sent("code").is_some());
    // Pushed.
    let pushed = signer.push(&[("request", &*object), ("state", "forged")]).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.text);
    let uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
    let browser = Browser::default();
    let answer = signer.ask(&browser, &[("client_id", "signer"), ("request_uri", &uri)]).await;
    let answer = browser.go_on(&signer.role, answer).await;
    assert_eq!(answer.sent("state").as_deref(), Some("signed"));
    // What is not signed is refused, of a client that must sign.
    let plain = Role::request(&[("client_id", "signer"), ("redirect_uri", URI), ("scope", SCOPE)]);
    let plain: Vec<_> = plain.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(signer.push(&plain).await.json()["error"], "invalid_request");
    assert_eq!(signer.ask(&Browser::default(), &plain).await.status, StatusCode::BAD_REQUEST);
}

/// RFC 9101 section 10, RFC 8725: every other JWT, and every object that is not for now, for here, and the client's.
#[tokio::test]
async fn request_objects_that_are_refused() {
    let signer = Signer::start(false).await;
    let claims_text = Signer::claims().to_string();
    let typed = |typ: &str| signer.key.sign(typ, claims_text.as_bytes()).unwrap();
    let at = Timestamp::from_system_time(std::time::SystemTime::now());
    let assertion = client_assertion(&signer.key, "signer", ISSUER, "x", at).unwrap();
    let foreign = SigningKey::generate().unwrap();
    let foreign = foreign.sign("oauth-authz-req+jwt", claims_text.as_bytes()).unwrap();
    let good = signer.sign(&Signer::claims());
    let (head, rest) = good.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoib2F1dGgtYXV0aHotcmVxK2p3dCJ9";
    let unsigned = format!("{none}.{}.", rest.split_once('.').unwrap().0);
    assert!(head != none);
    let objects = [
        ("no JWT", "x".to_owned()),
        ("unsigned", unsigned),
        ("typ JWT", typed("JWT")),
        ("typ of an access token", typed("at+jwt")),
        ("an assertion", assertion),
        ("of a foreign key", foreign),
        ("of nobody", signer.with("iss", json!(null))),
        ("of another", signer.with("iss", json!("shop"))),
        ("for another client", signer.with("client_id", json!("shop"))),
        ("for no client", signer.with("client_id", json!(null))),
        ("for nobody", signer.with("aud", json!(null))),
        ("for another server", signer.with("aud", json!("https://other.example"))),
        ("for the endpoint", signer.with("aud", json!(format!("{ISSUER}/oauth/par")))),
        ("for two", signer.with("aud", json!([ISSUER, "https://other.example"]))),
        ("without exp", signer.with("exp", json!(null))),
        ("without nbf", signer.with("nbf", json!(null))),
        ("expired", signer.with("exp", json!(now() - 11))),
        ("not yet valid", signer.with("nbf", json!(now() + 30))),
        ("too old", signer.with("nbf", json!(now() - 3700))),
        ("good for too long", signer.with("exp", json!(now() + 3700))),
        ("another within", signer.with("request", json!("x"))),
        ("a place within", signer.with("request_uri", json!("https://evil.example"))),
        ("a state that is no text", signer.with("state", json!({}))),
        ("scopes in a list", signer.with("scope", json!(["openid"]))),
        ("a line break", signer.with("state", json!("a\nb"))),
    ];
    for (what, object) in &objects {
        let refused = signer.push(&[("request", object)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{what}");
        assert_eq!(refused.json()["error"], "invalid_request_object", "{what}: {}", refused.text);
        // At the browser the object is not believed, so neither is its redirect URI.
        let browser = Browser::default();
        let refused = signer.ask(&browser, &[("client_id", "signer"), ("request", object)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{what}");
    }
    // Of a client without a key, and from a place.
    let mut parameters = Role::request(&[("request", &good)]);
    parameters.push(("client_secret", signer.role.shop_secret()));
    let parameters: Vec<_> =
        parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let refused = signer.role.post("/oauth/par", &parameters).await;
    assert_eq!(refused.json()["error"], "invalid_request_object");
    let fetched = [("client_id", "signer"), ("request_uri", "https://evil.example/object")];
    assert_eq!(signer.ask(&Browser::default(), &fetched).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(signer.push(&fetched).await.json()["error"], "invalid_request");
    // What it says is checked as if it were said in a form.
    for (name, value, error) in [
        ("redirect_uri", json!("https://evil.example"), "invalid_request"),
        ("code_challenge_method", json!("plain"), "invalid_request"),
        ("response_type", json!("code id_token"), "unsupported_response_type"),
    ] {
        let object = signer.with(name, value);
        assert_eq!(signer.push(&[("request", &object)]).await.json()["error"], error, "{name}");
    }
    let details = json!([{ "type": "payment", "amount": "5.00", "asset": "EUR", "debtor_account": "customers/1/a", "creditor_account": "b" }]);
    let object = signer.with("authorization_details", details);
    assert_eq!(signer.push(&[("request", &object)]).await.status, StatusCode::CREATED);
}

/// The claims of an answer, if the server has signed it as one.
async fn answer_of(role: &Role, answer: &Answer) -> Value {
    assert_eq!(answer.sent("code").or(answer.sent("error")).or(answer.sent("state")), None);
    let response = answer.sent("response").unwrap();
    let jwks = Jwks::parse(role.get("/oauth/jwks").await.text.as_bytes()).unwrap();
    // It is no ID token, whatever key has signed it.
    assert!(jwks.keys.iter().all(|key| verify_own_id_token(&response, key).is_err()));
    assert!(role.verifier().inspect(&response).is_err());
    claims(&response)
}

#[tokio::test]
async fn answers_are_signed_where_the_client_asks() {
    let signer = Signer::start(false).await;
    for mode in ["jwt", "query.jwt"] {
        let object = signer.with("response_mode", json!(mode));
        let browser = Browser::default();
        let asked = [("client_id", "signer"), ("request", &*object)];
        let answer = signer.ask(&browser, &asked).await;
        let answer = browser.go_on(&signer.role, answer).await;
        let said = answer_of(&signer.role, &answer).await;
        assert_eq!(
            (&said["iss"], &said["aud"], &said["state"]),
            (&json!(ISSUER), &json!("signer"), &json!("signed"))
        );
        assert!(said["code"].is_string());
        assert!((now()..=now() + 600).contains(&said["exp"].as_u64().unwrap()));
    }
    // Errors too.
    for (name, value, error) in [
        ("prompt", json!("none"), "login_required"),
        ("scope", json!("registry:read"), "invalid_scope"),
        ("code_challenge", json!(null), "invalid_request"),
    ] {
        let mut all = Signer::claims();
        all["response_mode"] = json!("jwt");
        all[name] = value;
        all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let object = signer.sign(&all);
        let browser = Browser::default();
        let answer = signer.ask(&browser, &[("client_id", "signer"), ("request", &object)]).await;
        let answer = match answer.status {
            StatusCode::SEE_OTHER if !answer.location().contains("://") => {
                browser.go_on(&signer.role, answer).await
            }
            _ => answer,
        };
        let said = answer_of(&signer.role, &answer).await;
        assert_eq!((&said["error"], &said["state"]), (&json!(error), &json!("signed")), "{name}");
    }
    for mode in ["fragment", "form_post", "fragment.jwt", "form_post.jwt ", "JWT"] {
        let object = signer.with("response_mode", json!(mode));
        assert_eq!(
            signer.push(&[("request", &object)]).await.json()["error"],
            "invalid_request",
            "{mode}"
        );
    }
}

/// By a form, which a script sends where the browser has scripts, and a button where it has none.
#[tokio::test]
async fn answers_are_posted_where_the_client_asks() {
    let signer = Signer::start(false).await;
    let (role, browser) = (&signer.role, Browser::default());
    let object = signer.with("response_mode", json!("form_post.jwt"));
    let asked = [("client_id", "signer"), ("request", &*object)];
    let answer = signer.ask(&browser, &asked).await;
    let login = browser.page(role, answer).await;
    let answer = browser.submit(role, &login, ("ada", PASSWORD), "").await;
    let consent = browser.page(role, answer).await;
    let page = browser.submit(role, &consent, ("", ""), "allow").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(page.text.contains(&format!("method=\"post\" action=\"{URI}\"")), "{}", page.text);
    assert!(page.text.contains("type=\"submit\"") && page.text.contains("/oauth/form-post.js"));
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    let expected =
        "script-src 'self'; form-action 'self' https://signer.example; frame-ancestors 'none'";
    assert!(policy.contains(expected), "{policy}");
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
    let response = hidden(&page.text, "response");
    let jwks = Jwks::parse(role.get("/oauth/jwks").await.text.as_bytes()).unwrap();
    assert!(jwks.keys.iter().all(|key| verify_own_id_token(&response, key).is_err()));
    let said = claims(&response);
    assert_eq!((&said["aud"], &said["state"]), (&json!("signer"), &json!("signed")));
    assert!(said["code"].is_string() && !page.text.contains(said["code"].as_str().unwrap()));
    let script = role.get("/oauth/form-post.js").await;
    assert_eq!(script.headers[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    // Errors too.
    let mut all = Signer::claims();
    all["response_mode"] = json!("form_post.jwt");
    all["prompt"] = json!("none");
    let object = signer.sign(&all);
    let answer =
        signer.ask(&Browser::default(), &[("client_id", "signer"), ("request", &object)]).await;
    let error = claims(&hidden(&answer.text, "response"));
    assert_eq!(error["error"], "login_required", "{}", answer.text);
}

#[tokio::test]
async fn introspection_is_signed_where_the_client_asks() {
    let role = Role::start().await;
    let code = role.code(&Browser::default(), &[]).await;
    let tokens = role.redeem(&code, &[]).await.json();
    let secret = role.shop_secret();
    let ask = async |accept: &str, token: &str| {
        let body = form(&[("token", token), ("client_id", "shop"), ("client_secret", &secret)]);
        let request = Request::post("/oauth/introspect")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, accept);
        role.send(request.body(Body::from(body)).unwrap()).await
    };
    const SIGNED: &str = "application/token-introspection+jwt";
    for (token, is_active) in [(tokens["access_token"].as_str().unwrap(), true), ("x", false)] {
        for accept in [SIGNED, "application/json;q=0.5, Application/Token-Introspection+JWT; q=1"] {
            let answer = ask(accept, token).await;
            assert_eq!(answer.headers[header::CONTENT_TYPE], SIGNED);
            let said = claims(&answer.text);
            assert_eq!((&said["iss"], &said["aud"]), (&json!(ISSUER), &json!("shop")));
            assert_eq!(said["token_introspection"]["active"], is_active);
            // RFC 9701 section 8.1: it cannot be used as a token.
            assert_eq!(
                (&said["sub"], &said["exp"], &said["scope"]),
                (&Value::Null, &Value::Null, &Value::Null)
            );
            assert!(role.verifier().inspect(&answer.text).is_err());
            let used = role.userinfo(&answer.text).await;
            assert_eq!(used.status, StatusCode::UNAUTHORIZED);
        }
        for accept in ["application/json", "*/*", "application/*"] {
            assert_eq!(ask(accept, token).await.json()["active"], is_active, "{accept}");
        }
    }
}
