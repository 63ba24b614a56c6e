//! Devices without a browser (RFC 8628).

use http::StatusCode;
use lombard_auth::Config;
use serde_json::{Value, json};

use crate::support::{Answer, Browser, PASSWORD, Role, claims, hidden};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// With the public client `tv`, which may use the device grant.
async fn start() -> Role {
    let config = Config { login_failures_per_address_max: 20, ..Config::default() };
    let config = Config { password_memory_kib: 64, password_passes: 1, ..config };
    let role = Role::start_with(config).await;
    let tv = json!({
        "client_id": "tv", "name": "TV", "scope": "openid offline_access ledger:read ledger:write",
        "token_endpoint_auth_method": "none", "grant_types": [GRANT, "refresh_token"],
    });
    let made = role.admin("POST", "/v1/auth/clients", tv).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    role
}

async fn begin(role: &Role, changes: &[(&str, &str)]) -> Answer {
    let mut parameters = vec![("client_id", "tv"), ("scope", "openid offline_access ledger:write")];
    for (name, value) in changes {
        parameters.retain(|(other, _)| other != name);
        parameters.push((name, value));
    }
    role.post("/oauth/device_authorization", &parameters).await
}

async fn begun(role: &Role) -> (String, String) {
    let answer = begin(role, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = answer.json();
    assert_eq!((&answer["expires_in"], &answer["interval"]), (&json!(600), &json!(5)));
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    assert_eq!(text("verification_uri"), "http://127.0.0.1:8080/oauth/device");
    assert!(text("verification_uri_complete").ends_with(&text("user_code")));
    (text("device_code"), text("user_code"))
}

async fn poll(role: &Role, code: &str, client: &str) -> Answer {
    let parameters = [("grant_type", GRANT), ("device_code", code), ("client_id", client)];
    role.post("/oauth/token", &parameters).await
}

/// Types a code in; the page that comes.
async fn type_in(role: &Role, browser: &Browser, code: &str) -> Answer {
    let page = browser.get(role, "/oauth/device").await;
    assert_eq!(page.status, StatusCode::OK);
    let csrf = hidden(&page.text, "csrf");
    browser.post(role, "/oauth/device", &[("csrf", &csrf), ("user_code", code)]).await
}

/// Logs in where need be, and decides.
async fn decide(role: &Role, browser: &Browser, answer: Answer, decision: &str) -> Answer {
    let mut page = browser.page(role, answer).await;
    if page.text.contains("id=\"login\"") {
        page = browser.submit(role, &page, ("ada", PASSWORD), decision).await;
        page = browser.page(role, page).await;
    }
    assert!(page.text.contains("id=\"device-warning\""), "{}", page.text);
    browser.submit(role, &page, ("ada", PASSWORD), decision).await
}

#[tokio::test]
async fn a_person_connects_a_device() {
    let (role, browser) = (start().await, Browser::default());
    let (code, user_code) = begun(&role).await;
    let waiting = poll(&role, &code, "tv").await;
    assert_eq!(waiting.status, StatusCode::BAD_REQUEST);
    assert_eq!(waiting.json()["error"], "authorization_pending");
    assert_eq!(poll(&role, &code, "tv").await.json()["error"], "slow_down");
    // As people type it.
    let typed = user_code.to_lowercase().replace('-', " ");
    let answer = type_in(&role, &browser, &typed).await;
    let page = decide(&role, &browser, answer, "allow").await;
    assert!(page.text.contains("id=\"device-allowed\""), "{}", page.text);
    assert!(!page.headers.contains_key("location"), "the browser is sent nowhere");
    for other in ["app", "shop"] {
        let refused = poll(&role, &code, other).await;
        assert_ne!(refused.status, StatusCode::OK, "a code is its client's");
    }
    let issued = poll(&role, &code, "tv").await;
    assert_eq!(issued.status, StatusCode::OK, "{}", issued.text);
    let issued = issued.json();
    assert_eq!(claims(issued["access_token"].as_str().unwrap())["scope"], issued["scope"]);
    assert!(issued["scope"].as_str().unwrap().contains("ledger:write:customers/1/*"));
    assert!(issued["id_token"].is_string() && issued["refresh_token"].is_string());
    // The same code again: whoever has it may be a thief.
    assert_eq!(poll(&role, &code, "tv").await.json()["error"], "invalid_grant");
    let refresh = issued["refresh_token"].as_str().unwrap();
    let again = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "tv")];
    assert_eq!(role.post("/oauth/token", &again).await.json()["error"], "invalid_grant");
    let recorded = role.recorded().await;
    assert!(!recorded.contains(&code) && !recorded.contains(&user_code), "no code is stored");
}

