//! OpenID Connect: who logged in, when and how, and leaving again.

use http::StatusCode;
use serde_json::json;

use crate::support::{Browser, ISSUER, PASSWORD, Role, claims, form, hidden};

#[tokio::test]
async fn userinfo_says_what_was_allowed() {
    let role = Role::start().await;
    let browser = Browser::default();
    for (scope, expected) in [
        ("openid", json!({})),
        ("openid profile", json!({ "name": "Ada Lovelace", "preferred_username": "ada" })),
        ("openid email", json!({ "email": "ada@bank.example" })),
    ] {
        let code = role.code(&browser, &[("scope", scope)]).await;
        let tokens = role.redeem(&code, &[]).await.json();
        let answer = role.userinfo(tokens["access_token"].as_str().unwrap()).await;
        let mut said = answer.json();
        let subject = said.as_object_mut().unwrap().remove("sub");
        assert_eq!(subject, Some(claims(tokens["id_token"].as_str().unwrap())["sub"].clone()));
        assert_eq!(said, expected, "{scope}");
        // An ID token opens nothing.
        let refused = role.userinfo(tokens["id_token"].as_str().unwrap()).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    }
    let code = role.code(&browser, &[("scope", "ledger:read")]).await;
    let tokens = role.redeem(&code, &[]).await.json();
    let refused = role.userinfo(tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "openid was not asked for");
}

#[tokio::test]
async fn fresh_logins_are_asked_for() {
    let role = Role::start().await;
    let browser = Browser::logged_in(&role).await;
    for changes in [[("prompt", "login")], [("max_age", "0")], [("prompt", "select_account")]] {
        let answer = browser.authorize(&role, &changes).await;
        assert!(answer.location().starts_with("login?"), "{changes:?}");
        let answer = browser.go_on(&role, answer).await;
        assert!(answer.sent("code").is_some(), "{changes:?}");
    }
    let answer = browser.authorize(&role, &[("max_age", "3600")]).await;
    assert!(!answer.location().starts_with("login?"));
    let hinted = Browser::default();
    let answer = hinted.authorize(&role, &[("login_hint", "ada\"><b>")]).await;
    let page = hinted.page(&role, answer).await;
    assert!(page.text.contains("value=\"ada&quot;&gt;&lt;b&gt;\""), "{}", page.text);
}

#[tokio::test]
async fn discovery_says_what_there_is() {
    let role = Role::start().await;
    let browser = Browser::default();
    for path in ["openid-configuration", "oauth-authorization-server"] {
        let metadata = browser.get(&role, &format!("/.well-known/{path}")).await.json();
        assert_eq!(metadata["issuer"], ISSUER);
        assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
        for endpoint in
            ["authorization", "token", "userinfo", "end_session", "pushed_authorization_request"]
        {
            let url = metadata[format!("{endpoint}_endpoint")].as_str().unwrap();
            let path = url.strip_prefix(ISSUER).unwrap();
            assert_ne!(browser.get(&role, path).await.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
}

#[tokio::test]
async fn logging_out() {
    let role = Role::start().await;
    let browser = Browser::default();
    let code = role.code(&browser, &[("scope", "openid ledger:read")]).await;
    let tokens = role.redeem(&code, &[]).await.json();
    let (access, id) =
        (tokens["access_token"].as_str().unwrap(), tokens["id_token"].as_str().unwrap());
    // Without a hint anybody could have sent the browser here: the person is asked.
    let page = browser.get(&role, "/oauth/logout").await;
    assert!(page.text.contains("id=\"logout\""));
    let then = "https://shop.example/bye";
    for (parameters, what) in [
        (vec![("id_token_hint", access)], "an access token is no hint"),
        (vec![("id_token_hint", id), ("client_id", "app")], "another client's"),
        (
            vec![("id_token_hint", id), ("post_logout_redirect_uri", "https://evil.example/")],
            "not the client's",
        ),
        (vec![("post_logout_redirect_uri", then)], "whose?"),
    ] {
        let refused = browser.get(&role, &format!("/oauth/logout?{}", form(&parameters))).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{what}");
    }
    assert!(role.is_active(access).await);
    let forged = browser.post(&role, "/oauth/logout", &[("then", then), ("csrf", "x")]).await;
    assert_eq!(forged.status, StatusCode::BAD_REQUEST);
    let parameters = [("id_token_hint", id), ("post_logout_redirect_uri", then), ("state", "s 1")];
    let answer = browser.get(&role, &format!("/oauth/logout?{}", form(&parameters))).await;
    assert_eq!(answer.location(), format!("{then}?state=s%201"));
    assert!(!role.is_active(access).await, "what ends with the session has ended");
    let answer = browser.authorize(&role, &[("prompt", "none")]).await;
    assert_eq!(answer.sent("error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn logging_out_by_hand() {
    let role = Role::start().await;
    let browser = Browser::logged_in(&role).await;
    let page = browser.get(&role, "/oauth/logout").await;
    let csrf = hidden(&page.text, "csrf");
    let answer = browser.post(&role, "/oauth/logout", &[("csrf", &csrf)]).await;
    assert!(answer.text.contains("id=\"logged-out\""), "{}", answer.text);
    assert_eq!(browser.cookie("lombard_session").as_deref(), Some(""));
    let answer = browser.authorize(&role, &[]).await;
    let page = browser.page(&role, answer).await;
    assert_eq!(
        browser.submit(&role, &page, ("ada", PASSWORD), "").await.status,
        StatusCode::SEE_OTHER
    );
}
