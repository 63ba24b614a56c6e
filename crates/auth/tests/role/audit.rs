//! The audit: every decision is in it, what is asked for is found, and no secret is there.

use http::{Request, StatusCode, header};
use lombard_auth::Config;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{Browser, PASSWORD, Role, SECRET, VERIFIER};

/// All entries that fit, over pages of a few.
async fn audit(role: &Role, filters: &str) -> Vec<Value> {
    let (mut entries, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/auth/audit?limit=3{after}{filters}");
        let page = role.admin("GET", &path, Value::Null).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let page = page.json();
        let items = page["items"].as_array().unwrap().clone();
        assert!(items.len() <= 3);
        entries.extend(items);
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return entries,
        }
    }
}

/// Waits until entries that fit are written: most are so a moment after the answer.
pub(crate) async fn found(role: &Role, filters: &str, count: usize) -> Vec<Value> {
    loop {
        let entries = audit(role, filters).await;
        if entries.len() >= count {
            assert_eq!(entries.len(), count, "{filters}: {entries:?}");
            return entries;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_did_what_with_which_client() {
    let (role, browser) = (Role::start().await, Browser::default());
    let code = role.code(&browser, &[]).await;
    let tokens = role.redeem(&code, &[]).await.json();
    let ada = role.admin("GET", "/v1/auth/users/ada", Value::Null).await.json();
    let subject = ada["subject"].as_str().unwrap();

    let login = &found(&role, "&action=login", 1).await[0];
    assert_eq!((&login["outcome"], &login["client_id"]), (&json!("allowed"), &json!("shop")));
    assert_eq!(login["subject"], subject);
    let consent = &found(&role, "&action=consent", 1).await[0];
    assert_eq!(consent["subject"], subject);
    assert!(consent["detail"].as_str().unwrap().contains("scope=openid"), "{consent}");
    let filters = format!("&action=token&client_id=shop&subject={subject}");
    let token = &found(&role, &filters, 1).await[0];
    let jti = crate::support::claims(tokens["access_token"].as_str().unwrap())["jti"].clone();
    assert!(token["detail"].as_str().unwrap().contains(jti.as_str().unwrap()), "{token}");

    // The same code again, and a wrong secret: refused, with the reason.
    role.redeem(&code, &[]).await;
    role.redeem("x", &[("client_secret", "wrong")]).await;
    let refused = found(&role, "&action=token&client_id=shop&outcome=refused", 2).await;
    assert_eq!(refused[0]["error"], "invalid_grant");
    assert_eq!(refused[1]["error"], "invalid_client");

    // A login that fails, from somewhere.
    let stranger = Browser::default();
    let page = stranger.authorize(&role, &[]).await;
    let page = stranger.page(&role, page).await;
    stranger.submit(&role, &page, ("ada", "a wrong password"), "allow").await;
    let failed = &found(&role, "&action=login&outcome=refused", 1).await[0];
    assert_eq!((&failed["subject"], &failed["error"]), (&json!(subject), &json!("access_denied")));

    // What administrators do is there when it is answered.
    let gone = role.admin("DELETE", "/v1/auth/clients/app", Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let removed = audit(&role, "&action=client.remove").await;
    assert_eq!((&removed[0]["client_id"], &removed[0]["detail"]), (&json!("admin"), &json!("app")));
    let made = audit(&role, "&action=client.create").await;
    assert_eq!((made.len(), &made[0]["detail"]), (2, &json!("clients/shop")));
    assert_eq!(audit(&role, "&action=client").await.len(), 3, "all about clients");
    assert_eq!(audit(&role, "&action=cli").await.len(), 0);

    // Whoever reads the audit is in it. Without the right nothing is read.
    assert!(!audit(&role, "&action=audit").await.is_empty());
    let secret = role.shop_secret();
    let recorded = role.recorded().await;
    for hidden in [
        PASSWORD,
        "a wrong password",
        SECRET,
        VERIFIER,
        &*code,
        &*secret,
        tokens["access_token"].as_str().unwrap(),
        tokens["refresh_token"].as_str().unwrap(),
    ] {
        assert!(!recorded.contains(hidden), "{hidden}");
    }
}

/// Whoever has an answer's request id finds the entry by it, also where the server made the id.
#[tokio::test]
async fn an_entry_has_the_request_id_of_the_answer() {
    let role = Role::start().await;
    let served =
        role.router.clone().layer(axum::middleware::from_fn(lombard_chassis::context::layer));
    let request = Request::post("/oauth/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(axum::body::Body::from("grant_type=client_credentials&client_id=nobody"))
        .unwrap();
    let response = served.oneshot(request).await.unwrap();
    let answered = response.headers()["x-request-id"].to_str().unwrap();
    assert_eq!(found(&role, "&client_id=nobody", 1).await[0]["request_id"], answered);
}

#[tokio::test]
async fn from_where_and_when() {
    let role = Role::start().await;
    let request = |address: &str, id: &str| {
        Request::post("/oauth/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("x-forwarded-for", address)
            .header("x-request-id", id)
            .body(axum::body::Body::from("grant_type=client_credentials&client_id=nobody"))
            .unwrap()
    };
    role.send(request("192.0.2.1", "first")).await;
    role.send(request("192.0.2.2", "second")).await;
    let entries = found(&role, "&client_id=nobody", 2).await;
    assert_eq!(
        (&entries[0]["address"], &entries[0]["request_id"]),
        (&json!("192.0.2.1"), &json!("first"))
    );
    assert_eq!(found(&role, "&address=192.0.2.2", 1).await[0]["request_id"], "second");
    let second = entries[1]["at"].as_str().unwrap();
    let since = format!("&client_id=nobody&since={second}");
    assert_eq!(found(&role, &since, 1).await[0]["request_id"], "second");
    let until = format!("&client_id=nobody&until={second}");
    assert_eq!(found(&role, &until, 1).await[0]["request_id"], "first");
    // An address may be anything that somebody sends.
    role.send(request(&"9".repeat(5000), "long")).await;
    let long = found(&role, "&client_id=nobody", 3).await;
    assert!(long[2]["address"].as_str().unwrap().len() <= 400);
    for bad in ["&outcome=maybe", "&since=yesterday", "&after=x", "&who=me", "&limit=0"] {
        let answer = role.admin("GET", &format!("/v1/auth/audit?{}", &bad[1..]), Value::Null).await;
        assert_eq!(answer.json()["type"], "urn:lombard:error:invalid-query", "{bad}");
    }
    // Each entry is in a record that the log proves, and is still there after a restart.
    let role = role.restart().await;
    assert_eq!(audit(&role, "&client_id=nobody").await, long);
}

#[tokio::test]
async fn only_auditors_read_it_and_tokens_can_be_left_out() {
    let config = Config {
        password_memory_kib: 64,
        password_passes: 1,
        audit_issued_tokens: false,
        audit_examined_max: 2,
        ..Config::default()
    };
    let role = Role::start_with(config).await;
    let client = json!({
        "client_id": "reader", "name": "Reader", "scope": "auth:read auth:audit",
        "profile": "oauth-2.1",
    });
    let secret = role.admin("POST", "/v1/auth/clients", client).await.json();
    let secret = secret["client_secret"].as_str().unwrap().to_owned();
    let who = ("reader", &*secret);
    let seen = role.call(who, "GET", "/v1/auth/audit", Value::Null).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text);
    let client = json!({
        "client_id": "other", "name": "Other", "scope": "auth:read", "profile": "oauth-2.1",
    });
    let other = role.admin("POST", "/v1/auth/clients", client).await.json();
    let other = other["client_secret"].as_str().unwrap().to_owned();
    let refused = role.call(("other", &other), "GET", "/v1/auth/audit", Value::Null).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let entry = &found(&role, "&action=audit.read&outcome=refused", 1).await[0];
    assert_eq!(
        (&entry["client_id"], &entry["error"]),
        (&json!("other"), &json!("insufficient-scope"))
    );
    // Pages may be short where few of many records fit, and all are found in the end.
    assert_eq!(audit(&role, "&action=client.create").await.len(), 4);
    assert!(audit(&role, "&action=token&outcome=allowed").await.is_empty());
}
