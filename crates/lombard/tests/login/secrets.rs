//! All flows against the real platform, which logs as much as it can; then everything that it has written is searched for each
//! secret that was used.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use lombard_testkit::Platform;
use lombard_token::{CLIENT_ASSERTION_TYPE, DpopRequest, SigningKey, client_assertion, dpop_proof};
use lombard_types::Timestamp;
use serde_json::{Value, json};

use super::{Browser, LOMBARD, PASSWORD};

const REDIRECT_URI: &str = "http://127.0.0.1:9/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The platform from outside, and every secret that went there or came from there, by what it is.
struct World {
    http: reqwest::Client,
    issuer: String,
    secrets: BTreeMap<String, String>,
}

fn now() -> Timestamp {
    Timestamp::from_system_time(std::time::SystemTime::now())
}

fn with<'a>(form: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [form, more].concat()
}

fn string(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

impl World {
    fn hide(&mut self, what: &str, secret: &str) -> String {
        assert!(secret.len() >= 16, "{what} is too short to be told from others");
        self.secrets.insert(what.to_owned(), secret.to_owned());
        secret.to_owned()
    }

    /// Posts a form, and hides every token of the answer.
    async fn post(&mut self, what: &str, path: &str, form: &[(&str, &str)]) -> Value {
        let request = self.http.post(format!("{}{path}", self.issuer)).form(form);
        self.answer(what, request).await
    }

    async fn answer(&mut self, what: &str, request: reqwest::RequestBuilder) -> Value {
        let text = request.send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        for name in ["access_token", "refresh_token", "id_token", "device_code", "client_secret"] {
            if let Some(secret) = answer[name].as_str() {
                self.hide(&format!("{name} of {what}"), secret);
            }
        }
        answer
    }

    async fn admin(&mut self, token: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/v1/auth{path}", self.issuer);
        let request = self.http.post(url).bearer_auth(token).json(&body);
        let what = format!("{path} {body}");
        self.answer(&what, request).await
    }

    fn hide_cookies(&mut self, what: &str, browser: &Browser) {
        for (name, value) in &browser.cookies {
            self.secrets.insert(format!("{name} of {what}"), value.clone());
        }
    }
}

#[test]
fn no_secret_is_in_logs_metrics_or_files() {
    let place = tempfile::tempdir().unwrap();
    let platform =
        Platform::start_with(Path::new(LOMBARD), place, &[("LOMBARD_LOG", "trace")]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let secrets = runtime.block_on(flows(&platform));
    let metrics = runtime.block_on(metrics(&platform));
    let log = platform.log();
    // What is searched is what was written.
    assert!(log.contains("a person logged in with a second factor") && log.contains("TRACE"));
    assert!(metrics.contains("token_requests"), "{metrics}");
    let place = platform.stop().unwrap();
    // The log is there too, and all data.
    fs::write(place.path().join("metrics"), metrics).unwrap();
    let found = |patterns: &str| {
        let list = tempfile::NamedTempFile::new().unwrap();
        fs::write(list.path(), patterns).unwrap();
        // The programs of this test are not optimized, and there is much to look through.
        let mut grep = Command::new("grep");
        grep.args(["-r", "-l", "-a", "-F", "-f"]).arg(list.path()).arg(place.path());
        let output = grep.output().unwrap();
        assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(found("login.second_factor").contains("/auth/"), "the audit");
    // Not even half of one: tokens begin alike, and end differently.
    let half = |secret: &str| secret[secret.len() / 2..].to_owned();
    let halves: Vec<String> = secrets.values().map(|secret| half(secret)).collect();
    if !found(&halves.join("\n")).is_empty() {
        for (what, secret) in secrets {
            assert_eq!(found(&half(&secret)), "", "{what}");
        }
    }
}

/// Uses everything. The secrets, by what they are.
async fn flows(platform: &Platform) -> BTreeMap<String, String> {
    let issuer = platform.state().unwrap()["issuer"].as_str().unwrap().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut world = World { http, issuer, secrets: BTreeMap::new() };
    let output = platform.run(&["token", "/v1/auth"]).unwrap().stdout;
    let operator = world.hide("operator's token", String::from_utf8(output).unwrap().trim());
    let scope = "openid offline_access ledger:read";
    let grants = [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ];
    let shop = json!({ "client_id": "shop", "name": "Shop", "profile": "oauth-2.1", "scope": scope,
        "redirect_uris": [REDIRECT_URI], "grant_types": grants });
    let secret = string(&world.admin(&operator, "/clients", shop).await, "client_secret");
    let key = SigningKey::generate().unwrap();
    let robot = json!({ "client_id": "robot", "name": "Robot", "scope": "ledger:read", "jwk": key.public_jwk() });
    world.admin(&operator, "/clients", robot).await;
    let ada = json!({ "name": "ada", "scope": "ledger:read", "password": PASSWORD });
    world.admin(&operator, "/users", ada).await;
    world.hide("password", PASSWORD);
    world.hide("code_verifier", VERIFIER);
    let factor = world.admin(&operator, "/users/ada/second-factor", Value::Null).await;
    world.hide("TOTP secret", &string(&factor, "totp_secret"));
    let codes: Vec<String> = serde_json::from_value(factor["recovery_codes"].clone()).unwrap();
    for (index, code) in codes.iter().enumerate() {
        world.hide(&format!("recovery code {index}"), code);
        world.hide(&format!("recovery code {index}, typed on"), &code.replace('-', ""));
    }
    let shop = [("client_id", "shop"), ("client_secret", &*secret)];
    persons(&mut world, &shop, &codes).await;
    programs(&mut world, &shop, &key).await;
    world.secrets
}

/// In browsers: with passwords and codes that are wrong, and right.
async fn persons(world: &mut World, shop: &[(&str, &str)], codes: &[String]) {
    let query = [
        ("client_id", "shop"),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "openid offline_access ledger:read"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let wrong = world.hide("wrong password", "some other horse battery");
    let wrong_code = world.hide("wrong recovery code", "AAAAA-BBBBB-CCCCC-DDDDD");
    let mut browser = Browser::new();
    browser.passwords = [wrong, PASSWORD.to_owned()].into();
    browser.codes = [wrong_code, codes[0].clone()].into();
    let mut url = reqwest::Url::parse(&format!("{}/oauth/authorize", world.issuer)).unwrap();
    url.query_pairs_mut().extend_pairs(query);
    let client = browser.until_sent_to(url.as_str(), REDIRECT_URI).await;
    world.hide_cookies("ada's browser", &browser);
    let code = client.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    world.hide("code", &code);
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    let tokens = world.post("ada", "/oauth/token", &with(&redeem, shop)).await;
    let (access, refresh) = (string(&tokens, "access_token"), string(&tokens, "refresh_token"));
    // One that is for another resource is refused, with the token in hand.
    let userinfo = world.http.get(format!("{}/oauth/userinfo", world.issuer)).bearer_auth(&access);
    world.answer("userinfo", userinfo).await;
    let ledger = world.http.get(format!("{}/v1/ledger/accounts", world.issuer));
    assert_eq!(ledger.bearer_auth(&access).send().await.unwrap().status(), 200);
    for round in ["once", "again"] {
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", &*refresh)];
        let what = format!("refresh {round}");
        string(&world.post(&what, "/oauth/token", &with(&refresh, shop)).await, "access_token");
    }
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &*access),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    string(&world.post("exchange", "/oauth/token", &with(&exchange, shop)).await, "access_token");
    let looked = world.post("look", "/oauth/introspect", &with(&[("token", &*access)], shop)).await;
    assert_eq!(looked["active"], true, "{looked}");
    // A device, and its person.
    let scope = [("scope", "ledger:read")];
    let device = world.post("device", "/oauth/device_authorization", &with(&scope, shop)).await;
    let page =
        browser.go(&string(&device, "verification_uri"), &string(&device, "user_code")).await;
    assert!(page.contains("id=\"device-allowed\""), "{page}");
    let device_code = string(&device, "device_code");
    let ask = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", &*device_code),
    ];
    string(&world.post("device", "/oauth/token", &with(&ask, shop)).await, "access_token");
    // The code a second time, and tokens taken back.
    let replayed = world.post("replay", "/oauth/token", &with(&redeem, shop)).await;
    assert_eq!(replayed["error"], "invalid_grant");
    world.post("revoke", "/oauth/revoke", &with(&[("token", &*refresh)], shop)).await;
}

/// With a secret, with an assertion and a proof, and with what is none.
async fn programs(world: &mut World, shop: &[(&str, &str)], key: &SigningKey) {
    let grant = [("grant_type", "client_credentials"), ("scope", "ledger:read")];
    string(&world.post("shop", "/oauth/token", &with(&grant, shop)).await, "access_token");
    let wrong = world.hide("wrong client secret", "lombard_no-secret-of-anybody-at-all");
    let guess = [("client_id", "shop"), ("client_secret", &*wrong)];
    world.post("guess", "/oauth/token", &with(&grant, &guess)).await;
    let url = format!("{}/oauth/token", world.issuer);
    for round in ["first", "replayed"] {
        let assertion =
            client_assertion(key, "robot", &world.issuer, "assertion-1", now()).unwrap();
        let request = DpopRequest { method: "POST", url: &url, access_token: None };
        let proof = dpop_proof(key, request, &format!("proof-{round}"), now()).unwrap();
        let assertion = world.hide(&format!("assertion, {round}"), &assertion);
        world.hide(&format!("proof, {round}"), &proof);
        let own =
            [("client_assertion_type", CLIENT_ASSERTION_TYPE), ("client_assertion", &*assertion)];
        let request = world.http.post(&url).header("dpop", proof).form(&with(&grant, &own));
        let answer = world.answer(&format!("robot, {round}"), request).await;
        assert_eq!(answer["access_token"].is_string(), round == "first", "{answer}");
    }
    let made_up = world.hide(
        "made up token",
        "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJlLW9mLW5vYm9keQ",
    );
    let refused = world.http.get(format!("{}/v1/ledger/accounts", world.issuer));
    assert_eq!(refused.bearer_auth(&made_up).send().await.unwrap().status(), 401);
}

async fn metrics(platform: &Platform) -> String {
    let mut all = String::new();
    for role in ["gateway", "auth", "ledger", "eventstore", "registry"] {
        let url = format!("{}/metrics", platform.url(role).unwrap());
        let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await;
        all.push_str(&answer.unwrap().text().await.unwrap());
    }
    all
}
