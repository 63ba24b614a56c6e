//! Balances, reservations, sums and the journal over HTTP.

mod support;

use axum::{body::Body, extract::Request, http::StatusCode};
use http_body_util::BodyExt as _;
use lombard_query::Config;
use serde_json::json;
use support::{Harness, READ, payment, token};
use tower::ServiceExt as _;

#[tokio::test]
async fn what_was_true_at_a_position_and_at_an_effective_time_stays_so() {
    let ledger = Harness::new(Config::default()).await;
    ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    let first = ledger.post("/transfers", "a", payment("100.00")).await;
    let mut backdated = payment("7.00");
    backdated["effective_at"] = "2020-03-31T12:00:00Z".into();
    let second = ledger.post("/transfers", "b", backdated).await;

    let balance = format!("/accounts/{wallet}/balance");
    let now = ledger.get(READ, &format!("{balance}?at_least={}", second.position)).await;
    assert_eq!(now.status, StatusCode::OK, "{}", now.body);
    assert_eq!((now.text("/posted"), now.text("/version")), ("107.00", "2"));
    assert_eq!(now.position, second.position);

    let then = ledger.get(READ, &format!("{balance}?as_of={}", first.position)).await;
    assert_eq!((then.text("/posted"), then.text("/version")), ("100.00", "1"));
    assert_eq!(then.position, first.position);
    let by_time = ledger.get(READ, &format!("{balance}?as_of={}", then.text("/time"))).await;
    assert_eq!(by_time.body, then.body);

    let effective = |at: &str| format!("{balance}?effective_at={at}");
    let in_2021 = ledger.get(READ, &effective("2021-01-01T00:00:00Z")).await;
    assert_eq!(in_2021.text("/posted"), "7.00");
    let before = ledger.get(READ, &effective("2020-03-31T11:59:59Z")).await;
    assert_eq!(before.text("/posted"), "0.00");
    // Before the second transfer was known, nothing counted in 2021.
    let as_known = format!("{}&as_of={}", effective("2021-01-01T00:00:00Z"), first.position);
    assert_eq!(ledger.get(READ, &as_known).await.text("/posted"), "0.00");
}

#[tokio::test]
async fn reservations_are_listed_as_they_were() {
    let ledger = Harness::new(Config::default()).await;
    ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    let mut reserve = payment("30.00");
    reserve["pending"] = json!({ "timeout_seconds": 3600 });
    let reserved = ledger.post("/transfers", "r", reserve).await;
    let id = reserved.text("/id");
    let posted = ledger.post(&format!("/transfers/{id}/post"), "p", json!({})).await;

    let list = format!("/accounts/{wallet}/reservations");
    let after = ledger.get(READ, &format!("{list}?at_least={}", posted.position)).await;
    assert_eq!(after.body, json!({ "items": [], "next": null }));
    let then = ledger.get(READ, &format!("{list}?as_of={}", reserved.position)).await;
    assert_eq!(then.text("/items/0/transfer_id"), id);
    assert_eq!(then.text("/items/0/amount"), "30.00");
    assert_eq!(then.text("/items/0/counterparty"), "world");
    let balance = format!("/accounts/{wallet}/balance?as_of={}", reserved.position);
    let balance = ledger.get(READ, &balance).await;
    assert_eq!((balance.text("/posted"), balance.text("/pending")), ("0.00", "30.00"));
}

