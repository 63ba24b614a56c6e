//! What must fail, each in its own way, and nothing is issued (RFC 9700, RFC 9207, RFC 7636, OAuth 2.1).

use axum::body::Body;
use futures_util::future::join_all;
use http::{Request, StatusCode, header};

use crate::support::{
    Browser, ISSUER, PASSWORD, REDIRECT_URI, Role, VERIFIER, form, hidden, sha256,
};

/// RFC 9700 section 4.1: a redirect URI that is not the client's is never redirected to.
#[tokio::test]
async fn open_redirects_and_foreign_redirect_uris() {
    let (role, browser) = (Role::start().await, Browser::default());
    for uri in [
        "https://evil.example/cb",
        "https://shop.example/cb",
        "https://shop.example/cb?tenant=8",
        "https://shop.example/cb?tenant=7&x=1",
        "https://shop.example/cb?tenant=7#f",
        "https://shop.example/CB?tenant=7",
        "https://shop.example:443/cb?tenant=7",
        "https://shop.example/./cb?tenant=7",
        "https://shop.example/%63b?tenant=7",
        "http://shop.example/cb?tenant=7",
        "https://shop.example@evil.example/cb?tenant=7",
        "javascript:alert(1)",
    ] {
        let answer = browser.authorize(&role, &[("redirect_uri", uri)]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}");
        assert!(answer.headers.get(header::LOCATION).is_none());
        assert!(answer.text.contains("invalid_request"));
    }
    for changes in [[("client_id", "nobody")], [("client_id", "")], [("redirect_uri", "")]] {
        let answer = browser.authorize(&role, &changes).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
}

/// What is wrong otherwise is told the client, with the issuer (RFC 9207), and nothing else happens.
#[tokio::test]
async fn requests_that_are_refused() {
    let (role, browser) = (Role::start().await, Browser::default());
    let challenge = sha256(VERIFIER);
    for (changes, error) in [
        // RFC 9700 section 2.1.2: no implicit grant, no hybrid.
        (vec![("response_type", "token")], "unsupported_response_type"),
        (vec![("response_type", "code id_token")], "unsupported_response_type"),
        (vec![("response_type", "")], "unsupported_response_type"),
        // RFC 9700 section 4.8: PKCE cannot be left out, nor downgraded to plain.
        (vec![("code_challenge", "")], "invalid_request"),
        (vec![("code_challenge_method", "plain")], "invalid_request"),
        (vec![("code_challenge_method", "")], "invalid_request"),
        (vec![("code_challenge", &challenge[1..])], "invalid_request"),
        (vec![("code_challenge", VERIFIER.split_at(42).0)], "invalid_request"),
        (vec![("response_mode", "fragment")], "invalid_request"),
        (vec![("scope", "registry:read")], "invalid_scope"),
        (vec![("scope", "not a scope")], "invalid_scope"),
        (vec![("scope", "")], "invalid_scope"),
        (vec![("resource", "https://evil.example/v1/ledger")], "invalid_target"),
        (vec![("authorization_details", "[{\"type\":\"x\"}]")], "invalid_authorization_details"),
        (vec![("prompt", "none login")], "invalid_request"),
        (vec![("prompt", "everything")], "invalid_request"),
        (vec![("max_age", "-1")], "invalid_request"),
        (vec![("prompt", "none")], "login_required"),
        (vec![("acr_values", "urn:other")], "unmet_authentication_requirements"),
        (vec![("dpop_jkt", "x")], "invalid_request"),
    ] {
        let answer = browser.authorize(&role, &changes).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{changes:?} {}", answer.text);
        assert!(answer.location().starts_with(&format!("{REDIRECT_URI}&error=")), "{changes:?}");
        assert_eq!(answer.sent("error").as_deref(), Some(error), "{changes:?}");
        assert_eq!(answer.sent("iss").as_deref(), Some(ISSUER));
        assert_eq!(answer.sent("state").as_deref(), Some("a state&more"));
        assert!(answer.sent("code").is_none());
    }
    let twice =
        format!("client_id=shop&redirect_uri={}&scope=a&scope=b", form(&[("", REDIRECT_URI)]));
    let answer = browser.get(&role, &format!("/oauth/authorize?{twice}")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

/// RFC 9126: a pushed request is its client's, and one browser's.
#[tokio::test]
async fn pushed_requests_are_bound() {
    let role = Role::start().await;
    let mut pushed = Role::request(&[]);
    let parameters: Vec<_> = pushed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let refused = role.post("/oauth/par", &parameters).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "the client must authenticate");
    pushed.push(("client_secret", role.shop_secret()));
    let parameters: Vec<_> = pushed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let with_uri = [&parameters[..], &[("request_uri", "urn:x")]].concat();
    assert_eq!(role.post("/oauth/par", &with_uri).await.json()["error"], "invalid_request");
    let uri = role.post("/oauth/par", &parameters).await.json()["request_uri"].clone();
    let uri = uri.as_str().unwrap();
    let (victim, thief) = (Browser::default(), Browser::default());
    let other =
        victim.get(&role, &format!("/oauth/authorize?client_id=app&request_uri={uri}")).await;
    assert!(other.text.contains("invalid_request_uri"));
    let path = format!("/oauth/authorize?client_id=shop&request_uri={uri}");
    let answer = victim.get(&role, &path).await;
    let location = answer.location();
    assert_eq!(thief.get(&role, &path).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        thief.get(&role, &format!("/oauth/{location}")).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(victim.get(&role, &path).await.status, StatusCode::SEE_OTHER, "the page again");
    let unknown = "/oauth/authorize?client_id=shop&request_uri=https://evil.example/request";
    assert!(victim.get(&role, unknown).await.text.contains("invalid_request_uri"));
}

/// RFC 9700 section 4.7: no form of another site, browser, request or session is taken.
#[tokio::test]
async fn forms_of_others_are_not_taken() {
    let role = Role::start().await;
    let (victim, attacker) = (Browser::default(), Browser::default());
    let answer = victim.authorize(&role, &[]).await;
    let page = victim.page(&role, answer).await;
    let answer = attacker.authorize(&role, &[]).await;
    let other = attacker.page(&role, answer).await;
    let (request, csrf) = (hidden(&page.text, "request"), hidden(&page.text, "csrf"));
    let (other_request, other_csrf) = (hidden(&other.text, "request"), hidden(&other.text, "csrf"));
    for (request, csrf) in [
        (&*request, ""),
        (&request, &*other_csrf),
        (&other_request, &other_csrf),
        (&other_request, &csrf),
        ("", &csrf),
    ] {
        let body =
            [("request", request), ("csrf", csrf), ("username", "ada"), ("password", PASSWORD)];
        let answer = victim.post(&role, "/oauth/login", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "login CSRF");
        assert!(victim.cookie("lombard_session").is_none());
    }
    let body =
        [("request", &*request), ("csrf", &csrf), ("username", "ada"), ("password", PASSWORD)];
    let foreign = Request::post("/oauth/login")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ORIGIN, "https://evil.example")
        .body(Body::from(form(&body)));
    assert_eq!(victim.send(&role, foreign.unwrap()).await.status, StatusCode::BAD_REQUEST);
    let answer = victim.post(&role, "/oauth/login", &body).await;
    let consent = victim.page(&role, answer).await;
    let (shown, csrf) = (hidden(&consent.text, "shown"), hidden(&consent.text, "csrf"));
    for (shown, csrf) in [(&*shown, "x"), ("00", &*csrf), (&shown, &hidden(&page.text, "csrf"))] {
        let body =
            [("request", &*request), ("csrf", csrf), ("shown", shown), ("decision", "allow")];
        let answer = victim.post(&role, "/oauth/consent", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
}

/// RFC 9700 section 4.6, session fixation: what a browser shows before a login opens nothing after it.
#[tokio::test]
async fn a_session_is_new_with_each_login() {
    let (role, browser) = (Role::start().await, Browser::default());
    let planted = "lombard_planted_by_somebody_else_0123456789";
    browser.cookies.lock().unwrap().insert("lombard_session".into(), planted.into());
    role.code(&browser, &[]).await;
    let first = browser.cookie("lombard_session").unwrap();
    assert_ne!(first, planted);
    role.code(&browser, &[("prompt", "login")]).await;
    let second = browser.cookie("lombard_session").unwrap();
    assert_ne!(first, second);
    let thief = Browser::default();
    thief.cookies.lock().unwrap().insert("lombard_session".into(), first);
    let answer = thief.authorize(&role, &[("prompt", "none")]).await;
    assert_eq!(answer.sent("error").as_deref(), Some("login_required"));
}

/// What was shown is what is granted: rights that change while the page is open show it again.
#[tokio::test]
async fn consent_is_to_what_was_shown() {
    let (role, browser) = (Role::start().await, Browser::default());
    let answer = browser.authorize(&role, &[]).await;
    let login = browser.page(&role, answer).await;
    let answer = browser.submit(&role, &login, ("ada", PASSWORD), "").await;
    let consent = browser.page(&role, answer).await;
    let wider = serde_json::json!({ "scope": "ledger:read ledger:write" });
    assert_eq!(role.admin("PUT", "/v1/auth/users/ada", wider).await.status, StatusCode::NO_CONTENT);
    let again = browser.submit(&role, &consent, ("", ""), "allow").await;
    assert_eq!(again.status, StatusCode::OK);
    assert!(again.text.contains("<code>ledger:write</code>"), "{}", again.text);
    let answer = browser.submit(&role, &again, ("", ""), "allow").await;
    assert!(answer.sent("code").is_some());
}

/// RFC 9700 section 4.5: an injected code is worth nothing, and the attempt takes nothing from its owner.
#[tokio::test]
async fn injected_and_stolen_codes() {
    let (role, browser) = (Role::start().await, Browser::default());
    let code = role.code(&browser, &[]).await;
    let verifier = "A".repeat(43);
    for (changes, status, error) in [
        (vec![("code_verifier", verifier.as_str())], 400, "invalid_grant"),
        (vec![("code_verifier", "")], 400, "invalid_request"),
        (vec![("code_verifier", "short")], 400, "invalid_request"),
        (vec![("redirect_uri", "https://shop.example/cb")], 400, "invalid_grant"),
        (vec![("client_secret", "wrong")], 401, "invalid_client"),
        (vec![("client_id", "app"), ("client_secret", "")], 400, "invalid_grant"),
        (vec![("client_secret", "")], 401, "invalid_client"),
        (vec![("code", "lombard_ac_x")], 400, "invalid_grant"),
        (vec![("code", "")], 400, "invalid_request"),
    ] {
        let answer = role.redeem(&code, &changes).await;
        assert_eq!(answer.status.as_u16(), status, "{changes:?} {}", answer.text);
        assert_eq!(answer.json()["error"], error, "{changes:?}");
        assert!(answer.json().get("access_token").is_none());
    }
    assert_eq!(role.redeem(&code, &[]).await.status, StatusCode::OK, "the owner's it still is");
}

/// RFC 6749 section 4.1.2: of 50 at once exactly one succeeds, and the replays take back what it got.
#[tokio::test]
async fn a_code_is_redeemed_once_and_a_replay_revokes() {
    let (role, browser) = (Role::start().await, Browser::default());
    for _ in 0..5 {
        let code = role.code(&browser, &[("prompt", "consent")]).await;
        let answers = join_all((0..50).map(|_| role.redeem(&code, &[]))).await;
        let (good, bad): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!(good.len(), 1);
        assert!(bad.iter().all(|answer| answer.json()["error"] == "invalid_grant"));
        let tokens = good[0].json();
        assert!(!role.is_active(tokens["access_token"].as_str().unwrap()).await);
        let refreshed = role.refresh(tokens["refresh_token"].as_str().unwrap(), &[]).await;
        assert_eq!(refreshed.json()["error"], "invalid_grant");
    }
}

/// Many tries slow down whoever tries, and not the owner in a browser of her own.
#[tokio::test]
async fn guessing_passwords_is_slow_and_locks_nobody_out() {
    let role = Role::start().await;
    let owner = Browser::logged_in(&role).await;
    let thief = Browser::default();
    let answer = thief.authorize(&role, &[]).await;
    let mut page = thief.page(&role, answer).await;
    for _ in 0..10 {
        page = thief.submit(&role, &page, ("ada", "wrong wrong wrong"), "").await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    }
    let refused = thief.submit(&role, &page, ("ada", PASSWORD), "").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "also with the right one");
    assert!(refused.headers.get(header::RETRY_AFTER).is_some());
    let answer = owner.authorize(&role, &[("prompt", "login")]).await;
    let page = owner.page(&role, answer).await;
    let answer = owner.submit(&role, &page, ("ada", PASSWORD), "").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
}

/// The mark of a known browser is for one person, and nobody else can make it.
#[tokio::test]
async fn a_person_who_is_disabled_is_out_at_once() {
    let (role, browser) = (Role::start().await, Browser::default());
    let code = role.code(&browser, &[]).await;
    let tokens = role.redeem(&code, &[]).await.json();
    let disable = role.admin("POST", "/v1/auth/users/ada/disable", serde_json::json!({})).await;
    assert_eq!(disable.status, StatusCode::NO_CONTENT);
    let access = tokens["access_token"].as_str().unwrap();
    assert!(!role.is_active(access).await);
    assert_eq!(role.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
    let refreshed = role.refresh(tokens["refresh_token"].as_str().unwrap(), &[]).await;
    assert_eq!(refreshed.json()["error"], "invalid_grant");
    let answer = browser.authorize(&role, &[]).await;
    let page = browser.page(&role, answer).await;
    let answer = browser.submit(&role, &page, ("ada", PASSWORD), "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}
