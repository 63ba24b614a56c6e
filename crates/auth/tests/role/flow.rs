//! The way that works.

use http::{StatusCode, header};
use serde_json::json;

use crate::support::{Browser, ISSUER, PASSWORD, REDIRECT_URI, Role, VERIFIER, claims, hidden};

#[tokio::test]
async fn from_the_request_to_tokens() {
    let (role, browser) = (Role::start().await, Browser::default());
    let answer = browser.authorize(&role, &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let login = browser.page(&role, answer).await;
    assert_eq!(login.status, StatusCode::OK);
    assert!(login.text.contains("Shop &amp; S\u{f6}hne"), "{}", login.text);
    let policy = login.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self' https://shop.example;",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!login.text.contains("<script"));
    assert_eq!(login.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(login.headers[header::REFERRER_POLICY], "no-referrer");
    let wrong = browser.submit(&role, &login, ("ada", "wrong horse battery"), "").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.text.contains("id=\"error\"") && browser.cookie("lombard_session").is_none());
    let answer = browser.submit(&role, &wrong, ("Ada", PASSWORD), "").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let consent = browser.page(&role, answer).await;
    assert!(consent.text.contains("ledger:write:customers/1/*"), "narrowed: {}", consent.text);
    assert!(consent.text.contains(REDIRECT_URI) && consent.text.contains("id=\"client\""));
    let shown = hidden(&consent.text, "shown");
    let answer = browser.submit(&role, &consent, ("", ""), "allow").await;
    let location = answer.location();
    assert!(location.starts_with(&format!("{REDIRECT_URI}&code=lombard_ac_")), "{location}");
    assert_eq!(answer.sent("state").as_deref(), Some("a state&more"));
    assert_eq!(answer.sent("iss").as_deref(), Some(ISSUER));

    let tokens = role.redeem(&answer.sent("code").unwrap(), &[]).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text);
    assert_eq!(tokens.headers[header::CACHE_CONTROL], "no-store");
    let body = tokens.json();
    assert_eq!(
        body["scope"],
        "openid profile offline_access ledger:read ledger:write:customers/1/*"
    );
    let access = claims(body["access_token"].as_str().unwrap());
    assert!(access["sub"].as_str().unwrap().starts_with("users/"));
    assert_eq!(access["aud"], format!("{ISSUER}/v1/ledger"));
    assert_eq!(access["acr"], "urn:lombard:acr:password");
    assert!(access["gid"].is_string() && access["auth_time"].is_u64());
    assert!(access.get("sid").is_none(), "it goes on without the session");
    let id = claims(body["id_token"].as_str().unwrap());
    assert_eq!((&id["aud"], &id["nonce"]), (&json!("shop"), &json!("n-0S6")));
    assert_eq!((&id["sub"], &id["iss"]), (&access["sub"], &json!(ISSUER)));
    assert!(role.is_active(body["access_token"].as_str().unwrap()).await);

    // What the page said is kept as its hash, with the grant.
    let recorded = role.log.clone();
    let records = lombard_log::Log::read(&recorded, lombard_types::Position::START, 16 << 20);
    let bytes: Vec<u8> = records.await.unwrap().iter().flat_map(|r| r.payload.to_vec()).collect();
    let shown: Vec<u8> = (0..32)
        .map(|index| u8::from_str_radix(&shown[index * 2..index * 2 + 2], 16).unwrap())
        .collect();
    assert!(bytes.windows(32).any(|window| window == shown));
}

