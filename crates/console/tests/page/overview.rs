//! What the page shows.

use http::StatusCode;
use serde_json::json;

use crate::fake::{CLIENT, SECRET, TestConsole, account};

#[tokio::test]
async fn all_is_well() {
    let console = TestConsole::start(|_| {}).await;
    let page = console.page().await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    for text in [
        "<strong>shop</strong>",
        // Roles.
        r#"<th scope="row">gateway</th>"#,
        r#"<th scope="row">ledger</th>"#,
        "</span>ready</span>",
        // Amounts are the API's, byte for byte, each with its asset.
        "The books are <span class=\"badge good\"><span aria-hidden=\"true\">✓ </span>balanced</span>.",
        r#"340282366920938463463374607431.10 <span class="asset">EUR</span>"#,
        r#"-0.05 <span class="asset">EUR</span>"#,
        r#"<td class="number">12.50 <span class="asset">EUR</span></td>"#,
        r#"<time datetime="2026-01-31T09:30:00.5Z" title="2026-01-31T09:30:00.5Z">2026-01-31 09:30:00</time>"#,
        "</span>posted</span>",
        "</span>refused</span> exceeds_credits",
        "customers/42/wallet",
        "merchants/7/till",
        // Services.
        "<h3>payments</h3>",
        r#"<th scope="row">payments-1</th><td>http://127.0.0.1:9001</td><td>1.4.2</td>"#,
        "Instances of quotes: none.",
        // Streams.
        r#"<th scope="row">payment-42</th><td class="number">6</td><td class="number">1234</td>"#,
    ] {
        page.assert_has(text);
    }
    page.assert_lacks("Not shown");
    page.assert_lacks("NOT balanced");
    page.assert_lacks("badge bad\"><span aria-hidden=\"true\">✓");

    let mut seen = console.fake.seen();
    seen.sort();
    assert_eq!(
        seen,
        [
            "/role/gateway/readyz",
            "/role/ledger/readyz",
            "/v1/eventstore/streams?limit=20",
            "/v1/ledger/accounts?limit=50",
            "/v1/ledger/transfers?limit=20",
            "/v1/ledger/trial-balance",
            "/v1/registry/services",
            "/v1/registry/services/payments",
            "/v1/registry/services/quotes",
            "token /v1/eventstore events:read",
            "token /v1/ledger ledger:read",
            "token /v1/registry registry:read",
        ]
    );
    // The tokens are kept.
    console.page().await;
    assert!(console.fake.seen().iter().all(|request| !request.starts_with("token")));
}

