//! The ledger doing its job.

use std::sync::Arc;

use axum::http::StatusCode;
use lombard_engine::SnapshotInfo;
use lombard_ledger::Config;
use lombard_log::{MemoryLog, SharedLog};
use serde_json::{Value, json};

use crate::support::{Harness, payment};

#[tokio::test]
async fn money_moves_and_every_read_agrees() {
    let ledger = Harness::with_money().await;
    let paid = ledger.pay("order-1", "customers/1/wallet", "customers/2/wallet", "12.50").await;
    assert_eq!(paid.status, StatusCode::CREATED);
    assert_eq!(paid.text("/status"), "posted");
    assert_eq!(paid.text("/amount"), "12.50");
    let position = paid.header("lombard-position").unwrap();
    assert_eq!(paid.text("/position"), position);
    let location = paid.header("location").unwrap().strip_prefix("/v1/ledger").unwrap();

    let found = ledger.get(location).send().await;
    assert_eq!(found.body, paid.body, "the lookup by id answers what the transfer answered");

    let at_least = format!("?at_least={position}");
    let account =
        ledger.get(&format!("/accounts/by-path/customers/1/wallet{at_least}")).send().await;
    assert_eq!(account.text("/balance/posted"), "87.50");
    assert_eq!(account.text("/balance/available"), "87.50");
    assert_eq!(account.text("/balance/pending"), "0.00");
    assert_eq!(account.text("/totals/debits_posted"), "12.50");
    assert_eq!(account.text("/totals/credits_posted"), "100.00");
    assert_eq!(account.header("lombard-position"), Some(position));
    let by_id = ledger.get(&format!("/accounts/{}", account.text("/id"))).send().await;
    assert_eq!(by_id.body, account.body);

    let entries =
        ledger.get(&format!("/accounts/{}/entries{at_least}", account.text("/id"))).send().await;
    let lines: Vec<_> = entries.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap();
            [text("number"), text("side"), text("amount"), text("balance"), text("counterparty")]
        })
        .collect();
    assert_eq!(
        lines,
        [
            ["1", "credit", "100.00", "100.00", "world"],
            ["2", "debit", "12.50", "87.50", "customers/2/wallet"],
        ]
    );

    let trial = ledger.get(&format!("/trial-balance{at_least}")).send().await;
    assert_eq!(
        trial.body,
        json!({ "balanced": true, "assets": [
            { "asset": "EUR", "account_count": 3, "debits": "112.50", "credits": "112.50",
              "debits_pending": "0.00", "credits_pending": "0.00", "balanced": true },
        ]})
    );
}