#[tokio::test]
async fn a_pushed_request_and_a_payment() {
    let (role, browser) = (Role::start().await, Browser::default());
    let details = r#"[{"type":"payment","amount":"12.50","asset":"EUR","debtor_account":"customers/1/wallet","creditor_account":"merchants/7"}]"#;
    let mut pushed = Role::request(&[("scope", ""), ("authorization_details", details)]);
    pushed.push(("client_secret", role.shop_secret()));
    let pushed: Vec<_> = pushed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = role.post("/oauth/par", &pushed).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert_eq!(answer.json()["expires_in"], 90);
    let uri = answer.json()["request_uri"].as_str().unwrap().to_owned();
    let path = format!("/oauth/authorize?client_id=shop&request_uri={uri}");
    let answer = browser.get(&role, &path).await;
    let answer = browser.page(&role, answer).await;
    let answer = browser.submit(&role, &answer, ("ada", PASSWORD), "").await;
    let consent = browser.page(&role, answer).await;
    for (class, text) in [
        ("amount", "12.50 EUR"),
        ("payee", "merchants/7"),
        ("account", "customers/1/wallet"),
        ("uses", "once"),
    ] {
        let cell = format!("class=\"{class}\">{text}<");
        assert!(consent.text.contains(&cell), "{cell} in {}", consent.text);
    }
    let answer = browser.submit(&role, &consent, ("", ""), "allow").await;
    let tokens = role.redeem(&answer.sent("code").unwrap(), &[]).await.json();
    assert_eq!(tokens["authorization_details"][0]["amount"], "12.50");
    assert!(tokens.get("refresh_token").is_none() && tokens.get("id_token").is_none());
    let access = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!(access["authorization_details"], tokens["authorization_details"]);
    assert!(access["sid"].is_string(), "it ends with the session");
    // It was good once, and a payment is asked for each time.
    let again = browser.get(&role, &path).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.text.contains("invalid_request_uri"));
    let answer =
        browser.authorize(&role, &[("scope", ""), ("authorization_details", details)]).await;
    assert!(browser.page(&role, answer).await.text.contains("id=\"consent\""));
}

#[tokio::test]
async fn a_public_client_proves_itself_with_the_verifier_alone() {
    let (role, browser) = (Role::start().await, Browser::default());
    let uri = "http://127.0.0.1:49152/cb";
    let code = role.code(&browser, &[("client_id", "app"), ("redirect_uri", uri)]).await;
    let app = [("client_id", "app"), ("client_secret", ""), ("redirect_uri", uri)];
    let answer = role.redeem(&code, &app).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    // It is asked for again, since any program could say that it is this client.
    let answer = browser.authorize(&role, &[("client_id", "app"), ("redirect_uri", uri)]).await;
    assert!(answer.location().starts_with("consent"));
}

#[tokio::test]
async fn consent_is_asked_for_once_and_login_while_it_lasts() {
    let role = Role::start().await;
    let browser = Browser::default();
    let code = role.code(&browser, &[]).await;
    assert_eq!(role.redeem(&code, &[]).await.status, StatusCode::OK);
    let answer = browser.authorize(&role, &[]).await;
    assert!(answer.sent("code").is_some(), "neither login nor consent: {}", answer.location());
    let answer = browser.authorize(&role, &[("scope", "openid")]).await;
    assert!(answer.location().starts_with("consent"), "another resource is something new");
    let answer = browser.authorize(&role, &[("prompt", "consent")]).await;
    assert!(answer.location().starts_with("consent"));
    // A restart logs nobody out.
    let role = role.restart().await;
    assert!(browser.authorize(&role, &[]).await.sent("code").is_some());
}

#[tokio::test]
async fn a_person_may_deny() {
    let (role, browser) = (Role::start().await, Browser::default());
    let answer = browser.authorize(&role, &[]).await;
    let login = browser.page(&role, answer).await;
    let answer = browser.submit(&role, &login, ("ada", PASSWORD), "").await;
    let consent = browser.page(&role, answer).await;
    let answer = browser.submit(&role, &consent, ("", ""), "deny").await;
    assert_eq!(answer.sent("error").as_deref(), Some("access_denied"));
    assert_eq!(answer.sent("iss").as_deref(), Some(ISSUER));
    let again = browser.submit(&role, &consent, ("", ""), "allow").await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "the request was answered");
}

#[tokio::test]
async fn nothing_secret_is_recorded() {
    let (role, browser) = (Role::start().await, Browser::default());
    let code = role.code(&browser, &[]).await;
    let tokens = role.redeem(&code, &[]).await.json();
    let refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
    let answer = role.refresh(&refresh, &[]).await.json();
    let secrets = [
        code,
        PASSWORD.to_owned(),
        VERIFIER.to_owned(),
        role.shop_secret(),
        browser.cookie("lombard_session").unwrap(),
        browser.cookie("lombard_browser").unwrap(),
        browser.cookie("lombard_known").unwrap(),
        tokens["access_token"].as_str().unwrap().to_owned(),
        tokens["id_token"].as_str().unwrap().to_owned(),
        refresh,
        answer["refresh_token"].as_str().unwrap().to_owned(),
    ];
    let recorded = role.recorded().await;
    for secret in secrets {
        // Not even half of one.
        let half = &secret[secret.len() / 2..];
        assert!(!recorded.contains(half), "{half}");
    }
}