#[tokio::test]
async fn a_person_says_no_and_nothing_more_can_be_said() {
    let (role, browser) = (start().await, Browser::default());
    let (code, user_code) = begun(&role).await;
    let answer = type_in(&role, &browser, &user_code).await;
    let page = decide(&role, &browser, answer, "deny").await;
    assert!(page.text.contains("id=\"device-refused\""), "{}", page.text);
    assert_eq!(poll(&role, &code, "tv").await.json()["error"], "access_denied");
    let answer = type_in(&role, &browser, &user_code).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "it waits no more");
    assert_eq!(poll(&role, &code, "tv").await.json()["error"], "access_denied");
}

/// What was allowed is in the log; who waits begins again.
#[tokio::test]
async fn an_allowed_device_gets_its_tokens_after_a_restart() {
    let (role, browser) = (start().await, Browser::default());
    let (allowed, user_code) = begun(&role).await;
    let (waiting, _) = begun(&role).await;
    let answer = type_in(&role, &browser, &user_code).await;
    decide(&role, &browser, answer, "allow").await;
    let role = role.restart().await;
    assert_eq!(poll(&role, &allowed, "tv").await.status, StatusCode::OK);
    assert_eq!(poll(&role, &waiting, "tv").await.json()["error"], "expired_token");
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let role = start().await;
    for (changes, error) in [
        ([("client_id", "app")], "unauthorized_client"),
        ([("client_id", "shop")], "invalid_client"),
        ([("client_id", "nobody")], "invalid_client"),
        ([("scope", "registry:read")], "invalid_scope"),
        ([("scope", "")], "invalid_scope"),
        ([("resource", "https://elsewhere.example/x")], "invalid_target"),
        ([("authorization_details", "[{\"type\":\"payment\"}]")], "invalid_authorization_details"),
    ] {
        assert_eq!(begin(&role, &changes).await.json()["error"], error, "{changes:?}");
    }
    let (code, _) = begun(&role).await;
    for (code, error) in [("", "invalid_request"), ("lombard_dc_x", "expired_token")] {
        assert_eq!(poll(&role, code, "tv").await.json()["error"], error);
    }
    // A device code is no authorization code, with whatever verifier.
    let client = [("client_id", "app"), ("grant_type", "authorization_code")];
    let own = [("code", &*code), ("code_verifier", &code), ("redirect_uri", "http://127.0.0.1/cb")];
    let parameters: Vec<_> = client.into_iter().chain(own).collect();
    assert_eq!(role.post("/oauth/token", &parameters).await.json()["error"], "invalid_grant");
    for (grant_types, method) in [
        (json!([GRANT]), "fapi-2.0"),
        (json!(["urn:ietf:params:oauth:grant-type:token-exchange"]), "none"),
    ] {
        let key = lombard_token::SigningKey::generate().unwrap();
        let mut client = json!({ "name": "X", "scope": "ledger:read", "grant_types": grant_types });
        match method {
            "none" => client["token_endpoint_auth_method"] = "none".into(),
            _ => client["jwk"] = serde_json::to_value(key.public_jwk()).unwrap(),
        }
        let answer = role.admin("POST", "/v1/auth/clients", client).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
    }
}

#[tokio::test]
async fn whoever_tries_codes_is_slowed_down_and_forms_are_from_here() {
    let (role, browser) = (start().await, Browser::default());
    let (_, user_code) = begun(&role).await;
    let forged = [("csrf", "x"), ("user_code", &*user_code)];
    let answer = browser.post(&role, "/oauth/device", &forged).await;
    assert!(answer.text.contains("no longer good"));
    for _ in 0..20 {
        let answer = type_in(&role, &browser, "BBBB-BBBB").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    for code in ["BBBB-BBBB", &user_code] {
        let answer = type_in(&role, &browser, code).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(answer.headers.contains_key("retry-after"));
    }
    let metadata = role.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(
        metadata["device_authorization_endpoint"],
        "http://127.0.0.1:8080/oauth/device_authorization"
    );
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&Value::from(GRANT)));
}
