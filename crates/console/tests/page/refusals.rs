//! What the page says where it cannot show something.

use http::StatusCode;
use serde_json::json;

use crate::fake::{CLIENT, NEVER, SECRET, TestConsole, nowhere};

#[tokio::test]
async fn without_credentials_or_with_wrong_ones() {
    let console = TestConsole::start(|_| {}).await;
    let long = "x".repeat(2000);
    for (credentials, asked) in [
        (None, 0),
        (Some(("", "")), 0),
        (Some((CLIENT, "")), 0),
        (Some((CLIENT, long.as_str())), 0),
        (Some((CLIENT, "wrong")), 1),
        (Some(("nobody", SECRET)), 1),
    ] {
        let page = console.get("/console", credentials).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{credentials:?}");
        let challenge = page.header("www-authenticate");
        assert_eq!(challenge, "Basic realm=\"Lombard\", charset=\"UTF-8\"");
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
        page.assert_has("Sign in");
        page.assert_lacks("http-equiv");
        assert_eq!(page.html.contains("is wrong"), asked > 0);
        // A guess is one guess, and nothing is read.
        assert_eq!(console.fake.seen().len(), asked, "{credentials:?}");
    }
    let metrics = console.metrics.encode().unwrap();
    assert!(metrics.contains("lombard_console_pages_total{result=\"unauthenticated\"} 6"));
}

#[tokio::test]
async fn a_role_that_is_away_takes_only_its_sections_with_it() {
    let console = TestConsole::start(|config| {
        config.roles.insert("ledger".to_owned(), nowhere());
    })
    .await;
    for path in ["trial-balance", "transfers", "accounts"] {
        console.fake.problem(&format!("/v1/ledger/{path}"), 503, "Upstream away");
    }
    let reason = json!({ "ready": false, "obstacles": { "keys": "not fetched yet" } });
    console.fake.answer("/role/gateway/readyz", 503, reason);
    let page = console.page().await;
    assert_eq!(page.status, StatusCode::OK);
    page.assert_has("✗ </span>away</span></td><td>cannot be reached</td>");
    page.assert_has("✗ </span>not ready</span></td><td>keys: not fetched yet</td>");
    let sentence = "Not shown: the ledger answered 503: Upstream away.";
    assert_eq!(page.html.matches(sentence).count(), 3, "{}", page.html);
    page.assert_has("payments-1");
    page.assert_has("payment-42");
}

#[tokio::test]
async fn what_the_client_may_not_read() {
    let console = TestConsole::start(|_| {}).await;
    // Less than the console asks for: it takes what the client has.
    console.fake.scope("/v1/ledger", "ledger:read:customers/42/*");
    console.fake.answer(
        "/v1/ledger/trial-balance",
        403,
        json!({ "title": "Insufficient scope", "required_scope": "ledger:read" }),
    );
    console.fake.answer("/v1/eventstore/streams", 403, "");
    let page = console.page().await;
    page.assert_has("Not shown: this client may not read it. It takes the scope ledger:read.");
    page.assert_has("customers/42/wallet");
    page.assert_has("Not shown: this client may not read it.</p>");
    let asked: Vec<_> = console
        .fake
        .seen()
        .into_iter()
        .filter(|request| request.contains("token /v1/ledger"))
        .collect();
    assert_eq!(asked, ["token /v1/ledger ledger:read", "token /v1/ledger "]);
}

#[tokio::test]
async fn a_client_without_any_scope_at_a_resource() {
    let console = TestConsole::start(|_| {}).await;
    console.fake.answer("/oauth/token", 400, json!({ "error": "invalid_scope" }));
    let page = console.page().await;
    assert_eq!(page.status, StatusCode::OK);
    page.assert_has(
        "Not shown: this client has no scope for the registry. It takes registry:read.",
    );
    page.assert_has(
        "Not shown: this client has no scope for the event store. It takes events:read.",
    );
    let ledger = "Not shown: this client has no scope for the ledger. It takes ledger:read.";
    assert_eq!(page.html.matches(ledger).count(), 3);
}

