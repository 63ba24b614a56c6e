//! Everything a posting set can be, over HTTP.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use lombard_ledger::Config;
use lombard_log::{Log as _, MemoryLog};
use serde_json::{Value, json};

use crate::support::{ADMIN, Answer, Harness, payment};

fn with(mut body: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

async fn create(ledger: &Harness, key: &str, body: Value) -> Answer {
    ledger.post("/transfers", body).key(key).send().await
}

async fn available(ledger: &Harness, path: &str, after: &Answer) -> String {
    let position = after.header("lombard-position").unwrap();
    let path = format!("/accounts/by-path/{path}?at_least={position}");
    ledger.get(&path).send().await.text("/balance/available").to_owned()
}

fn said(answer: &Answer) -> (u16, String) {
    let text = if answer.status.is_success() { answer.text("/status") } else { answer.slug() };
    (answer.status.as_u16(), text.to_owned())
}

const FROM: &str = "customers/1/wallet";
const TO: &str = "customers/2/wallet";

#[tokio::test]
async fn a_card_authorization_is_captured_in_part_and_refunded() {
    let ledger = Harness::with_money().await;
    let hold = with(
        payment(FROM, TO, "40"),
        json!({ "pending": { "timeout_seconds": 3600, "allowance": "5.00" }, "external_id": "auth-1" }),
    );
    let held = create(&ledger, "hold", hold).await;
    assert_eq!(said(&held), (201, "pending".to_owned()));
    assert_eq!((held.text("/kind"), held.text("/allowance")), ("pending", "5.00"));
    assert!(held.text("/expires_at") > held.text("/recorded_at"));
    assert_eq!(available(&ledger, FROM, &held).await, "60.00");

    let id = held.text("/id");
    let post = |key: &'static str, body: Value| {
        ledger.post(&format!("/transfers/{id}/post"), body).key(key)
    };
    let too_much = post("capture-0", json!({ "amount": "45.01" })).send().await;
    assert_eq!(said(&too_much), (422, "exceeds-pending-amount".to_owned()));
    let captured = post("capture-1", json!({ "amount": "35" })).send().await;
    assert_eq!(said(&captured), (201, "posted".to_owned()));
    assert_eq!((captured.text("/kind"), captured.text("/pending_id")), ("post", id));
    let again = post("capture-1", json!({ "amount": "35" })).send().await;
    assert_eq!(
        (&again.body, again.headers["idempotency-replayed"].to_str().unwrap()),
        (&captured.body, "true")
    );
    let other = post("capture-1", json!({ "amount": "34" })).send().await;
    assert_eq!(said(&other), (422, "idempotency-key-reused".to_owned()));
    let late = post("capture-2", json!({})).send().await;
    assert_eq!(said(&late), (409, "pending-transfer-over".to_owned()));
    assert_eq!(late.text("/result"), "pending_transfer_already_posted");
    let seen = ledger.get("/transfers?external_id=auth-1").send().await;
    assert_eq!(seen.text("/items/0/status"), "posted", "what became of it");
    assert_eq!(available(&ledger, FROM, &captured).await, "65.00");

    let reverse = format!("/transfers/{}/reverse", captured.text("/id"));
    let refunded = ledger.post(&reverse, json!({ "amount": "10" })).key("refund-1").send().await;
    assert_eq!(said(&refunded), (201, "posted".to_owned()));
    assert_eq!(refunded.text("/reverses"), captured.text("/id"));
    assert_eq!((refunded.text("/debit_account"), refunded.text("/credit_account")), (TO, FROM));
    let too_much = ledger.post(&reverse, json!({ "amount": "26" })).key("refund-2").send().await;
    assert_eq!(said(&too_much), (422, "exceeds-reversible-amount".to_owned()));
    let rest = ledger.post(&reverse, json!({})).key("refund-3").send().await;
    assert_eq!(rest.text("/amount"), "25.00", "what is left");
    assert_eq!(available(&ledger, FROM, &rest).await, "100.00");
}

#[tokio::test]
async fn a_void_gives_everything_back() {
    let ledger = Harness::with_money().await;
    let held =
        create(&ledger, "hold", with(payment(FROM, TO, "100"), json!({ "pending": {} }))).await;
    let refused = ledger.pay("pay", FROM, TO, "1").await;
    assert_eq!(said(&refused), (422, "insufficient-funds".to_owned()));
    let void = format!("/transfers/{}/void", held.text("/id"));
    let voided = ledger.post(&void, json!({})).key("void").send().await;
    assert_eq!(said(&voided), (201, "voided".to_owned()));
    assert_eq!(available(&ledger, FROM, &voided).await, "100.00");
    let nothing = "/transfers/00000000-0000-0000-0000-00000000abcd/void";
    let missing = ledger.post(nothing, json!({})).key("void-2").send().await;
    assert_eq!(said(&missing), (404, "transfer-not-found".to_owned()));
}