#[tokio::test]
async fn a_retry_gets_the_first_answer_also_after_a_restart() {
    let ledger = Harness::with_money().await;
    let first = ledger.pay("order-1", "customers/1/wallet", "customers/2/wallet", "60").await;
    assert_eq!(first.header("idempotency-replayed"), None);
    let refused = ledger.pay("order-2", "customers/1/wallet", "customers/2/wallet", "60").await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (422, "insufficient-funds"));
    assert_eq!(refused.text("/result"), "exceeds_credits");
    assert_eq!(refused.text("/available"), "40.00");
    assert_eq!(refused.body["replayed"], false);
    let back = ledger.pay("order-3", "customers/2/wallet", "customers/1/wallet", "60").await;
    assert_eq!(back.status, StatusCode::CREATED);

    let tail = ledger.log_tail();
    let ledger = ledger.restart().await;
    let again = ledger.pay("order-1", "customers/1/wallet", "customers/2/wallet", "60").await;
    assert_eq!((again.status, again.body), (first.status, first.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let again = ledger.pay("order-2", "customers/1/wallet", "customers/2/wallet", "60").await;
    assert_eq!(
        (again.status.as_u16(), again.slug()),
        (422, "insufficient-funds"),
        "refused for ever"
    );
    assert_eq!(again.body["replayed"], true);
    assert_eq!(again.text("/position"), refused.text("/position"));
    assert_eq!(ledger.log_tail(), tail, "retries write nothing");

    let seen = ledger.get(&format!("/transfers/{}", refused.text("/transfer_id"))).send().await;
    assert_eq!((seen.text("/status"), seen.text("/result")), ("refused", "exceeds_credits"));
}

#[tokio::test]
async fn a_restart_from_a_snapshot_knows_balances_and_retries() {
    let directory = tempfile::tempdir().unwrap();
    let log: SharedLog = Arc::new(MemoryLog::new());
    let start = |snapshot_records| {
        let config = Config { snapshot_records, ..Config::default() };
        Harness::with_snapshots(config, Arc::clone(&log), Some(directory.path().to_owned()))
    };
    let ledger = start(1).await;
    ledger.open("world", "EUR", Value::Null).await;
    ledger.open("customers/1/wallet", "EUR", "0".into()).await;
    let first = ledger.pay("order-1", "world", "customers/1/wallet", "60").await;
    let tail = ledger.log_tail();
    let mut snapshots = ledger.ledger.handle().watch_snapshots();
    let is_at_tail =
        |info: &Option<SnapshotInfo>| info.as_ref().is_some_and(|info| info.position == tail);
    snapshots.wait_for(is_at_tail).await.unwrap();
    drop(ledger);

    let ledger = start(u64::MAX).await;
    assert_eq!(ledger.ledger.handle().last_snapshot().map(|info| info.position), Some(tail));
    let again = ledger.pay("order-1", "world", "customers/1/wallet", "60").await;
    assert_eq!((again.status, again.body), (first.status, first.body));
    let refused = ledger.pay("order-2", "customers/1/wallet", "world", "61").await;
    assert_eq!(refused.text("/available"), "60.00");
    let metrics = ledger.metrics.encode().unwrap();
    assert!(metrics.contains(&format!("lombard_ledger_snapshot_records {tail}")), "{metrics}");
}

#[tokio::test]
async fn keys_belong_to_a_client_and_ids_to_everybody() {
    let ledger = Harness::with_money().await;
    let body = payment("world", "customers/1/wallet", "1");
    let send = |client, key: &str, body: &Value| {
        ledger.post("/transfers", body.clone()).client(client).key(key).send()
    };
    let (a, b) = (send("a", "key", &body).await, send("b", "key", &body).await);
    assert_ne!(a.text("/id"), b.text("/id"), "each client has its own keys");

    let mut with_id = body.clone();
    with_id["id"] = "0190d7a4-5c2e-7d31-8e2f-3b1c9a7f0d42".into();
    let first = send("a", "key-2", &with_id).await;
    assert_eq!(first.text("/id"), with_id["id"].as_str().unwrap());
    let retry = send("b", "key-3", &with_id).await;
    assert_eq!(retry.header("idempotency-replayed"), Some("true"), "the id decides, not the key");
    with_id["amount"] = "2".into();
    let other = send("a", "key-4", &with_id).await;
    assert_eq!((other.status.as_u16(), other.slug()), (409, "transfer-exists"));
    assert_eq!(other.text("/result"), "exists_with_different_amount");
}

#[tokio::test]
async fn a_balance_is_explained_down_to_the_request() {
    let ledger = Harness::with_money().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut body = payment("customers/1/wallet", "customers/2/wallet", "12.50");
    body["metadata"] = json!({ "order": "A 1" });
    body["effective_at"] = "2026-01-31T00:00:00Z".into();
    body["code"] = 7.into();
    let paid = ledger
        .post("/transfers", body)
        .client("shop")
        .key("order-1")
        .header("x-request-id", "request-1")
        .header("traceparent", trace)
        .send()
        .await;
    assert_eq!(paid.body["metadata"], json!({ "order": "A 1" }));
    let path =
        format!("/explain/transfers/{}?at_least={}", paid.text("/id"), paid.text("/position"));
    let explained = ledger.get(&path).send().await;
    assert_eq!(explained.body["transfer"], paid.body);
    assert_eq!(explained.text("/transfer/effective_at"), "2026-01-31T00:00:00Z");
    assert_eq!(explained.text("/actor/client_id"), "shop");
    assert!(!explained.text("/actor/token_id").is_empty());
    assert_eq!(explained.text("/request/id"), "request-1");
    assert_eq!(explained.text("/request/traceparent"), trace);
    assert_eq!(explained.text("/command/idempotency_key"), "order-1");
    assert_eq!(explained.text("/event/kind"), "transfer_created");
    assert_eq!(explained.text("/event/position"), paid.text("/position"));
    assert_eq!(explained.text("/entries/0/balance_after"), "87.50");
    assert_eq!(explained.text("/entries/1/balance_after"), "12.50");

    let limited = ledger.get(&path).scope("ledger:read:customers/2/*").send().await;
    assert_eq!(limited.text("/entries/0/account"), "customers/2/wallet");
    assert_eq!(
        limited.body["entries"].as_array().unwrap().len(),
        1,
        "only what the caller may read"
    );
}

#[tokio::test]
async fn accounts_open_once_by_id_or_by_path() {
    let ledger = Harness::new().await;
    let body = json!({ "path": "cash", "asset": "JPY", "normal_side": "debit", "floor": "-5" });
    let first = ledger.post("/accounts", body.clone()).send().await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!((first.text("/floor"), first.text("/balance/posted")), ("-5", "0"));
    let again = ledger.post("/accounts", body).send().await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &first.body));
    let location = first.header("location").unwrap().strip_prefix("/v1/ledger").unwrap();
    let position = first.header("lombard-position").unwrap();
    let found = ledger.get(&format!("{location}?at_least={position}")).send().await;
    assert_eq!(found.body, first.body);
    let unlimited = ledger.open("world", "JPY", Value::Null).await;
    assert_eq!(unlimited.body["floor"], Value::Null);
    let default = ledger.post("/accounts", json!({ "path": "c", "asset": "EUR" })).send().await;
    assert_eq!((default.text("/floor"), default.text("/normal_side")), ("0.00", "credit"));

    // An account that grows on the debit side is guarded against credits.
    let mut body = json!({ "debit_account": "world", "credit_account": "cash", "asset": "JPY", "amount": "6" });
    let refused = ledger.post("/transfers", body.clone()).key("1").send().await;
    assert_eq!((refused.slug(), refused.text("/result")), ("insufficient-funds", "exceeds_debits"));
    body["amount"] = "5".into();
    body["credit_account"] = json!({ "id": first.text("/id") });
    assert_eq!(ledger.post("/transfers", body).key("2").send().await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn assets_can_be_added() {
    let ledger = Harness::new().await;
    let create =
        |scale: u8| ledger.post("/assets", json!({ "code": "POINT", "scale": scale })).send();
    assert_eq!(create(3).await.status, StatusCode::CREATED);
    assert_eq!(create(3).await.status, StatusCode::OK);
    assert_eq!(create(2).await.slug(), "asset-exists");
    let list = ledger.get("/assets?at_least=0&limit=1000").send().await;
    let items = list.body["items"].as_array().unwrap();
    assert!(items.contains(&json!({ "code": "POINT", "scale": 3, "built_in": false })));
    assert!(items.contains(&json!({ "code": "JPY", "scale": 0, "built_in": true })));
    assert_eq!(pages(&ledger, "/assets", "after", crate::support::ADMIN).await, *items);
    assert_eq!(ledger.open("points", "POINT", "-1.5".into()).await.text("/floor"), "-1.500");
}

/// Follows `next` to the end.
async fn pages(ledger: &Harness, path: &str, parameter: &str, scope: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut query = String::from("limit=2");
    loop {
        let page = ledger.get(&format!("{path}?{query}")).scope(scope).send().await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        items.extend(page.body["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page.body["next"].as_str() else { return items };
        query = format!("limit=2&{parameter}={next}");
    }
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let ledger = Harness::with_money().await;
    let mut last = String::new();
    for number in 0..5 {
        let paid = ledger
            .pay(&format!("order-{number}"), "customers/1/wallet", "customers/2/wallet", "1")
            .await;
        last = paid.text("/position").to_owned();
    }
    let world = ledger.get(&format!("/accounts/by-path/world?at_least={last}")).send().await;
    assert_eq!(world.text("/balance/posted"), "-100.00");

    let admin = crate::support::ADMIN;
    let transfers = pages(&ledger, "/transfers", "before", admin).await;
    assert_eq!(transfers.len(), 6);
    assert_eq!(transfers[0]["position"], last.as_str(), "latest first");

    let paths = |accounts: Vec<Value>| -> Vec<String> {
        accounts.iter().map(|account| account["path"].as_str().unwrap().to_owned()).collect()
    };
    let all = paths(pages(&ledger, "/accounts", "after", admin).await);
    assert_eq!(all, ["customers/1/wallet", "customers/2/wallet", "world"]);
    let page = ledger.get("/accounts?prefix=customers/2").send().await;
    assert_eq!(paths(page.body["items"].as_array().unwrap().clone()), ["customers/2/wallet"]);
    let own = paths(pages(&ledger, "/accounts", "after", "ledger:read:customers/2/*").await);
    assert_eq!(own, ["customers/2/wallet"], "only what the caller may read");

    let wallet = ledger.get("/accounts/by-path/customers/1/wallet").send().await;
    let entries =
        pages(&ledger, &format!("/accounts/{}/entries", wallet.text("/id")), "after", admin).await;
    assert_eq!(entries.len(), 6);
    assert_eq!(entries[5]["balance"], "95.00");
}

#[tokio::test]
async fn transfers_are_counted_by_result() {
    let ledger = Harness::with_money().await;
    for _ in 0..2 {
        ledger.pay("order-1", "customers/2/wallet", "world", "1").await;
        ledger.pay("order-2", "nobody", "world", "1").await;
    }
    let text = ledger.metrics.encode().unwrap();
    for line in [
        "lombard_ledger_transfers_total{result=\"created\"} 1",
        "lombard_ledger_transfers_total{result=\"exceeds_credits\"} 1",
        "lombard_ledger_transfers_total{result=\"replayed\"} 1",
        "lombard_ledger_transfers_total{result=\"debit_account_not_found\"} 2",
        "lombard_ledger_durable_records 5",
        "lombard_ledger_queue_commands 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.contains("lombard_ledger_query_lag_records "), "{text}");
}
