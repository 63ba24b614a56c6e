//! Second factors: set up by persons and by administrators, asked for at each login, good once, and told to clients.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use http::StatusCode;
use lombard_auth::Config;
use serde_json::{Value, json};

use crate::support::{Answer, Browser, PASSWORD, Role, claims, hidden};

const MFA: &str = "urn:lombard:acr:mfa";

fn now_step() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 30
}

/// What the app shows in a step (RFC 6238).
pub(crate) fn code(secret: &str, step: u64) -> String {
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 15);
    let number = u32::from_be_bytes(tag.as_ref()[offset..offset + 4].try_into().unwrap());
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

/// What a page shows between two marks.
fn between(text: &str, begin: &str, end: &str) -> String {
    let rest = text.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {text}")).1;
    rest.split_once(end).unwrap().0.to_owned()
}

fn codes_of(page: &Answer) -> Vec<String> {
    let list = between(&page.text, "id=\"recovery-codes\"", "</ul>");
    list.split("<code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

/// From the request to the page that asks for the second factor.
async fn second_page(role: &Role, browser: &Browser, changes: &[(&str, &str)]) -> Answer {
    let answer = browser.authorize(role, changes).await;
    let login = browser.page(role, answer).await;
    let answer = browser.submit(role, &login, ("ada", PASSWORD), "").await;
    assert!(answer.location().starts_with("second-factor?"), "{}", answer.location());
    assert!(answer.headers.get("set-cookie").is_none(), "nobody is logged in yet");
    browser.page(role, answer).await
}

async fn show(role: &Role, browser: &Browser, page: &Answer, code: &str) -> Answer {
    let (request, csrf) = (hidden(&page.text, "request"), hidden(&page.text, "csrf"));
    let body = [("request", &*request), ("csrf", &csrf), ("code", code)];
    browser.post(role, "/oauth/second-factor", &body).await
}

/// As an administrator gives it.
async fn given(role: &Role) -> (String, Vec<String>) {
    let answer = role.admin("POST", "/v1/auth/users/ada/second-factor", Value::Null).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let body = answer.json();
    let codes = body["recovery_codes"].as_array().unwrap();
    let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    (body["totp_secret"].as_str().unwrap().to_owned(), codes)
}

/// A person without a second factor sets one up because a client asks for more than a password, and logs in with it from
/// then on.
#[tokio::test]
async fn a_person_sets_up_an_app_when_a_client_asks_for_more() {
    let role = Role::start().await;
    let browser = Browser::logged_in(&role).await;
    let answer = browser.authorize(&role, &[("acr_values", MFA), ("prompt", "none")]).await;
    assert_eq!(answer.sent("error").as_deref(), Some("login_required"), "a password is not enough");
    // Whoever finds the browser open sets up nothing: the password is asked for again.
    let answer = browser.authorize(&role, &[("acr_values", MFA)]).await;
    assert!(answer.location().starts_with("login?"), "{}", answer.location());
    let enrol = answer.location().replace("login?", "/oauth/enrol?");
    assert_eq!(browser.get(&role, &enrol).await.status, StatusCode::BAD_REQUEST);
    let login = browser.page(&role, answer).await;
    let answer = browser.submit(&role, &login, ("ada", PASSWORD), "").await;
    let page = browser.page(&role, answer).await;
    let secret = between(&page.text, "id=\"totp-secret\">", "<");
    assert!(page.text.contains("<svg id=\"totp-picture\"") && !page.text.contains("<script"));
    let uri = between(&page.text, "id=\"totp-uri\" href=\"", "\"");
    assert!(uri.starts_with("otpauth://totp/127.0.0.1%3A8080:ada?secret="), "{uri}");
    assert_eq!(
        between(&browser.get(&role, &enrol_path(&page)).await.text, "id=\"totp-secret\">", "<"),
        secret
    );
    let enrol = async |csrf: &str, code: &str| {
        let request = hidden(&page.text, "request");
        let body = [("request", &*request), ("csrf", csrf), ("code", code)];
        browser.post(&role, "/oauth/enrol", &body).await
    };
    let csrf = hidden(&page.text, "csrf");
    assert_eq!(enrol("x", &code(&secret, now_step())).await.status, StatusCode::BAD_REQUEST);
    let wrong = enrol(&csrf, &code(&secret, now_step() - 9)).await;
    assert!(wrong.text.contains("id=\"error\"") && wrong.text.contains(&*secret));
    let step = now_step();
    let kept = enrol(&csrf, &code(&secret, step)).await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.text);
    assert_eq!(codes_of(&kept).len(), 10);
    assert!(!kept.text.contains(&*secret));
    assert_eq!(enrol(&csrf, &code(&secret, step)).await.status, StatusCode::BAD_REQUEST, "once");
    let request = hidden(&kept.text, "request");
    let answer = browser.get(&role, &format!("/oauth/resume?request={request}")).await;
    let answer = browser.go_on(&role, answer).await;
    let tokens = role.redeem(&answer.sent("code").unwrap(), &[]).await.json();
    for token in ["access_token", "id_token"] {
        let claims = claims(tokens[token].as_str().unwrap());
        assert_eq!((&claims["acr"], &claims["amr"]), (&json!(MFA), &json!(["pwd", "otp", "mfa"])));
    }

    // The code that set it up is used; the next one is good, once.
    let browser = Browser::default();
    let page = second_page(&role, &browser, &[]).await;
    let again = show(&role, &browser, &page, &code(&secret, step)).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    let answer = show(&role, &browser, &again, &code(&secret, step + 1)).await;
    assert!(answer.location().starts_with("resume?"), "{}", answer.text);
    let answer = browser.go_on(&role, answer).await;
    assert!(answer.sent("code").is_some());
    let other = Browser::default();
    let page = second_page(&role, &other, &[]).await;
    let replayed = show(&role, &other, &page, &code(&secret, step + 1)).await;
    assert_eq!(replayed.status, StatusCode::UNAUTHORIZED);
    assert!(other.cookie("lombard_session").is_none());
    let counted = |factor: &str, result: &str| {
        let labels = format!("{{factor=\"{factor}\",result=\"{result}\"}}");
        role.counted(&format!("lombard_auth_second_factor_logins_total{labels}"))
    };
    assert_eq!(counted("totp", "allowed"), Some(1));
    assert_eq!(counted("code", "code_used"), Some(2));
    // It outlives a restart, and so does that the code was used.
    let role = role.restart().await;
    let page = second_page(&role, &other, &[]).await;
    let replayed = show(&role, &other, &page, &code(&secret, step + 1)).await;
    assert_eq!(replayed.status, StatusCode::UNAUTHORIZED);
}

fn enrol_path(page: &Answer) -> String {
    format!("/oauth/enrol?request={}", hidden(&page.text, "request"))
}

#[tokio::test]
async fn of_many_showings_of_one_code_one_is_the_first() {
    let role = Role::start().await;
    let (secret, codes) = given(&role).await;
    let step = now_step();
    for shown in [code(&secret, step), codes[0].clone()] {
        let browser = Browser::default();
        let page = second_page(&role, &browser, &[]).await;
        // Fewer than would be refused for their number.
        let tries = (0..5).map(|_| show(&role, &browser, &page, &shown));
        let answers = futures_util::future::join_all(tries).await;
        let good = answers.iter().filter(|answer| answer.status == StatusCode::SEE_OTHER).count();
        assert_eq!(good, 1);
    }
}

#[tokio::test]
async fn recovery_codes_are_good_once_each() {
    let role = Role::start().await;
    let (_, codes) = given(&role).await;
    for (typed, is_good) in [
        (codes[0].clone(), true),
        (codes[0].clone(), false),
        (codes[1].to_lowercase().replace('-', " "), true),
        ("AAAAA-AAAAA-AAAAA-AAAAA".to_owned(), false),
        (String::new(), false),
    ] {
        let browser = Browser::default();
        let page = second_page(&role, &browser, &[]).await;
        let answer = show(&role, &browser, &page, &typed).await;
        assert_eq!(answer.status == StatusCode::SEE_OTHER, is_good, "{typed}: {}", answer.status);
        assert_eq!(browser.cookie("lombard_session").is_some(), is_good);
    }
    let ada = role.admin("GET", "/v1/auth/users/ada", Value::Null).await.json();
    assert_eq!((&ada["has_second_factor"], &ada["recovery_codes_left"]), (&json!(true), &json!(8)));
}

/// Whoever has the password and tries codes is stopped after a few, and the owner, in a browser that was logged in before,
/// is not.
#[tokio::test]
async fn guessing_is_stopped_and_the_owner_is_not() {
    let role = Role::start().await;
    let owner = Browser::logged_in(&role).await;
    let (_, codes) = given(&role).await;
    let thief = Browser::default();
    let mut page = second_page(&role, &thief, &[]).await;
    for _ in 0..5 {
        page = show(&role, &thief, &page, "000000").await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    }
    // From now on not even what is right is looked at, in whatever new browser.
    for thief in [&thief, &Browser::default()] {
        let page = second_page(&role, thief, &[("prompt", "login")]).await;
        let refused = show(&role, thief, &page, &codes[0]).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.headers.contains_key("retry-after"));
    }
    let page = second_page(&role, &owner, &[("prompt", "login")]).await;
    let answer = show(&role, &owner, &page, &codes[0]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
}

#[tokio::test]
async fn the_password_alone_opens_nothing() {
    let role = Role::start().await;
    let (_, codes) = given(&role).await;
    let (browser, other) = (Browser::default(), Browser::default());
    let page = second_page(&role, &browser, &[]).await;
    let request = hidden(&page.text, "request");
    // Not further in the flow,
    for path in ["resume", "consent"] {
        let answer = browser.get(&role, &format!("/oauth/{path}?request={request}")).await;
        assert!(answer.location().starts_with("login?"), "{path}: {}", answer.location());
    }
    // not with a forged form, not from another site, not from another browser,
    let forged = [("request", &*request), ("csrf", "x"), ("code", &codes[0])];
    let answer = browser.post(&role, "/oauth/second-factor", &forged).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(show(&role, &other, &page, &codes[0]).await.status, StatusCode::BAD_REQUEST);
    // not without the password,
    let answer = other.authorize(&role, &[]).await;
    let login = other.page(&role, answer).await;
    let path = format!("/oauth/second-factor?request={}", hidden(&login.text, "request"));
    assert!(other.get(&role, &path).await.location().starts_with("login?"));
    // and not with a password that was replaced meanwhile.
    let body = json!({ "password": "another horse battery" });
    role.admin("PUT", "/v1/auth/users/ada/password", body).await;
    assert!(show(&role, &browser, &page, &codes[0]).await.location().starts_with("login?"));
    assert!(browser.cookie("lombard_session").is_none());
}

#[tokio::test]
async fn administrators_give_and_take_it() {
    let role = Role::start().await;
    let browser = Browser::logged_in(&role).await;
    let path = "/v1/auth/users/ada/second-factor";
    let none = role.admin("DELETE", path, Value::Null).await;
    assert_eq!(none.json()["type"], "urn:lombard:error:second-factor-not-found");
    let (_, codes) = given(&role).await;
    let again = role.admin("POST", path, Value::Null).await;
    assert_eq!(again.json()["type"], "urn:lombard:error:second-factor-exists");
    let nobody = role.admin("POST", "/v1/auth/users/eve/second-factor", Value::Null).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    // Who was logged in stays so, until it is asked for more.
    assert!(!browser.authorize(&role, &[]).await.location().starts_with("login"));
    let tokens = {
        let page = second_page(&role, &browser, &[("acr_values", MFA)]).await;
        let answer = show(&role, &browser, &page, &codes[0]).await;
        let answer = browser.go_on(&role, answer).await;
        role.redeem(&answer.sent("code").unwrap(), &[]).await.json()
    };
    let access = tokens["access_token"].as_str().unwrap();
    assert!(role.is_active(access).await);
    let gone = role.admin("DELETE", path, Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert!(!role.is_active(access).await, "who lost it may have lost more");
    let answer = browser.authorize(&role, &[("prompt", "none")]).await;
    assert_eq!(answer.sent("error").as_deref(), Some("login_required"));
    assert!(role.code(&Browser::default(), &[]).await.starts_with("lombard_ac_"));
    let actions = role.admin("GET", "/v1/auth/audit?action=user", Value::Null).await.json();
    let actions = actions["items"].as_array().unwrap();
    for (action, outcome) in [
        ("user.second_factor.create", "allowed"),
        ("user.second_factor.create", "refused"),
        ("user.second_factor.remove", "allowed"),
    ] {
        let fits = |entry: &&Value| entry["action"] == action && entry["outcome"] == outcome;
        assert!(actions.iter().any(|entry| fits(&entry)), "{action} {outcome}");
    }
}

#[tokio::test]
async fn where_persons_may_not_set_it_up_the_client_is_told() {
    let config = Config {
        password_memory_kib: 64,
        password_passes: 1,
        second_factor_enrolment: false,
        ..Config::default()
    };
    let (role, browser) = (Role::start_with(config).await, Browser::default());
    let answer = browser.authorize(&role, &[("acr_values", MFA)]).await;
    let login = browser.page(&role, answer).await;
    let answer = browser.submit(&role, &login, ("ada", PASSWORD), "").await;
    let enrol = answer.location().replace("resume?", "/oauth/enrol?");
    assert_eq!(browser.get(&role, &enrol).await.status, StatusCode::BAD_REQUEST);
    let answer = browser.page(&role, answer).await;
    assert_eq!(answer.sent("error").as_deref(), Some("unmet_authentication_requirements"));
    // Any of several is enough.
    let values = format!("urn:other urn:lombard:acr:password {MFA}");
    let answer = browser.authorize(&role, &[("acr_values", &values)]).await;
    assert!(browser.go_on(&role, answer).await.sent("code").is_some());
}

#[tokio::test]
async fn no_secret_of_it_is_recorded() {
    let role = Role::start().await;
    let (secret, codes) = given(&role).await;
    let (browser, step) = (Browser::default(), now_step());
    let page = second_page(&role, &browser, &[]).await;
    let shown = code(&secret, step);
    assert_eq!(show(&role, &browser, &page, &shown).await.status, StatusCode::SEE_OTHER);
    let other = Browser::default();
    let page = second_page(&role, &other, &[]).await;
    assert_eq!(show(&role, &other, &page, &codes[3]).await.status, StatusCode::SEE_OTHER);
    let recorded = role.recorded_bytes().await;
    let bytes = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let has = |part: &[u8]| recorded.windows(part.len()).any(|window| window == part);
    assert!(has(b"login.second_factor"), "what is looked through is the log");
    assert!(!has(&bytes[..10]) && !has(&bytes[10..]) && !has(secret.as_bytes()));
    for code in &codes {
        assert!(!has(code.as_bytes()) && !has(code.replace('-', "").as_bytes()));
    }
    let entries = role.admin("GET", "/v1/auth/audit?action=login.second_factor", Value::Null).await;
    assert!(!entries.text.contains(&*shown), "nor the code, in the audit");
}