#[tokio::test]
async fn nothing_but_the_style_sheet_may_be_loaded() {
    let console = TestConsole::start(|_| {}).await;
    let page = console.page().await;
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for text in ["<script", " style=", " onclick=", "http-equiv=\"set-cookie\"", "<img", "<iframe"]
    {
        page.assert_lacks(text);
    }
    let (_, rest) = page.html.split_once("<link rel=\"stylesheet\" href=\"").unwrap();
    let (path, _) = rest.split_once('"').unwrap();
    // It needs no credentials, so that the page for signing in has it too.
    let style = console.get(path, None).await;
    assert_eq!(style.status, StatusCode::OK);
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(style.header("cache-control"), "public, max-age=31536000, immutable");
    style.assert_has("prefers-color-scheme: dark");
    style.assert_has("tabular-nums");
    let other = console.get("/console/style-0000000000000000.css", None).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_page_loads_itself_again_unless_told_not_to() {
    let console = TestConsole::start(|config| config.refresh_seconds = 7).await;
    let meta = "<meta http-equiv=\"refresh\" content=\"7\">";
    let page = console.page().await;
    page.assert_has(meta);
    page.assert_has("<a href=\"/console?refresh=off\">");
    let page = console.get("/console?refresh=off", Some((CLIENT, SECRET))).await;
    page.assert_lacks("http-equiv");
    page.assert_has("<a href=\"/console\">");
    for query in ["?refresh=sometimes", "?other=1"] {
        let page = console.get(&format!("/console{query}"), Some((CLIENT, SECRET))).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        page.assert_has("urn:lombard:error:invalid-query");
    }
}

#[tokio::test]
async fn tables_can_be_read_aloud() {
    let console = TestConsole::start(|_| {}).await;
    let page = console.page().await;
    let count = |text: &str| page.html.matches(text).count();
    assert_eq!(count("<table>"), 6);
    assert_eq!(count("<table><caption>"), count("<table>"), "each table has a caption");
    assert_eq!(count("<th scope="), count("<th ") + count("<th>"), "each heading has a scope");
    assert_eq!(count("<h1>"), 1);
    assert_eq!(count("<section aria-labelledby="), count("<h2 id="));
    page.assert_has("<html lang=\"en\">");
}

#[tokio::test]
async fn books_that_are_not_balanced_are_said_so() {
    let console = TestConsole::start(|_| {}).await;
    console.fake.answer(
        "/v1/ledger/trial-balance",
        200,
        json!({ "balanced": false, "assets": [
            { "asset": "EUR", "debits": "1.00", "credits": "1.00", "balanced": true },
            { "asset": "JPY", "debits": "100", "credits": "99", "balanced": false },
        ] }),
    );
    let page = console.page().await;
    let bad = "<span class=\"badge bad\"><span aria-hidden=\"true\">✗ </span>NOT balanced</span>";
    page.assert_has(&format!("The books are {bad}."));
    assert_eq!(page.html.matches(bad).count(), 2, "{}", page.html);
}

#[tokio::test]
async fn services_beyond_the_limit_are_counted() {
    let console = TestConsole::start(|config| config.services_max = 1).await;
    let page = console.page().await;
    page.assert_has("<h3>payments</h3>");
    page.assert_lacks("<h3>quotes</h3>");
    page.assert_has("<p>Not shown: 1 more.</p>");
}

#[tokio::test]
async fn an_empty_platform_has_no_empty_tables() {
    let console = TestConsole::start(|config| config.roles.clear()).await;
    for path in ["/v1/ledger/transfers", "/v1/ledger/accounts", "/v1/eventstore/streams"] {
        console.fake.answer(path, 200, json!({ "items": [] }));
    }
    console.fake.answer("/v1/registry/services", 200, json!({ "services": [] }));
    let balance = json!({ "balanced": true, "assets": [] });
    console.fake.answer("/v1/ledger/trial-balance", 200, balance);
    let page = console.page().await;
    page.assert_lacks("<table>");
    page.assert_lacks("Not shown");
    page.assert_has("Registered services: none.");
    page.assert_has("Transfers, the latest first: none.");
}

#[tokio::test]
async fn hostile_names_are_shown_and_not_obeyed() {
    let console = TestConsole::start(|_| {}).await;
    let hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;";
    let fake = &console.fake;
    fake.answer("/v1/ledger/accounts", 200, json!({ "items": [account(hostile)] }));
    let stream = json!({ "stream": hostile, "last_revision": hostile, "last_position": hostile });
    fake.answer("/v1/eventstore/streams", 200, json!({ "items": [stream] }));
    let services = json!({ "services": [{ "service": hostile }, { "service": "../ledger" }] });
    fake.answer("/v1/registry/services", 200, services);
    fake.problem("/v1/ledger/trial-balance", 500, hostile);
    fake.answer("/role/ledger/readyz", 503, json!({ "obstacles": { "log": hostile } }));
    fake.answer(
        "/v1/ledger/transfers",
        200,
        json!({ "items": [{
            "id": hostile, "status": hostile, "result": hostile, "asset": hostile,
            "amount": hostile, "debit_account": hostile, "credit_account": hostile,
            "recorded_at": hostile,
        }] }),
    );
    let page = console.page().await;
    assert_eq!(page.status, StatusCode::OK);
    page.assert_lacks("<script");
    page.assert_lacks("<img");
    page.assert_lacks("\"'>");
    let escaped = "&quot;'&gt;&lt;script&gt;alert(1)&lt;/script&gt;\
                   &lt;img src=x onerror=alert(2)&gt;&amp;amp;";
    // 1 account, 3 of the stream, 1 service, 1 problem, 1 obstacle, 10 of the transfer (its time three times).
    assert_eq!(page.html.matches(escaped).count(), 17, "{}", page.html);
    // A name that is none is not put into a URL.
    let seen = fake.seen();
    assert!(!seen.iter().any(|request| request.contains("alert") || request.contains("..")));
}