#[tokio::test]
async fn while_auth_is_away_the_roles_are_shown_but_not_what_they_say() {
    let console = TestConsole::start(|_| {}).await;
    console.fake.problem("/oauth/token", 503, "Upstream away");
    console.fake.answer("/role/ledger/readyz", 503, json!({ "obstacles": { "log": "disk full" } }));
    let page = console.page().await;
    assert_eq!(page.status, StatusCode::OK);
    page.assert_has("✓ </span>ready</span>");
    page.assert_has("✗ </span>not ready</span>");
    page.assert_lacks("disk full");
    page.assert_lacks("<th scope=\"col\">Address</th>");
    let sentence = "Not shown: the authorization server answered 503: Upstream away.";
    assert_eq!(page.html.matches(sentence).count(), 5, "{}", page.html);
}

#[tokio::test]
async fn slow_long_and_strange_answers() {
    let console = TestConsole::start(|config| {
        config.call_ms_max = 300;
        config.answer_bytes_max = 2048;
    })
    .await;
    let fake = &console.fake;
    fake.answer("/v1/ledger/trial-balance", NEVER, "");
    fake.answer("/role/ledger/readyz", NEVER, "");
    fake.answer("/v1/ledger/transfers", 200, format!("{{\"items\":[]{}}}", " ".repeat(2048)));
    fake.answer("/v1/ledger/accounts", 200, "<html>");
    fake.answer("/v1/eventstore/streams", 200, json!({ "items": [{ "stream": 7 }] }));
    fake.answer("/v1/registry/services/quotes", 302, "");
    let page = console.page().await;
    assert_eq!(page.status, StatusCode::OK);
    page.assert_has("Not shown: the ledger did not answer in time.");
    page.assert_has("✗ </span>away</span></td><td>did not answer in time</td>");
    let strange = "Not shown: the ledger answered in a form that this console does not know.";
    assert_eq!(page.html.matches(strange).count(), 2, "{}", page.html);
    page.assert_has("the event store answered in a form that this console does not know.");
    page.assert_has("<h3>quotes</h3><p class=\"notice\">Not shown: the registry answered 302.</p>");
    page.assert_has("payments-1");
}

#[tokio::test]
async fn a_token_that_is_refused_is_asked_for_anew() {
    let console = TestConsole::start(|_| {}).await;
    console.page().await;
    let good = json!({ "items": [] });
    console.fake.answer("/v1/ledger/accounts", 401, json!({ "title": "Not authenticated" }));
    console.page().await.assert_has("Not shown: the ledger did not accept the access token.");
    console.fake.answer("/v1/ledger/accounts", 200, good);
    console.fake.seen();
    console.page().await.assert_lacks("Not shown");
    let tokens: Vec<_> =
        console.fake.seen().into_iter().filter(|request| request.starts_with("token")).collect();
    assert_eq!(tokens, ["token /v1/ledger ledger:read"]);
}

#[tokio::test]
async fn tokens_that_are_kept_are_bounded() {
    let console = TestConsole::start(|config| config.tokens_max = 2).await;
    for _ in 0..3 {
        console.page().await.assert_lacks("Not shown");
    }
    let tokens = console.fake.seen().iter().filter(|request| request.starts_with("token")).count();
    assert!((5..=9).contains(&tokens), "{tokens}");
}

#[tokio::test]
async fn too_many_pages_at_once_are_refused() {
    let console = TestConsole::start(|config| config.pages_max = 1).await;
    console.fake.answer("/v1/ledger/trial-balance", NEVER, "");
    let slow = console.page();
    let other = async {
        let is_asked = |request: &String| request == "/v1/ledger/trial-balance";
        while !console.fake.seen().iter().any(is_asked) {
            tokio::task::yield_now().await;
        }
        console.page().await
    };
    let (slow, other) = tokio::join!(slow, other);
    assert_eq!(slow.status, StatusCode::OK);
    assert_eq!(other.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(other.header("retry-after"), "1");
    other.assert_has("urn:lombard:error:overloaded");
}