#[tokio::test]
async fn a_trade_of_two_assets_happens_as_a_whole() {
    let ledger = Harness::with_money().await;
    ledger.open("fx/eur", "EUR", Value::Null).await;
    ledger.open("fx/jpy", "JPY", Value::Null).await;
    ledger.open("customers/1/jpy", "JPY", "0".into()).await;
    let trade = |euros: &str| {
        json!({ "transfers": [
            { "debit_account": FROM, "credit_account": "fx/eur", "asset": "EUR", "amount": euros },
            { "debit_account": "fx/jpy", "credit_account": "customers/1/jpy", "asset": "JPY", "amount": "9000" },
        ], "metadata": { "quote": "q-1" } })
    };
    let traded = create(&ledger, "fx-1", trade("60")).await;
    assert_eq!(said(&traded), (201, "posted".to_owned()));
    assert_eq!(traded.text("/transfers/1/amount"), "9000");
    let seen = ledger.get(&format!("/transfers/{}", traded.text("/id"))).send().await;
    assert_eq!(seen.body, traded.body);
    let refused = create(&ledger, "fx-2", trade("60")).await;
    assert_eq!(said(&refused), (422, "insufficient-funds".to_owned()));
    assert_eq!(refused.body["transfer"], 0);
    let again = create(&ledger, "fx-2", trade("60")).await;
    assert_eq!((again.text("/result"), &again.body["replayed"]), ("exceeds_credits", &true.into()));
    assert_eq!(available(&ledger, "customers/1/jpy", &again).await, "9000");
}

#[tokio::test]
async fn a_dry_run_answers_the_same_and_records_nothing() {
    let ledger = Harness::with_money().await;
    let tail = ledger.log_tail();
    let tried = |body: Value| ledger.post("/transfers?dry_run=true", body).key("try");
    let good = tried(payment(FROM, TO, "100")).send().await;
    assert_eq!(said(&good), (200, "posted".to_owned()));
    let bad = tried(payment(FROM, TO, "100.01")).send().await;
    assert_eq!(said(&bad), (422, "insufficient-funds".to_owned()));
    assert_eq!(ledger.log_tail(), tail);
    assert_eq!(said(&ledger.pay("try", FROM, TO, "7").await), (201, "posted".to_owned()));
}

#[tokio::test]
async fn a_batch_has_a_result_for_each_set_and_is_retried_as_a_whole() {
    let ledger = Harness::with_money().await;
    let batch = json!({ "sets": [
        payment(FROM, TO, "60"),
        payment(FROM, TO, "60"),
        with(payment(TO, FROM, "10"), json!({ "id": "00000000-0000-0000-0000-00000000abcd" })),
        payment(FROM, "nobody", "1"),
    ]});
    let results = |answer: &Answer| -> Vec<String> {
        let results = answer.body["results"].as_array().unwrap();
        let name = |result: &Value| match result["transfer"]["status"].as_str() {
            Some(status) => status.to_owned(),
            None => result["problem"]["result"].as_str().unwrap().to_owned(),
        };
        results.iter().map(name).collect()
    };
    let expected = ["posted", "exceeds_credits", "posted", "credit_account_not_found"];
    let done = ledger.post("/batches", batch.clone()).key("b-1").send().await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert_eq!(results(&done), expected);
    let tail = ledger.log_tail();
    let again = ledger.post("/batches", batch).key("b-1").send().await;
    assert_eq!(results(&again), expected);
    assert_eq!(again.body["results"][0], done.body["results"][0]);
    assert_eq!(ledger.log_tail(), tail, "a retry writes nothing");
    assert_eq!(available(&ledger, FROM, &again).await, "50.00");
    let none = ledger.post("/batches", json!({ "sets": [] })).key("b-2").send().await;
    assert_eq!(none.slug(), "invalid-body");
}

