//! Statements and exports over HTTP.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod camt;
mod support;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use lombard_query::Config;
use serde_json::{Value, json};
use support::{Harness, READ, payment};

const SEAL: &str = "ledger:read ledger:seal";

/// Ends of periods, all of them over.
const ENDS: [&str; 4] = [
    "2024-01-01T00:00:00Z",
    "2025-01-01T00:00:00Z",
    "2026-01-01T00:00:00Z",
    "2026-02-01T00:00:00Z",
];

fn minor(text: &str) -> i64 {
    text.replace('.', "").parse().unwrap()
}

/// Money in and out of `customers/42/wallet`, counting in one of several periods or when it is recorded.
async fn move_money(ledger: &Harness, from: usize, count: usize) {
    for number in from..from + count {
        let mut body = payment(&format!("{}.{:02}", 1 + number % 7, number * 37 % 100));
        if number % 3 == 1 {
            body["debit_account"] = "customers/42/wallet".into();
            body["credit_account"] = "world".into();
        }
        let effective = [
            Some("2023-05-05T05:05:05Z"),
            Some("2024-07-07T07:07:07Z"),
            None,
            Some("2025-12-31T23:59:59.999999999Z"),
            Some("2026-01-01T00:00:00Z"),
        ][number % 5];
        if let Some(effective) = effective {
            body["effective_at"] = effective.into();
        }
        body["external_id"] = format!("no-{number}").into();
        ledger.post("/transfers", &format!("m{number}"), body).await;
    }
}

/// Every entry is in exactly one statement, in the period in which it counts or, where that was sealed, in a later one; and
/// what one closes with the next opens with.
#[tokio::test]
async fn every_entry_is_in_one_statement_and_late_ones_in_the_next() {
    let config = || Config { freeze_transfers: 3, ..Config::default() };
    let ledger = Harness::new(config()).await;
    ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    for (round, end) in ENDS.iter().enumerate() {
        move_money(&ledger, round * 11, 11).await;
        let sealed = ledger.seal(SEAL, &wallet, json!({ "until": end })).await;
        assert_eq!(sealed.status, StatusCode::CREATED, "{}", sealed.body);
        let again = ledger.seal(SEAL, &wallet, json!({ "until": end })).await;
        assert_eq!((again.status, &again.body), (StatusCode::OK, &sealed.body));
        let found = ledger.get(READ, &format!("/accounts/{wallet}/statements/{}", round + 1)).await;
        assert_eq!(found.text("/closing"), sealed.text("/closing"));
    }
    let mut seen = BTreeMap::new();
    let (mut closing, mut from) = (0, "1970-01-01T00:00:00Z".to_owned());
    let mut told = Vec::new();
    for number in 1..=ENDS.len() {
        let path = format!("/accounts/{wallet}/statements/{number}");
        let statement = ledger.get(READ, &path).await.body;
        assert_eq!(minor(statement["opening"].as_str().unwrap()), closing);
        assert_eq!(statement["from"], from.as_str());
        from = statement["until"].as_str().unwrap().to_owned();
        let mut last = String::new();
        for line in statement["lines"].as_array().unwrap() {
            let amount = minor(line["amount"].as_str().unwrap());
            closing += if line["side"] == "credit" { amount } else { -amount };
            assert_eq!(minor(line["balance"].as_str().unwrap()), closing);
            let effective = line["effective_at"].as_str().unwrap();
            assert!(effective < ENDS[number - 1], "{effective} is after the period");
            let is_late = number > 1 && effective < ENDS[number - 2];
            assert_eq!(line["late"], is_late, "{effective} in statement {number}");
            assert!(*effective >= *last, "in order of effective time: {statement}");
            last = effective.to_owned();
            let position = line["position"].as_str().unwrap().to_owned();
            assert_eq!(seen.insert(position, number), None, "twice: {line}");
        }
        assert_eq!(minor(statement["closing"].as_str().unwrap()), closing);
        told.push((path, statement));
    }
    // What is in no statement counts later than the last one's end.
    let entries = ledger.get(READ, &format!("/accounts/{wallet}/entries?limit=1000")).await;
    for entry in entries.body["items"].as_array().unwrap() {
        let is_due = entry["effective_at"].as_str().unwrap() < ENDS[ENDS.len() - 1];
        assert_eq!(seen.contains_key(entry["position"].as_str().unwrap()), is_due, "{entry}");
    }
    let balance = format!("/accounts/{wallet}/balance?effective_at=2026-01-31T23:59:59.999999999Z");
    assert_eq!(minor(ledger.get(READ, &balance).await.text("/posted")), closing);

    // An index that is made again from the log, and a later entry, change nothing.
    move_money(&ledger, 100, 5).await;
    let ledger = ledger.rebuilt(config()).await;
    for (path, statement) in told {
        let again = ledger.get(READ, &format!("{path}?at_least=54")).await;
        assert_eq!(again.body, statement, "{path}");
    }
    let list = ledger.get(READ, &format!("/accounts/{wallet}/statements?limit=3")).await;
    let numbers: Vec<_> = list.body["items"].as_array().unwrap().iter().collect();
    assert_eq!(numbers.iter().map(|head| &head["number"]).collect::<Vec<_>>(), [4, 3, 2]);
    let rest = format!("/accounts/{wallet}/statements?before={}", list.text("/next"));
    assert_eq!(ledger.get(READ, &rest).await.body["items"][0]["number"], 1);
}

