//! Every way to get a request wrong: a specific problem, and nothing changed.

use std::sync::Arc;

use axum::http::Method;
use lombard_chassis::CancellationToken;
use lombard_ledger::Config;
use lombard_log::MemoryLog;
use serde_json::{Value, json};

use crate::support::{ADMIN, Call, Harness, payment};

const WALLET: &str = "customers/1/wallet";

/// A payment that would work, with one member changed; `null` takes it out.
fn changed(member: &str, value: Value) -> Value {
    let mut body = payment(WALLET, "customers/2/wallet", "1.00");
    if value.is_null() {
        body.as_object_mut().unwrap().remove(member);
    } else {
        body[member] = value;
    }
    body
}

async fn check(ledger: &Harness, call: Call<'_>, status: u16, slug: &str, what: &str) {
    let tail = ledger.log_tail();
    let answer = call.send().await;
    assert_eq!((answer.status.as_u16(), answer.slug()), (status, slug), "{what}: {}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    assert_eq!(answer.body["status"], status, "{what}");
    assert!(!answer.text("/title").is_empty() && !answer.text("/request_id").is_empty(), "{what}");
    assert_eq!(ledger.log_tail(), tail, "{what}: nothing may change");
}

#[tokio::test]
async fn transfers() {
    let ledger = Harness::with_money().await;
    ledger.open("yen", "JPY", "0".into()).await;
    ledger.open("more-yen", "JPY", "0".into()).await;
    let big = "x".repeat(70_000);
    let cases = [
        (changed("amount", 1.into()), 400, "amount-not-a-string"),
        (changed("amount", json!(1.5)), 400, "amount-not-a-string"),
        (changed("amount", json!(-1)), 400, "amount-not-a-string"),
        (changed("amount", "1.001".into()), 400, "too-many-fraction-digits"),
        (changed("amount", "1.000".into()), 400, "too-many-fraction-digits"),
        (changed("amount", "-1".into()), 400, "malformed-amount"),
        (changed("amount", "+1".into()), 400, "malformed-amount"),
        (changed("amount", "1e2".into()), 400, "malformed-amount"),
        (changed("amount", " 1".into()), 400, "malformed-amount"),
        (changed("amount", "1,00".into()), 400, "malformed-amount"),
        (changed("amount", "".into()), 400, "malformed-amount"),
        (changed("amount", "9".repeat(40).into()), 400, "amount-too-large"),
        (changed("amount", "0".into()), 422, "amount-must-not-be-zero"),
        (changed("amount", true.into()), 400, "invalid-body"),
        (changed("amount", Value::Null), 400, "invalid-body"),
        (changed("debit_account", Value::Null), 400, "invalid-body"),
        (changed("debit_account", 1.into()), 400, "invalid-body"),
        (changed("debit_account", "a//b".into()), 400, "invalid-body"),
        (changed("debit_account", json!({ "id": "1" })), 400, "invalid-body"),
        (changed("debit_account", json!({ "ID": "1" })), 400, "invalid-body"),
        (changed("debit_account", "nobody".into()), 422, "debit-account-not-found"),
        (changed("credit_account", "nobody".into()), 422, "credit-account-not-found"),
        (
            changed("debit_account", json!({ "id": "0190d7a4-5c2e-7d31-8e2f-3b1c9a7f0d42" })),
            422,
            "debit-account-not-found",
        ),
        (changed("credit_account", WALLET.into()), 422, "accounts-must-be-different"),
        (changed("credit_account", "yen".into()), 422, "asset-mismatch"),
        (changed("asset", "USD".into()), 422, "asset-mismatch"),
        (changed("asset", "NOPE".into()), 422, "asset-not-found"),
        (changed("asset", "eur".into()), 400, "invalid-body"),
        (changed("asset", Value::Null), 400, "invalid-body"),
        (changed("id", "not-a-uuid".into()), 400, "invalid-body"),
        (changed("id", "00000000-0000-0000-0000-000000000000".into()), 400, "invalid-body"),
        (changed("code", 65_536.into()), 400, "invalid-body"),
        (changed("code", "1".into()), 400, "invalid-body"),
        (changed("effective_at", "yesterday".into()), 400, "invalid-body"),
        (changed("metadata", json!([1])), 400, "invalid-body"),
        (changed("metadata", json!({ "a": "x".repeat(2048) })), 400, "metadata-too-large"),
        (changed("metadata", json!({ "a": big })), 413, "body-too-large"),
        (changed("amuont", "1".into()), 400, "invalid-body"),
    ];
    for (body, status, slug) in cases {
        let what = body.to_string().chars().take(300).collect::<String>();
        check(&ledger, ledger.post("/transfers", body).key("k"), status, slug, &what).await;
    }
}

#[tokio::test]
async fn bodies_keys_and_tokens() {
    let ledger = Harness::with_money().await;
    let good = || payment(WALLET, "customers/2/wallet", "1.00");
    let send = |body: &str| ledger.call(Method::POST, "/transfers", body.to_owned()).key("k");
    let twice = good().to_string().replacen('{', "{\"asset\":\"EUR\",", 1);
    let two = good().to_string() + "{}";
    for (what, call, status, slug) in [
        ("half a body", send("{\"debit_account\": "), 400, "malformed-json"),
        ("no body", send(""), 400, "malformed-json"),
        ("two bodies", send(&two), 400, "malformed-json"),
        ("a list", send("[]"), 400, "invalid-body"),
        ("a member twice", send(&twice), 400, "invalid-body"),
        (
            "another type",
            send("a=b").header("content-type", "text/plain"),
            415,
            "unsupported-media-type",
        ),
        ("no type", send("{}").without_header("content-type"), 415, "unsupported-media-type"),
        ("no key", ledger.post("/transfers", good()), 400, "idempotency-key-missing"),
        ("an empty key", ledger.post("/transfers", good()).key(""), 400, "idempotency-key-invalid"),
        (
            "a key of two words",
            ledger.post("/transfers", good()).key("a b"),
            400,
            "idempotency-key-invalid",
        ),
        (
            "a long key",
            ledger.post("/transfers", good()).key(&"x".repeat(256)),
            400,
            "idempotency-key-invalid",
        ),
        (
            "a used key",
            ledger.post("/transfers", good()).key("fund"),
            422,
            "idempotency-key-reused",
        ),
        (
            "no token",
            ledger.post("/transfers", good()).key("k").without_token(),
            401,
            "unauthenticated",
        ),
        (
            "a bad token",
            ledger
                .post("/transfers", good())
                .key("k")
                .without_token()
                .header("authorization", "Bearer x"),
            401,
            "unauthenticated",
        ),
        ("no such path", ledger.get("/nothing"), 404, "not-found"),
        (
            "no such method",
            ledger.call(Method::DELETE, "/transfers", String::new()),
            405,
            "method-not-allowed",
        ),
    ] {
        check(&ledger, call, status, slug, what).await;
    }
}

#[tokio::test]
async fn scopes() {
    let ledger = Harness::with_money().await;
    let wallet = ledger.get("/accounts/by-path/customers/1/wallet?at_least=3").send().await;
    let id = wallet.text("/id").to_owned();
    let transfer = ledger.get("/transfers").send().await.text("/items/0/id").to_owned();
    let unknown = "0190d7a4-5c2e-7d31-8e2f-3b1c9a7f0d42";
    let pay = |debit: Value| ledger.post("/transfers", changed("debit_account", debit)).key("k");
    let open = |path: &str| ledger.post("/accounts", json!({ "path": path, "asset": "EUR" }));
    let get = |path: &str| ledger.get(path);
    let cases = [
        (pay(WALLET.into()), "ledger:read"),
        (pay(WALLET.into()), "payments:write"),
        (pay(WALLET.into()), "ledger:writer"),
        (pay(WALLET.into()), "ledger:write:customers/2/*"),
        (pay(WALLET.into()), "ledger:write:customers/1"),
        (pay(json!({ "id": id })), "ledger:write:customers/2/*"),
        (pay(json!({ "id": unknown })), "ledger:write:customers/2/*"),
        (pay("nobody".into()), "ledger:write:customers/2/*"),
        (open("customers/3/wallet"), "ledger:read"),
        (open("customers/3/wallet"), "ledger:write:customers/2/*"),
        (ledger.post("/assets", json!({ "code": "X", "scale": 0 })), "ledger:write:customers/*"),
        (get("/assets"), "ledger:write"),
        (get("/accounts"), "ledger:write"),
        (get("/accounts/by-path/customers/1/wallet"), "ledger:read:customers/2/*"),
        (get("/accounts/by-path/nobody"), "ledger:read:customers/2/*"),
        (get(&format!("/accounts/{id}")), "ledger:read:customers/2/*"),
        (get(&format!("/accounts/{unknown}")), "ledger:read:customers/2/*"),
        (get(&format!("/accounts/{id}/entries")), "ledger:read:customers/2/*"),
        (get("/transfers"), "ledger:read:customers/*"),
        (get(&format!("/transfers/{transfer}")), "ledger:read:customers/2/*"),
        (get(&format!("/transfers/{unknown}")), "ledger:read:customers/2/*"),
        (get("/trial-balance"), "ledger:read:customers/*"),
        (get(&format!("/explain/transfers/{transfer}")), "ledger:read:customers/2/*"),
    ];
    for (index, (call, scope)) in cases.into_iter().enumerate() {
        check(
            &ledger,
            call.scope(scope),
            403,
            "insufficient-scope",
            &format!("case {index}: {scope}"),
        )
        .await;
    }
    for scope in ["admin", ADMIN, "ledger:write:customers/1/*", "ledger:write:customers/1/wallet"] {
        let call = ledger
            .post("/transfers", changed("code", scope.len().into()))
            .key(&scope.len().to_string());
        assert_eq!(call.scope(scope).send().await.status.as_u16(), 201, "{scope}");
    }
    // The balance is told to those only who may read the account.
    let call = ledger.post("/transfers", changed("amount", "1000".into())).key("much");
    let refused = call.scope("ledger:write:customers/1/*").send().await;
    assert_eq!((refused.slug(), refused.body.get("available")), ("insufficient-funds", None));
}

#[tokio::test]
async fn accounts_assets_and_reads() {
    let ledger = Harness::with_money().await;
    let account = |member: &str, value: Value| {
        let mut body = json!({ "path": "customers/9/wallet", "asset": "EUR" });
        body[member] = value;
        ledger.post("/accounts", body)
    };
    let existing = |member: &str, value: Value| {
        let mut body = json!({ "path": WALLET, "asset": "EUR" });
        body[member] = value;
        ledger.post("/accounts", body)
    };
    let unknown = "0190d7a4-5c2e-7d31-8e2f-3b1c9a7f0d42";
    for (index, (call, status, slug)) in [
        (account("path", "/a".into()), 400, "invalid-body"),
        (account("path", "../a".into()), 400, "invalid-body"),
        (account("id", "1".into()), 400, "invalid-body"),
        (account("normal_side", "left".into()), 400, "invalid-body"),
        (account("floor", 0.into()), 400, "amount-not-a-string"),
        (account("floor", "-0".into()), 400, "malformed-amount"),
        (account("floor", "0.001".into()), 400, "too-many-fraction-digits"),
        (account("asset", "NOPE".into()), 422, "asset-not-found"),
        (account("colour", "red".into()), 400, "invalid-body"),
        (existing("floor", "1".into()), 409, "account-exists"),
        (existing("asset", "USD".into()), 409, "account-exists"),
        (existing("normal_side", "debit".into()), 409, "account-exists"),
        (existing("id", unknown.into()), 409, "path-taken"),
        (ledger.post("/assets", json!({ "code": "EUR", "scale": 3 })), 409, "asset-exists"),
        (ledger.post("/assets", json!({ "code": "X", "scale": 19 })), 400, "invalid-body"),
        (ledger.post("/assets", json!({ "code": "x", "scale": 1 })), 400, "invalid-body"),
        (ledger.post("/assets", json!({ "code": "X", "scale": -1 })), 400, "invalid-body"),
        (ledger.get(&format!("/accounts/{unknown}")), 404, "account-not-found"),
        (ledger.get("/accounts/by-path/nobody"), 404, "account-not-found"),
        (ledger.get("/accounts/by-path/a//b"), 400, "invalid-path"),
        (ledger.get("/accounts/1"), 400, "invalid-path"),
        (ledger.get(&format!("/accounts/{unknown}/entries")), 404, "account-not-found"),
        (ledger.get(&format!("/transfers/{unknown}")), 404, "transfer-not-found"),
        (ledger.get("/transfers/1"), 400, "invalid-path"),
        (ledger.get(&format!("/explain/transfers/{unknown}")), 404, "transfer-not-found"),
        (ledger.get("/accounts?limit=0"), 400, "invalid-query"),
        (ledger.get("/accounts?limit=1001"), 400, "invalid-query"),
        (ledger.get("/accounts?limit=many"), 400, "invalid-query"),
        (ledger.get("/accounts?after=//"), 400, "invalid-query"),
        (ledger.get("/transfers?before=-1"), 400, "invalid-query"),
        (ledger.get("/transfers?at_least=now"), 400, "invalid-query"),
        (ledger.get("/trial-balance?colour=red"), 400, "invalid-query"),
    ]
    .into_iter()
    .enumerate()
    {
        check(&ledger, call, status, slug, &format!("case {index}")).await;
    }
}

#[tokio::test]
async fn a_read_of_the_future_is_told_to_come_back() {
    let reads = lombard_query::Config { wait_ms_max: 20, ..Default::default() };
    let log = Arc::new(MemoryLog::new());
    let ledger = Harness::with_reads(Config::default(), log, None, reads).await;
    for path in ["/assets", "/accounts", "/transfers", "/trial-balance"] {
        let answer = ledger.get(&format!("{path}?at_least=7")).send().await;
        assert_eq!((answer.status.as_u16(), answer.slug()), (503, "position-not-reached"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn an_overflow_is_a_refusal() {
    let ledger = Harness::new().await;
    for path in ["a", "b", "c"] {
        ledger.open(path, "JPY", Value::Null).await;
    }
    let pay = async |key: &str, credit: &str, amount: &str| {
        let body = json!({ "debit_account": "a", "credit_account": credit, "asset": "JPY", "amount": amount });
        ledger.post("/transfers", body).key(key).send().await
    };
    let max = u128::MAX.to_string();
    assert_eq!(pay("1", "b", &max).await.status.as_u16(), 201);
    let refused = pay("2", "c", "1").await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (422, "balance-overflow"));
    assert_eq!(refused.text("/result"), "overflows_debits_posted");
}

#[tokio::test]
async fn trouble_with_the_log_is_told_apart() {
    let log = MemoryLog::new();
    let config = Config { submit_ms_max: 50, ..Config::default() };
    let ledger = Harness::with(config, Arc::new(log.clone())).await;
    ledger.open("a", "EUR", Value::Null).await;
    ledger.open("b", "EUR", Value::Null).await;

    log.set_room_bytes(1);
    check(
        &ledger,
        ledger.post("/transfers", payment("a", "b", "1")).key("1"),
        507,
        "disk-full",
        "full",
    )
    .await;
    log.set_room_bytes(u64::MAX);
    assert_eq!(ledger.pay("1", "a", "b", "1").await.status.as_u16(), 201, "the id was not spent");

    log.hold();
    let unknown = ledger.pay("2", "a", "b", "1").await;
    assert_eq!((unknown.status.as_u16(), unknown.slug()), (504, "outcome-unknown"));
    log.release();
    let answer = ledger.pay("2", "a", "b", "1").await;
    assert_eq!(answer.status.as_u16(), 201);
    assert_eq!(answer.header("idempotency-replayed"), Some("true"), "it had happened");

    log.hold();
    let doomed = ledger.pay("3", "a", "b", "1");
    let poisoned = async { log.poison("a test") };
    let (doomed, ()) = tokio::join!(doomed, poisoned);
    assert_eq!((doomed.status.as_u16(), doomed.slug()), (504, "outcome-unknown"));
    let after = ledger.pay("3", "a", "b", "1").await;
    assert!(["outcome-unknown", "stopping"].contains(&after.slug()), "{}", after.body);
    let Harness { ledger, .. } = ledger;
    let stopped = ledger.run(CancellationToken::new()).await;
    assert!(stopped.is_err(), "the process must end and recover");
}

#[tokio::test]
async fn a_full_queue_is_refused_at_once() {
    let log = MemoryLog::new();
    let config = Config {
        queue_commands_max: 1,
        group_commands_max: 1,
        submit_ms_max: 200,
        ..Config::default()
    };
    let ledger = Harness::with(config, Arc::new(log.clone())).await;
    log.hold();
    let calls = (0..40).map(|n| {
        let ledger = &ledger;
        async move { ledger.open_any(&format!("account-{n}")).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    let overloaded = answers.iter().filter(|answer| answer.status.as_u16() == 503);
    let told: Vec<_> =
        overloaded.map(|answer| (answer.slug(), answer.header("retry-after"))).collect();
    assert!(!told.is_empty());
    assert!(told.iter().all(|told| *told == ("overloaded", Some("1"))), "{told:?}");
}