#[tokio::test]
async fn conditions_balancing_and_ceilings() {
    let ledger = Harness::with_money().await;
    let account = ledger.get("/accounts/by-path/customers/1/wallet?at_least=3").send().await;
    let version = account.text("/version");
    let on = |condition: Value| with(payment(FROM, TO, "30"), json!({ "conditions": [condition] }));
    for (key, condition, expected) in [
        ("a", json!({ "account": "debit", "version": "7" }), (422, "balance-condition-failed")),
        (
            "b",
            json!({ "account": "debit", "available_at_least": "70.01" }),
            (422, "balance-condition-failed"),
        ),
        ("c", json!({ "account": "debit", "version": version }), (201, "posted")),
        ("d", json!({ "account": "debit", "version": version }), (422, "balance-condition-failed")),
        ("e", json!({ "account": "debit" }), (400, "invalid-body")),
    ] {
        let answer = create(&ledger, key, on(condition)).await;
        assert_eq!(said(&answer), (expected.0, expected.1.to_owned()), "{key}");
    }
    let sweep = with(payment(FROM, TO, "1000"), json!({ "balancing": "debit" }));
    let swept = create(&ledger, "sweep", sweep).await;
    assert_eq!(swept.text("/amount"), "70.00", "all that was there");
    let capped = json!({ "path": "capped", "asset": "EUR", "ceiling": "50.00" });
    let opened = ledger.post("/accounts", capped).send().await;
    assert_eq!((opened.text("/ceiling"), &opened.body["closed"]), ("50.00", &false.into()));
    assert_eq!(
        said(&ledger.pay("cap-1", TO, "capped", "50.01").await),
        (422, "ceiling-exceeded".to_owned())
    );
    assert_eq!(said(&ledger.pay("cap-2", TO, "capped", "50").await), (201, "posted".to_owned()));
}

#[tokio::test]
async fn accounts_are_closed_and_reopened() {
    let ledger = Harness::with_money().await;
    let account = ledger.get(&format!("/accounts/by-path/{TO}")).send().await;
    let call = |what: &str| {
        ledger.call(
            Method::POST,
            &format!("/accounts/{}/{what}", account.text("/id")),
            String::new(),
        )
    };
    let closed = call("close").send().await;
    assert_eq!((closed.status, &closed.body["closed"]), (StatusCode::OK, &true.into()));
    assert_eq!(said(&ledger.pay("pay-1", FROM, TO, "1").await), (422, "account-closed".to_owned()));
    let not_mine = call("reopen").scope("ledger:write:customers/1/*").send().await;
    assert_eq!(not_mine.slug(), "insufficient-scope");
    let opened = call("reopen").scope("ledger:close:customers/2/*").send().await;
    assert_eq!(opened.body["closed"], false);
    assert_eq!(said(&ledger.pay("pay-2", FROM, TO, "1").await), (201, "posted".to_owned()));
}

#[tokio::test]
async fn periods_are_locked_and_history_is_imported() {
    let ledger = Harness::with_money().await;
    let lock = json!({ "name": "2026-q1", "from": "2026-01-01T00:00:00Z", "until": "2026-04-01T00:00:00Z" });
    let not_permitted = ledger.post("/period-locks", lock.clone()).send().await;
    assert_eq!(not_permitted.slug(), "insufficient-scope", "ledger:write does not lock");
    let locked = ledger.post("/period-locks", lock.clone()).scope("ledger:lock").send().await;
    assert_eq!(locked.status, StatusCode::CREATED);
    let again = ledger.post("/period-locks", lock).scope("ledger:lock").send().await;
    assert_eq!(again.status, StatusCode::OK);
    let listed = ledger.get("/period-locks").send().await;
    assert_eq!(listed.text("/items/0/name"), "2026-q1");

    let in_march = |more: Value| {
        with(with(payment(FROM, TO, "1"), json!({ "effective_at": "2026-03-31T23:59:59Z" })), more)
    };
    assert_eq!(
        said(&create(&ledger, "m-1", in_march(json!({}))).await),
        (422, "period-locked".to_owned())
    );
    let overriding = in_march(json!({ "override_lock": true }));
    let refused = create(&ledger, "m-2", overriding.clone()).await;
    assert_eq!(refused.slug(), "insufficient-scope");
    let scope = format!("{ADMIN} ledger:override-lock ledger:import");
    let done = ledger.post("/transfers", overriding).key("m-3").scope(&scope).send().await;
    assert_eq!(said(&done), (201, "posted".to_owned()));
    let imported = with(
        payment(TO, FROM, "500"),
        json!({ "imported": true, "effective_at": "2025-12-31T00:00:00Z" }),
    );
    let done = ledger.post("/transfers", imported).key("m-4").scope(&scope).send().await;
    assert_eq!(said(&done), (201, "posted".to_owned()), "limits were that place's business");

    let unlock = ledger.call(Method::DELETE, "/period-locks/2026-q1", String::new());
    assert_eq!(unlock.scope("ledger:lock").send().await.status, StatusCode::OK);
    let unlock = ledger.call(Method::DELETE, "/period-locks/2026-q1", String::new());
    assert_eq!(unlock.scope("ledger:lock").send().await.slug(), "period-lock-not-found");
    assert_eq!(
        said(&create(&ledger, "m-5", in_march(json!({}))).await),
        (201, "posted".to_owned())
    );
}