#[tokio::test]
async fn sums_are_for_those_who_may_read_all_of_them() {
    let ledger = Harness::new(Config { examined_max: 2, ..Config::default() }).await;
    for path in ["world", "customers/42/wallet", "customers/42/savings", "customers/420"] {
        ledger.open(path).await;
    }
    let paid = ledger.post("/transfers", "a", payment("5.00")).await;
    let of = |prefix: &str| format!("/totals?prefix={prefix}&at_least={}", paid.position);
    let below = ledger.get("ledger:read:customers/42/*", &of("customers/42/")).await;
    assert_eq!(below.text("/assets/0/credits_posted"), "5.00", "{}", below.body);
    assert_eq!(below.body.pointer("/assets/0/account_count"), Some(&json!(2)));
    for scope in ["ledger:read:customers/42/*", "ledger:read:customers/42", "ledger:write"] {
        let wider = ledger.get(scope, &of("customers/42")).await;
        assert_eq!(wider.status, StatusCode::FORBIDDEN, "{scope}");
    }
    let many = ledger.get(READ, &of("customers/")).await;
    assert_eq!(many.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(many.text("/type"), "urn:lombard:error:too-much-to-examine");
    let book = ledger.get(READ, &format!("/totals?as_of={}", paid.position)).await;
    assert_eq!(book.text("/assets/0/debits_posted"), book.text("/assets/0/credits_posted"));
}

/// An oracle that is not ours: hledger adds up the same journal.
#[tokio::test]
async fn hledger_comes_to_the_same_balances() {
    let ledger = Harness::new(Config::default()).await;
    let paths = ["world", "customers/42/wallet", "customers/7/wallet", "fees"];
    let mut accounts = Vec::new();
    for path in paths {
        accounts.push(ledger.open(path).await);
    }
    // A walk that meets every pair, with posts, voids and reversals in between.
    let mut position = String::new();
    for number in 0usize..120 {
        let (debit, credit) = (paths[number % 4], paths[(number + 1 + number / 4 % 3) % 4]);
        let cents = number * 7919 % 100_000;
        let mut body = payment(&format!("{}.{:02}", 1 + cents / 100, cents % 100));
        body["debit_account"] = debit.into();
        body["credit_account"] = credit.into();
        if number % 3 == 0 {
            body["pending"] = json!({});
        }
        if number % 7 == 0 && number % 3 != 0 {
            body["effective_at"] = "2020-02-29T23:00:00Z".into();
        }
        let key = format!("t{number}");
        let made = ledger.post("/transfers", &key, body).await;
        let next = match number % 6 {
            0 => Some("post"),
            3 => Some("void"),
            5 => Some("reverse"),
            _ => None,
        };
        position = made.position.clone();
        if let Some(next) = next {
            let path = format!("/transfers/{}/{next}", made.text("/id"));
            position = ledger.post(&path, &format!("n{number}"), json!({})).await.position;
        }
    }
    let request = Request::get(format!("/v1/ledger/export/hledger?at_least={position}"))
        .header("authorization", format!("Bearer {}", token(READ)));
    let request = request.body(Body::empty()).unwrap();
    let response = ledger.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let journal = response.into_body().collect().await.unwrap().to_bytes();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &journal).unwrap();
    let asked = std::process::Command::new("hledger")
        .arg("-f")
        .arg(file.path())
        .args(["balance", "--flat", "--empty", "-O", "csv"])
        .env("LC_ALL", "C.UTF-8")
        .output();
    let Ok(asked) = asked else {
        eprintln!("skipped: hledger is not installed (apt-get install hledger)");
        return;
    };
    let said = String::from_utf8(asked.stdout).unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    for (path, id) in paths.iter().zip(accounts) {
        let balance = ledger.get(READ, &format!("/accounts/{id}/balance")).await;
        // Accounts grow on the credit side here, and hledger's are debits.
        let posted = balance.text("/posted");
        let negated = match posted.strip_prefix('-') {
            Some(positive) => positive.to_owned(),
            None => format!("-{posted}"),
        };
        let name = path.replace('/', ":");
        let line = said.lines().find(|line| line.contains(&name));
        let line = line.unwrap_or_else(|| panic!("{name}: {said}"));
        let number: String = line
            .rsplit(',')
            .next()
            .unwrap()
            .chars()
            .filter(|c| "-.0123456789".contains(*c))
            .collect();
        assert_eq!(number, negated, "{name}: {line}");
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_said() {
    let config = Config { wait_ms_max: 10, ..Config::default() };
    let ledger = Harness::new(config).await;
    let world = ledger.open("world").await;
    let balance = format!("/accounts/{world}/balance");
    for (scope, path, status) in [
        (READ, format!("{balance}?as_of=1000"), StatusCode::SERVICE_UNAVAILABLE),
        (READ, format!("{balance}?as_of=yesterday"), StatusCode::BAD_REQUEST),
        (READ, format!("{balance}?as_of=2200-01-01T00:00:00Z"), StatusCode::BAD_REQUEST),
        (READ, format!("{balance}?effective_at=1"), StatusCode::BAD_REQUEST),
        (READ, format!("/accounts/{world}/reservations?limit=0"), StatusCode::BAD_REQUEST),
        (
            READ,
            "/accounts/018f0000-0000-7000-8000-000000000000/balance".to_owned(),
            StatusCode::NOT_FOUND,
        ),
        ("ledger:read:customers/*", balance.clone(), StatusCode::FORBIDDEN),
        (
            "ledger:read:customers/*",
            "/accounts/018f0000-0000-7000-8000-000000000000/balance".to_owned(),
            StatusCode::FORBIDDEN,
        ),
    ] {
        let answer = ledger.get(scope, &path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
}
