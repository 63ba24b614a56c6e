//! Lists, lookups and explanations over HTTP: of now, and of any moment before.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use axum::http::StatusCode;
use lombard_query::Config;
use serde_json::{Value, json};
use support::{Harness, READ, payment};

/// Follows `next` to the end, in pages of two.
async fn pages(ledger: &Harness, path: &str, parameter: &str) -> Vec<Value> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut items = Vec::new();
    let mut url = format!("{path}{separator}limit=2");
    loop {
        let page = ledger.get(READ, &url).await;
        assert_eq!(page.status, StatusCode::OK, "{url}: {}", page.body);
        items.extend(page.body["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page.body["next"].as_str() else { return items };
        url = format!("{path}{separator}limit=2&{parameter}={next}");
    }
}

fn texts<'a>(items: &'a [Value], field: &str) -> Vec<&'a str> {
    items.iter().map(|item| item[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_list_is_the_same_again_as_of_its_position() {
    let ledger = Harness::new(Config { freeze_transfers: 2, ..Config::default() }).await;
    let world = ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    let mut known = Vec::new();
    for number in 0..6 {
        let made = ledger.post("/transfers", &format!("t{number}"), payment("1.00")).await;
        let mut answers = Vec::new();
        for path in [
            "/trial-balance".to_owned(),
            "/accounts".to_owned(),
            "/accounts/by-path/world".to_owned(),
            format!("/accounts/{wallet}"),
            format!("/accounts/{wallet}/entries"),
            format!("/transfers/{}", made.text("/id")),
            "/transfers".to_owned(),
            format!("/explain/transfers/{}", made.text("/id")),
            format!("/explain/balances/{world}"),
        ] {
            let now = ledger.get(READ, &format!("{path}?at_least={}", made.position)).await;
            assert_eq!(now.status, StatusCode::OK, "{path}: {}", now.body);
            assert_eq!(now.position, made.position, "{path}");
            answers.push((path, now));
        }
        known.push((made.position, answers));
    }
    ledger.post(&format!("/accounts/{wallet}/close"), "close", json!({})).await;
    let unopened = ledger.open("later").await;
    for (position, answers) in &known {
        for (path, then) in answers {
            let again = ledger.get(READ, &format!("{path}?as_of={position}")).await;
            assert_eq!((&again.body, &again.position), (&then.body, &then.position), "{path}");
        }
        let early = ledger.get(READ, &format!("/accounts/{unopened}?as_of={position}")).await;
        assert_eq!(early.status, StatusCode::NOT_FOUND, "it was not open yet");
    }
    let closed = ledger.get(READ, &format!("/accounts/{wallet}")).await;
    assert_eq!(closed.body["closed"], true);
}

#[tokio::test]
async fn entries_are_paged_filtered_and_say_what_that_cost() {
    let config = Config { freeze_transfers: 3, ..Config::default() };
    let ledger = Harness::new(config).await;
    ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    let mut position = String::new();
    for number in 0..7 {
        let mut body = payment(&format!("{}.00", number + 1));
        body["code"] = (number % 2).into();
        if number == 3 {
            body["pending"] = json!({});
        }
        position = ledger.post("/transfers", &format!("t{number}"), body).await.position;
    }
    let list = format!("/accounts/{wallet}/entries");
    ledger.get(READ, &format!("{list}?at_least={position}")).await;
    let oldest = pages(&ledger, &list, "after").await;
    assert_eq!(texts(&oldest, "number"), ["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(
        texts(&oldest, "balance"),
        ["1.00", "3.00", "6.00", "6.00", "11.00", "17.00", "24.00"]
    );
    assert_eq!(oldest[3]["reserved"], "4.00");
    assert_eq!(oldest[3]["amount"], "0.00");
    let mut latest = pages(&ledger, &format!("{list}?order=latest"), "after").await;
    latest.reverse();
    assert_eq!(latest, oldest);

    let moved = pages(&ledger, &format!("{list}?moved=true"), "after").await;
    assert_eq!(texts(&moved, "number"), ["1", "2", "3", "5", "6", "7"]);
    let pending = ledger.get(READ, &format!("{list}?kind=pending&order=latest")).await;
    assert_eq!(pending.text("/items/0/number"), "4");
    assert_eq!(pending.body["examined"], 7);
    assert_eq!(ledger.get(READ, &format!("{list}?side=debit")).await.body["items"], json!([]));

    let (from, until) = (&oldest[2]["recorded_at"], &oldest[5]["recorded_at"]);
    let (from, until) = (from.as_str().unwrap(), until.as_str().unwrap());
    for order in ["oldest", "latest"] {
        let path = format!("{list}?order={order}&recorded_from={from}&recorded_until={until}");
        let mut span = pages(&ledger, &path, "after").await;
        span.sort_by_key(|entry| entry["number"].as_str().unwrap().to_owned());
        assert_eq!(texts(&span, "number"), ["3", "4", "5"], "{order}");
    }
}

#[tokio::test]
async fn a_filter_looks_at_no_more_than_is_allowed_and_goes_on_with_the_next_page() {
    let ledger = Harness::new(Config { examined_max: 4, ..Config::default() }).await;
    ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    let mut position = String::new();
    for number in 0..9 {
        let mut body = payment("1.00");
        body["code"] = u16::from(number == 0).into();
        position = ledger.post("/transfers", &format!("t{number}"), body).await.position;
    }
    let first = ledger.get(READ, &format!("/transfers?code=1&at_least={position}")).await;
    assert_eq!(first.body["items"], json!([]), "short");
    assert!(first.body["next"].is_string(), "with a next one: {}", first.body);
    assert_eq!(first.body["examined"], 4);
    assert_eq!(pages(&ledger, "/transfers?code=1", "before").await.len(), 1);
    assert_eq!(pages(&ledger, "/transfers?refused=true", "before").await.len(), 0);
    assert_eq!(pages(&ledger, "/transfers", "before").await.len(), 9);
    let path = format!("/accounts/{wallet}/entries?kind=void");
    let entries = ledger.get(READ, &path).await;
    assert_eq!((&entries.body["items"], &entries.body["examined"]), (&json!([]), &json!(4)));
    assert_eq!(pages(&ledger, &path, "after").await.len(), 0);
}

#[tokio::test]
async fn a_transfer_is_found_by_id_and_external_id_and_tells_what_became_of_it() {
    let ledger = Harness::new(Config::default()).await;
    ledger.open("world").await;
    ledger.open("customers/42/wallet").await;
    let mut body = payment("3.00");
    body["pending"] = json!({ "timeout_seconds": 3600 });
    body["external_id"] = "INV-7".into();
    body["metadata"] = json!({ "order": 7 });
    let made = ledger.post("/transfers", "a", body).await;
    let id = made.text("/id").to_owned();
    // At once, without asking for a position.
    let found = ledger.get(READ, &format!("/transfers/{id}")).await;
    assert_eq!(found.body, made.body);
    ledger.post(&format!("/transfers/{id}/void"), "v", json!({})).await;
    let found = ledger.get(READ, &format!("/transfers/{id}")).await;
    assert_eq!(found.text("/status"), "voided");
    let then = ledger.get(READ, &format!("/transfers/{id}?as_of={}", made.position)).await;
    assert_eq!(then.text("/status"), "pending");
    let by_name = ledger.get(READ, "/transfers?external_id=INV-7").await;
    assert_eq!(by_name.body["items"], json!([found.body]));
    let none = ledger.get(READ, "/transfers?external_id=INV-8").await;
    assert_eq!(none.body, json!({ "items": [], "next": null }));
    let early = ledger.get(READ, "/transfers?external_id=INV-7&as_of=0").await;
    assert_eq!(early.body["items"], json!([]));
    let stranger = "ledger:read:customers/7/*";
    for path in [format!("/transfers/{id}"), "/transfers?external_id=INV-7".to_owned()] {
        assert_eq!(ledger.get(stranger, &path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let party = ledger.get("ledger:read:customers/42/*", &format!("/transfers/{id}")).await;
    assert_eq!(party.status, StatusCode::OK);
}

#[tokio::test]
async fn a_balance_is_explained_entry_by_entry_down_to_the_request() {
    let ledger = Harness::new(Config::default()).await;
    ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    let first = ledger.post("/transfers", "first", payment("10.00")).await;
    let second = ledger.post("/transfers", "second", payment("5.00")).await;
    let path = format!("/explain/balances/{wallet}?at_least={}", second.position);
    let said = ledger.get(READ, &path).await;
    assert_eq!(said.text("/account/balance/posted"), "15.00");
    assert_eq!(said.text("/entries/0/transfer_id"), second.text("/id"));
    assert_eq!(said.text("/entries/1/transfer_id"), first.text("/id"));
    assert_eq!(said.text("/entries/1/balance"), "10.00");
    assert_eq!(said.text("/entries/0/command/idempotency_key"), "second");
    assert_eq!(said.text("/entries/0/actor/client_id"), "tester");
    assert!(!said.text("/entries/0/request/id").is_empty());
    let page = ledger.get(READ, &format!("/explain/balances/{wallet}?limit=1")).await;
    let rest = format!("/explain/balances/{wallet}?before={}", page.text("/next"));
    let rest = ledger.get(READ, &rest).await;
    assert_eq!(rest.text("/entries/0/transfer_id"), first.text("/id"));
    assert_eq!(rest.body["next"], Value::Null);
}

/// What time did, and nobody asked for, is an entry too, of the transfer that it ended.
#[tokio::test]
async fn entries_made_by_time_lead_to_their_transfer() {
    let ledger = Harness::new(Config::default()).await;
    ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    let set = json!({
        "transfers": [payment("1.00"), payment("2.00")],
        "pending": { "timeout_seconds": 1 },
    });
    let made = ledger.post("/transfers", "a", set).await;
    // Whatever comes after its time records that it has expired.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let entries = loop {
        let list = ledger.get(READ, &format!("/accounts/{wallet}/entries?kind=expired")).await;
        // The read side may not have come to the account yet, and then knows none.
        if list.body["items"].as_array().is_some_and(|items| items.len() == 2) {
            break list;
        }
        assert!(std::time::Instant::now() < deadline, "{}", list.body);
        ledger.post("/assets", "x", json!({ "code": "EUR", "scale": 2 })).await;
        ledger.get(READ, "/transfers/018f0000-0000-7000-8000-000000000000").await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(entries.text("/items/0/transfer_id"), made.text("/id"));
    assert_eq!(entries.text("/items/1/released"), "2.00");
    assert_eq!(entries.text("/items/1/counterparty"), "world");
}