#[tokio::test]
async fn the_chart_of_accounts_is_kept() {
    let ledger = Harness::with_money().await;
    let put = |prefix: &str, rule: Value| {
        ledger
            .call(Method::PUT, &format!("/chart-rules/{prefix}"), rule.to_string())
            .scope("ledger:chart")
    };
    let rule = json!({ "normal_side": "credit", "assets": ["EUR"], "floor_min": "0.00" });
    assert_eq!(put("customers", rule.clone()).send().await.status, StatusCode::OK);
    let listed = ledger.get("/chart-rules").send().await;
    assert_eq!(listed.text("/items/0/prefix"), "customers");
    assert_eq!(listed.text("/items/0/floor_min"), "0.00");
    let yen = json!({ "path": "customers/3/jpy", "asset": "JPY" });
    let refused = ledger.post("/accounts", yen.clone()).send().await;
    assert_eq!(said(&refused), (422, "chart-of-accounts-violated".to_owned()));
    let removed = ledger.call(Method::DELETE, "/chart-rules/customers", String::new());
    assert_eq!(removed.scope("ledger:chart").send().await.status, StatusCode::OK);
    assert_eq!(ledger.post("/accounts", yen).send().await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_token_with_a_payment_pays_that_and_nothing_else() {
    let ledger = Harness::with_money().await;
    let details = json!([{ "type": "payment", "id": "0123456789abcdef0123456789abcdef", "amount": "25.00",
        "asset": "EUR", "debtor_account": FROM, "creditor_account": TO, "uses": 2 }]);
    let pay = |key: &str, body: Value| {
        ledger.post("/transfers", body).key(key).scope("ledger:write").details(&details)
    };
    for (key, body, expected) in [
        ("p-1", payment(FROM, TO, "25.01"), "exceeds_authority_amount"),
        ("p-1", payment(FROM, "world", "5"), "authority_has_different_creditor"),
        ("p-1", payment(TO, FROM, "5"), "authority_has_different_debtor"),
        ("p-1", payment(FROM, TO, "25"), "posted"),
        ("p-1", payment(FROM, TO, "25"), "posted"),
        ("p-2", payment(FROM, TO, "1"), "posted"),
        ("p-3", payment(FROM, TO, "1"), "authority_used_up"),
    ] {
        let answer = pay(key, body).send().await;
        let result = match answer.status.is_success() {
            true => answer.text("/status"),
            false => {
                assert_eq!(said(&answer), (403, "payment-not-authorized".to_owned()));
                answer.text("/result")
            }
        };
        assert_eq!(result, expected, "{key}");
    }
    let account = json!({ "path": "customers/1/other", "asset": "EUR" });
    let opened =
        ledger.post("/accounts", account).scope("ledger:write").details(&details).send().await;
    assert_eq!(said(&opened), (403, "payment-not-authorized".to_owned()));
    let ledger = ledger.restart().await;
    let late =
        ledger.post("/transfers", payment(FROM, TO, "1")).key("p-4").details(&details).send().await;
    assert_eq!(late.text("/result"), "authority_used_up", "uses are counted over a restart");
}

#[tokio::test]
async fn history_is_imported_row_by_row_and_can_be_sent_again() {
    let ledger = Harness::with_money().await;
    let scope = format!("{ADMIN} ledger:import");
    let send = |kind: &'static str, body: &str| {
        let call = ledger.call(Method::POST, "/import", body.to_owned());
        call.header("content-type", kind).scope(&scope)
    };
    let row = |number: u8, amount: &str, at: &str| {
        format!("00000000-0000-0000-0000-0000000000{number:02x},{FROM},{TO},EUR,{amount},{at},\r\n")
    };
    let csv = [
        "id,debit_account,credit_account,asset,amount,effective_at,metadata\r\n".to_owned(),
        row(1, "500.00", "2025-06-01T00:00:00Z"),
        row(2, "1.005", "2025-06-01T00:00:00Z"),
        row(3, "7", "2024-01-01T00:00:00Z"),
        row(4, "7", "2200-01-01T00:00:00Z"),
        row(5, "7", "yesterday"),
        "\"never\nmind\"\r\n".to_owned(),
    ]
    .concat();
    let done = send("text/csv", &csv).send().await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    let counts = |answer: &Answer| {
        ["rows", "created", "replayed", "refused"].map(|name| answer.body[name].as_u64().unwrap())
    };
    assert_eq!(counts(&done), [6, 2, 0, 4]);
    let problems: Vec<_> = (done.body["problems"].as_array().unwrap().iter())
        .map(|one| (one["line"].as_u64(), one["column"].as_u64(), one["error"].as_str().unwrap()))
        .collect();
    assert_eq!(
        problems,
        [
            (Some(3), Some(5), "too-many-fraction-digits"),
            (Some(5), Some(6), "invalid-transfer"),
            (Some(6), Some(6), "invalid-body"),
            (Some(7), None, "invalid-body"),
        ]
    );
    let tail = ledger.log_tail();
    let again = send("text/csv", &csv).send().await;
    assert_eq!(counts(&again), [6, 0, 2, 4]);
    assert_eq!(ledger.log_tail(), tail, "what is there is not recorded again");

    let json = [
        with(payment(TO, FROM, "3"), json!({ "id": "00000000-0000-0000-0000-0000000000a1", "effective_at": "2025-01-01T00:00:00Z" })).to_string(),
        "{\"id\":".to_owned(),
        with(payment(TO, FROM, "3"), json!({ "effective_at": "2025-01-01T00:00:00Z" })).to_string(),
    ]
    .join("\n");
    let done = send("application/jsonl", &json).send().await;
    assert_eq!(counts(&done), [3, 1, 0, 2]);
    assert_eq!(done.body["problems"][0]["line"], 2);
    assert_eq!(done.body["problems"][0]["column"], 6);

    let other = send("application/json", "[]").send().await;
    assert_eq!(other.slug(), "unsupported-media-type");
    let header = send("text/csv", "id,amount\n").send().await;
    assert_eq!(header.slug(), "invalid-body");
    let limited = send("text/csv", &csv).scope(ADMIN).send().await;
    assert_eq!(limited.slug(), "insufficient-scope");
}

#[tokio::test]
async fn a_key_in_progress_is_told_so() {
    let log = MemoryLog::new();
    let ledger = Harness::with(Config::default(), Arc::new(log.clone())).await;
    ledger.open("world", "EUR", Value::Null).await;
    ledger.open(TO, "EUR", "0".into()).await;
    let tail = log.tail();
    log.hold();
    let first = ledger.pay("once", "world", TO, "5");
    let second = async {
        // The first is decided and not durable: it has its key until it is answered.
        while log.tail() == tail {
            tokio::task::yield_now().await;
        }
        let second = ledger.pay("once", "world", TO, "5").await;
        log.release();
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(said(&first), (201, "posted".to_owned()));
    assert_eq!(said(&second), (409, "idempotency-key-in-progress".to_owned()));
    assert_eq!(second.header("retry-after"), Some("1"));
    let third = ledger.pay("once", "world", TO, "5").await;
    assert_eq!(third.body, first.body, "and then it is a retry");
}

#[tokio::test]
async fn limits_are_those_of_the_configuration() {
    let config = Config { batch_sets_max: 1, import_problems_max: 1, ..Config::default() };
    let ledger = Harness::with(config, Arc::new(MemoryLog::new())).await;
    ledger.open("world", "EUR", Value::Null).await;
    ledger.open(TO, "EUR", "0".into()).await;
    let sets = |count: usize| json!({ "sets": vec![payment("world", TO, "1"); count] });
    let two = ledger.post("/batches", sets(2)).key("b-2").send().await;
    assert_eq!(said(&two), (400, "invalid-body".to_owned()));
    let one = ledger.post("/batches", sets(1)).key("b-1").send().await;
    assert_eq!(one.status, StatusCode::OK);
    let import = ledger.call(Method::POST, "/import", "{\n{\n{\n".to_owned());
    let scope = format!("{ADMIN} ledger:import");
    let done = import.header("content-type", "application/jsonl").scope(&scope).send().await;
    assert_eq!(done.body["refused"], 3);
    assert_eq!(done.body["problems"].as_array().unwrap().len(), 1);
}
