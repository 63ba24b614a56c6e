//! Passkeys: made by a person who has just logged in, used in place of name and password, and told to clients.

#[path = "../../../webauthn/tests/authenticator/mod.rs"]
mod authenticator;

use authenticator::{Authenticator, PRESENT, Said};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::support::{Answer, Browser, PASSWORD, Role, claims, hidden};

const ORIGIN: &str = "http://localhost:8080";
const PASSKEY: &str = "urn:lombard:acr:passkey";

/// What stands in an attribute of a page.
fn attribute(page: &Answer, name: &str) -> String {
    let begin = format!("{name}=\"");
    let rest = page.text.split_once(&begin).unwrap_or_else(|| panic!("no {name}: {}", page.text)).1;
    rest.split('"').next().unwrap().to_owned()
}

fn challenge(page: &Answer) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(attribute(page, "data-challenge")).unwrap()
}

/// The token of the form for passkeys, which is the last one of the login page.
fn csrf(page: &Answer) -> String {
    let form = page.text.split_once("data-passkey=").unwrap().1;
    hidden(form, "csrf")
}

async fn make(role: &Role, browser: &Browser, page: &Answer, passkey: &Authenticator) -> Answer {
    let (client_data, attestation) = passkey.make(&challenge(page));
    let body = [
        ("request", &*hidden(&page.text, "request")),
        ("csrf", &csrf(page)),
        ("name", "My phone"),
        ("client_data", &URL_SAFE_NO_PAD.encode(client_data)),
        ("attestation", &URL_SAFE_NO_PAD.encode(attestation)),
    ];
    browser.post(role, "/oauth/new-passkey", &body).await
}

async fn tell(
    role: &Role,
    browser: &Browser,
    page: &Answer,
    (passkey, user): (&Authenticator, &str),
    said: &Said,
) -> Answer {
    let body = [
        ("request", &*hidden(&page.text, "request")),
        ("csrf", &csrf(page)),
        ("credential", &URL_SAFE_NO_PAD.encode(&passkey.id)),
        ("client_data", &URL_SAFE_NO_PAD.encode(&said.client_data)),
        ("authenticator_data", &URL_SAFE_NO_PAD.encode(&said.authenticator_data)),
        ("signature", &URL_SAFE_NO_PAD.encode(&said.signature)),
        ("user", user),
    ];
    browser.post(role, "/oauth/passkey", &body).await
}

/// The login page of a new request.
async fn login_page(role: &Role, browser: &Browser, changes: &[(&str, &str)]) -> Answer {
    let answer = browser.authorize(role, changes).await;
    let page = browser.page(role, answer).await;
    assert!(page.text.contains("id=\"login\""), "{}", page.text);
    page
}

/// `ada` with a passkey, the handle of hers, and the browser in which she made it.
async fn with_passkey(passkey: &Authenticator) -> (Role, Browser, String) {
    let (role, browser) = (Role::start_at(ORIGIN).await, Browser::default());
    let login = login_page(&role, &browser, &[("acr_values", PASSKEY)]).await;
    let answer = browser.submit(&role, &login, ("ada", PASSWORD), "").await;
    let page = browser.page(&role, answer).await;
    assert!(page.text.contains("id=\"new-passkey\""), "{}", page.text);
    let user = attribute(&page, "data-user");
    let answer = make(&role, &browser, &page, passkey).await;
    assert!(answer.location().starts_with("resume?"), "{} {}", answer.status, answer.text);
    let answer = browser.go_on(&role, answer).await;
    let tokens = role.redeem(&answer.sent("code").unwrap(), &[]).await.json();
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["acr"], PASSKEY);
    (role, browser, user)
}

#[tokio::test]
async fn a_person_makes_a_passkey_and_logs_in_with_it() {
    for mut passkey in [Authenticator::p256(ORIGIN), Authenticator::ed25519(ORIGIN)] {
        let (role, _, user) = with_passkey(&passkey).await;
        // Also after a restart, in any browser.
        let (role, browser) = (role.restart().await, Browser::default());
        let page = login_page(&role, &browser, &[]).await;
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"));
        assert_eq!(page.text.matches("<script").count(), 1);
        passkey.sign_count = 1;
        let said = passkey.answer(&challenge(&page));
        let answer = tell(&role, &browser, &page, (&passkey, &user), &said).await;
        assert!(answer.location().starts_with("resume?"), "{} {}", answer.status, answer.text);
        let answer = browser.go_on(&role, answer).await;
        let tokens = role.redeem(&answer.sent("code").unwrap(), &[]).await.json();
        for token in ["access_token", "id_token"] {
            let claims = claims(tokens[token].as_str().unwrap());
            assert_eq!(claims["acr"], PASSKEY);
            assert_eq!(claims["amr"], json!(["pop", "user", "mfa"]));
        }
        let list = role.admin("GET", "/v1/auth/users/ada/passkeys", Value::Null).await.json();
        assert_eq!(list["items"][0]["name"], "My phone");
        assert!(list["items"][0]["used_at"].is_string());
    }
}