/// The first statement may begin anywhere: what counts before is its opening balance.
#[tokio::test]
async fn the_first_statement_opens_with_what_was_there_before() {
    let ledger = Harness::new(Config::default()).await;
    ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    for (key, amount, effective) in
        [("a", "5.00", "2023-01-01T00:00:00Z"), ("b", "7.00", "2024-06-01T00:00:00Z")]
    {
        let mut body = payment(amount);
        body["effective_at"] = effective.into();
        ledger.post("/transfers", key, body).await;
    }
    let body = json!({ "from": "2024-01-01T00:00:00Z", "until": "2025-01-01T00:00:00Z" });
    let first = ledger.seal(SEAL, &wallet, body).await;
    assert_eq!((first.text("/opening"), first.text("/closing")), ("5.00", "12.00"));
    assert_eq!(first.text("/line_count"), "1");
    // What counts before it and comes late is in the second.
    let mut late = payment("1.00");
    late["effective_at"] = "2022-01-01T00:00:00Z".into();
    ledger.post("/transfers", "c", late).await;
    let second = ledger.seal(SEAL, &wallet, json!({ "until": "2025-02-01T00:00:00Z" })).await;
    assert_eq!((second.text("/opening"), second.text("/closing")), ("12.00", "13.00"));
}

#[tokio::test]
async fn what_cannot_be_sealed_is_said() {
    let config = Config { statement_lines_max: 3, ..Config::default() };
    let ledger = Harness::new(config).await;
    ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    let first = ledger.seal(SEAL, &wallet, json!({ "until": ENDS[0] })).await;
    assert_eq!(first.status, StatusCode::CREATED, "one without lines: {}", first.body);
    let nobody = "018f0000-0000-7000-8000-000000000000";
    for (scope, account, body, status, slug) in [
        (SEAL, &*wallet, json!({ "until": "2200-01-01T00:00:00Z" }), 422, "invalid-period"),
        (SEAL, &wallet, json!({ "until": "2023-01-01T00:00:00Z" }), 409, "statement-out-of-order"),
        (
            SEAL,
            &wallet,
            json!({ "from": "2024-01-01T00:00:01Z", "until": ENDS[1] }),
            409,
            "statement-out-of-order",
        ),
        (SEAL, &wallet, json!({ "until": "soon" }), 400, "invalid-body"),
        (SEAL, &wallet, json!({}), 400, "invalid-body"),
        (SEAL, nobody, json!({ "until": ENDS[1] }), 404, "account-not-found"),
        (READ, &wallet, json!({ "until": ENDS[1] }), 403, "insufficient-scope"),
        ("ledger:write", &wallet, json!({ "until": ENDS[1] }), 403, "insufficient-scope"),
        (
            "ledger:read ledger:seal:customers/7/*",
            &wallet,
            json!({ "until": ENDS[1] }),
            403,
            "insufficient-scope",
        ),
    ] {
        let answer = ledger.seal(scope, account, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.body);
        assert_eq!(answer.text("/type"), format!("urn:lombard:error:{slug}"), "{body}");
    }
    move_money(&ledger, 0, 12).await;
    let many = ledger.seal(SEAL, &wallet, json!({ "until": ENDS[3] })).await;
    assert_eq!(many.text("/type"), "urn:lombard:error:too-much-to-examine", "{}", many.body);
    for path in ["statements/2", "statements/0", "statements/1?format=pdf", "statements/x"] {
        let answer = ledger.get(READ, &format!("/accounts/{wallet}/{path}")).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_statement_is_told_in_three_formats() {
    let ledger = Harness::new(Config::default()).await;
    ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    move_money(&ledger, 0, 9).await;
    ledger.seal(SEAL, &wallet, json!({ "until": ENDS[3] })).await;
    let path = format!("/accounts/{wallet}/statements/1");
    let (_, json) = ledger.text(&path, "application/json").await;
    let statement: Value = serde_json::from_str(&json).unwrap();
    let lines = statement["lines"].as_array().unwrap();
    assert!(!lines.is_empty());

    let (_, csv) = ledger.text(&path, "text/csv;q=0.9, */*").await;
    assert_eq!(ledger.text(&format!("{path}?format=csv"), "*/*").await.1, csv);
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    for (row, line) in rows.deserialize::<BTreeMap<String, String>>().zip(lines) {
        let row = row.unwrap();
        for column in ["amount", "balance", "side", "transfer_id", "effective_at", "external_id"] {
            assert_eq!(row[column], line[column].as_str().unwrap(), "{column}");
        }
    }
    assert_eq!(csv.lines().count(), lines.len() + 1);

    let (status, xml) = ledger.text(&path, "application/xml").await;
    assert_eq!(status, StatusCode::OK, "{xml}");
    if let Some(directory) = std::env::var_os("LOMBARD_KEEP") {
        std::fs::write(std::path::Path::new(&directory).join("camt.053.xml"), &xml).unwrap();
    }
    let document = camt::parse(&xml);
    assert_eq!(camt::mistakes(&document), Vec::<String>::new(), "{xml}");
    let entries = document.all("Ntry");
    assert_eq!(entries.len(), lines.len());
    for (entry, line) in entries.iter().zip(lines) {
        assert_eq!(entry.text_of("Amt"), line["amount"].as_str().unwrap());
        let indicator = if line["side"] == "credit" { "CRDT" } else { "DBIT" };
        assert_eq!(entry.text_of("CdtDbtInd"), indicator);
        assert_eq!(entry.text_of("EndToEndId"), line["external_id"].as_str().unwrap());
    }
    let balances = document.all("Bal");
    assert_eq!(balances[0].text_of("Amt"), statement["opening"].as_str().unwrap());
    let closing = statement["closing"].as_str().unwrap();
    assert_eq!(balances[1].text_of("Amt"), closing.trim_start_matches('-'));
    let indicator = if closing.starts_with('-') { "DBIT" } else { "CRDT" };
    assert_eq!(balances[1].text_of("CdtDbtInd"), indicator);
}

#[tokio::test]
async fn what_camt_cannot_say_is_not_rounded() {
    let ledger = Harness::new(Config::default()).await;
    for (code, scale) in [("POINT", 2), ("XBT", 8)] {
        ledger.post("/assets", code, json!({ "code": code, "scale": scale })).await;
        let body = json!({ "path": code.to_lowercase(), "asset": code });
        let id = ledger.post("/accounts", code, body).await.text("/id").to_owned();
        ledger.seal(SEAL, &id, json!({ "until": ENDS[0] })).await;
        let path = format!("/accounts/{id}/statements/1?format=camt.053");
        let refused = ledger.get(READ, &path).await;
        assert_eq!(refused.text("/type"), "urn:lombard:error:not-expressible", "{code}");
    }
}

#[tokio::test]
async fn exports_have_everything_in_order() {
    let ledger = Harness::new(Config::default()).await;
    let (_, empty) = ledger.text("/export/transfers?format=csv", "*/*").await;
    assert!(empty.starts_with("id,kind,status,"), "a head only: {empty}");
    ledger.open("world").await;
    let wallet = ledger.open("customers/42/wallet").await;
    move_money(&ledger, 0, 600).await;
    let list = ledger.get(READ, "/transfers?limit=1000").await;
    let mut expected = list.body["items"].as_array().unwrap().clone();
    expected.reverse();
    assert_eq!(expected.len(), 600);
    let (_, lines) = ledger.text("/export/transfers", "*/*").await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, expected);
    let (_, csv) = ledger.text("/export/transfers?format=csv", "*/*").await;
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<BTreeMap<String, String>> = rows.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 600);
    assert_eq!(rows[599]["external_id"], "no-599");

    let (_, lines) = ledger.text(&format!("/export/entries?account={wallet}"), "*/*").await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let entries = ledger.get(READ, &format!("/accounts/{wallet}/entries?limit=1000")).await;
    assert_eq!(Value::from(lines), entries.body["items"]);
    let path = format!("/export/entries?account={wallet}&format=csv&as_of={}", 10);
    let (_, csv) = ledger.text(&path, "*/*").await;
    assert_eq!(csv.lines().count(), 1 + 9, "{csv}");
    let (status, _) = ledger.text("/export/transfers?format=xml", "*/*").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