#[tokio::test]
async fn what_is_not_the_passkeys_word_for_this_page_logs_nobody_in() {
    let mut passkey = Authenticator::p256(ORIGIN);
    passkey.sign_count = 5;
    let (role, _, user) = with_passkey(&passkey).await;
    passkey.sign_count = 6;
    let browser = Browser::default();
    let mut page = login_page(&role, &browser, &[]).await;
    let first = challenge(&page);
    let stranger = Authenticator::p256(ORIGIN).with_id(passkey.id.clone());
    let unknown = Authenticator::p256(ORIGIN).with_id(vec![9; 8]);
    let evil = |passkey: &Authenticator, challenge: &[u8]| {
        let client_data =
            String::from_utf8(passkey.client_data("webauthn.get", challenge)).unwrap();
        let client_data = client_data.replace(ORIGIN, "http://localhost:9090").into_bytes();
        passkey.sign(client_data, passkey.authenticator_data(0, &[]))
    };
    for case in
        ["stranger", "unknown", "other user", "old challenge", "other page", "unverified", "copied"]
    {
        let asked = challenge(&page);
        assert!(case == "stranger" || asked != first, "each page has its own");
        let (said, from, who) = match case {
            "stranger" => (stranger.answer(&asked), &stranger, &*user),
            "unknown" => (unknown.answer(&asked), &unknown, &*user),
            "other user" => (passkey.answer(&asked), &passkey, "AAAAAAAAAAAAAAAAAAAAAA"),
            "old challenge" => (passkey.answer(&first), &passkey, &*user),
            "other page" => (evil(&passkey, &asked), &passkey, &*user),
            "unverified" => {
                let (before, count) = (passkey.flags, passkey.sign_count);
                passkey.flags = PRESENT;
                let said = passkey.answer(&asked);
                (passkey.flags, passkey.sign_count) = (before, count);
                (said, &passkey, &*user)
            }
            _ => {
                passkey.sign_count = 5;
                (passkey.answer(&asked), &passkey, &*user)
            }
        };
        page = tell(&role, &browser, &page, (from, who), &said).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{case}: {}", page.text);
        assert!(browser.cookie("lombard_session").is_none(), "{case}");
    }
    // One that is good is so once, for the browser that was shown the page.
    passkey.sign_count = 7;
    let said = passkey.answer(&challenge(&page));
    let other = tell(&role, &Browser::default(), &page, (&passkey, &user), &said).await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST);
    let answer = tell(&role, &browser, &page, (&passkey, &user), &said).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let again = tell(&role, &browser, &page, (&passkey, &user), &said).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    // Until the entries are there.
    role.recorded_bytes().await;
    let copies =
        role.admin("GET", "/v1/auth/audit?action=login.passkey&outcome=refused", Value::Null);
    let copies = copies.await.json();
    let causes: Vec<_> =
        copies["items"].as_array().unwrap().iter().map(|it| &it["error"]).collect();
    assert!(
        causes.contains(&&json!("passkey_copied")) && causes.contains(&&json!("access_denied"))
    );
}

/// Whoever has found out the password cannot make a passkey beside the owner's, and gets nothing where one is asked for.
#[tokio::test]
async fn a_password_makes_no_second_passkey() {
    let passkey = Authenticator::p256(ORIGIN);
    let (role, owner, user) = with_passkey(&passkey).await;
    let thief = Browser::default();
    let login = login_page(&role, &thief, &[("acr_values", PASSKEY)]).await;
    assert!(login.text.contains("id=\"passkey-wanted\""));
    let answer = thief.submit(&role, &login, ("ada", PASSWORD), "").await;
    let page = thief.page(&role, answer).await;
    assert!(page.text.contains("id=\"login\""), "{}", page.text);
    let path = format!("/oauth/new-passkey?request={}", hidden(&page.text, "request"));
    assert_eq!(thief.get(&role, &path).await.status, StatusCode::BAD_REQUEST);
    // The owner, with the passkey, makes another one from the page that asks for consent.
    let changes = [("acr_values", PASSKEY), ("prompt", "login consent")];
    let login = login_page(&role, &owner, &changes).await;
    let said = passkey.answer(&challenge(&login));
    let answer = tell(&role, &owner, &login, (&passkey, &user), &said).await;
    let consent = owner.page(&role, answer).await;
    let path = attribute(&consent, "id=\"new-passkey\" href");
    let page = owner.get(&role, &format!("/oauth/{path}")).await;
    let same = make(&role, &owner, &page, &passkey).await;
    assert_eq!(same.status, StatusCode::BAD_REQUEST, "it is there already");
    let other = Authenticator::ed25519(ORIGIN).with_id(vec![4; 20]);
    assert_eq!(make(&role, &owner, &same, &other).await.status, StatusCode::SEE_OTHER);
    let list = role.admin("GET", "/v1/auth/users/ada/passkeys", Value::Null).await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    // Taken away, it opens nothing, and who was logged in is so no more.
    let id = URL_SAFE_NO_PAD.encode(&passkey.id);
    let path = format!("/v1/auth/users/ada/passkeys/{id}");
    assert_eq!(role.admin("DELETE", &path, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(role.admin("DELETE", &path, Value::Null).await.status, StatusCode::NOT_FOUND);
    let answer = owner.authorize(&role, &[("prompt", "none")]).await;
    assert_eq!(answer.sent("error").as_deref(), Some("login_required"));
    let page = login_page(&role, &owner, &[]).await;
    let said = passkey.answer(&challenge(&page));
    let refused = tell(&role, &owner, &page, (&passkey, &user), &said).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

/// Where the issuer's URL is an address, browsers have no passkeys for it: nothing says that there are some.
#[tokio::test]
async fn a_server_without_a_name_has_none() {
    let (role, browser) = (Role::start().await, Browser::default());
    let metadata = role.get("/.well-known/openid-configuration").await.json();
    assert!(!metadata["acr_values_supported"].to_string().contains("passkey"), "{metadata}");
    let page = login_page(&role, &browser, &[("acr_values", PASSKEY)]).await;
    assert!(!page.text.contains("<script") && !page.text.contains("data-passkey"));
    let answer = browser.submit(&role, &page, ("ada", PASSWORD), "").await;
    let answer = browser.page(&role, answer).await;
    assert_eq!(answer.sent("error").as_deref(), Some("unmet_authentication_requirements"));
}
