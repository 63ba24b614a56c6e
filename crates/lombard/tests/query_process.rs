//! The ledger's read side as a process of its own, and SQL projections in it and in the ledger: what they say after
//! either side was stopped, or killed in the middle.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{path::Path, time::Duration};

use lombard_client::{Call, Credentials, NewAccount, NewTransfer, Platform as Client};
use lombard_testkit::Platform;
use lombard_token::SigningKey;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const SEPARATE: (&str, &str) = ("LOMBARD_QUERY__SEPARATE", "true");
const BOOKS: (&str, &str) = ("LOMBARD_PROJECTION__BOOKS__PATH", "books.sqlite");

fn start(settings: &[(&str, &str)]) -> Platform {
    Platform::start_with(Path::new(LOMBARD), tempfile::tempdir().unwrap(), settings).unwrap()
}

async fn operator(platform: &Platform) -> Client {
    let state = platform.state().unwrap();
    let key = std::fs::read(platform.data_dir().join("identity/lombard-operator.key")).unwrap();
    let key = SigningKey::from_pkcs8(&key).unwrap();
    Client::builder(state["issuer"].as_str().unwrap(), Credentials::key("lombard-operator", key))
        .deadline(Duration::from_secs(60))
        .connect()
        .await
        .unwrap()
}

async fn open_accounts(client: &Client) {
    for path in ["bank", "customers/1"] {
        let account = NewAccount { path: path.to_owned(), asset: "EUR".to_owned(), floor: None };
        let account = NewAccount { floor: Some("-1000000.00".to_owned()), ..account };
        client.ledger().open_account(&account).await.unwrap();
    }
}

/// Moves a euro; answers the position.
async fn pay(client: &Client, key: &str) -> u64 {
    let transfer = NewTransfer::new("bank", "customers/1", "EUR", "1.00");
    client.ledger().send_transfer(&transfer, key).await.unwrap().position.unwrap()
}

/// What the customers have, as the read side says it that is at least there.
async fn total(client: &Client, at_least: u64) -> String {
    let call = |url| {
        let call = Call::new(reqwest::Method::GET, url).query("prefix", "customers/");
        call.query("at_least", at_least)
    };
    let totals: Value = client.call("/v1/ledger", "/totals", call).await.unwrap().body;
    totals["assets"][0]["credits_posted"].as_str().unwrap_or_else(|| panic!("{totals}")).to_owned()
}

fn send(platform: &Platform, role: &str, signal: Signal) {
    let pid = Pid::from_raw(platform.pid(role).unwrap().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

async fn ready_body(platform: &Platform, role: &str) -> Value {
    let url = format!("{}/readyz", platform.url(role).unwrap());
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn reads_go_on_without_the_ledger_and_writes_without_the_reads() {
    let platform = start(&[SEPARATE]);
    let client = operator(&platform).await;
    open_accounts(&client).await;
    let position = pay(&client, "a").await;
    assert_eq!(total(&client, position).await, "1.00");
    let ready = ready_body(&platform, "query").await;
    assert!(ready["notes"]["source"].as_str().unwrap().contains("behind"), "{ready}");

    // The reads are not the ledger's any more.
    let token = client.access_token("/v1/ledger").await.unwrap();
    let http = reqwest::Client::new();
    let direct = format!("{}/v1/ledger/totals", platform.url("ledger").unwrap());
    let answer = http.get(direct).bearer_auth(token.secret()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 404);
    // Nor is anything told without a token, or with one for something else.
    let direct = format!("{}/v1/ledger/totals", platform.url("query").unwrap());
    assert_eq!(http.get(&direct).send().await.unwrap().status().as_u16(), 401);
    let other = client.access_token("/v1/registry").await.unwrap();
    let answer = http.get(&direct).bearer_auth(other.secret()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 401);

    // Stopped, not killed: its supervisor would start it again before anybody notices.
    send(&platform, "ledger", Signal::STOP);
    assert_eq!(total(&client, position).await, "1.00");
    send(&platform, "ledger", Signal::CONT);
    send(&platform, "query", Signal::STOP);
    let position = pay(&client, "b").await;
    send(&platform, "query", Signal::CONT);
    assert_eq!(total(&client, position).await, "2.00");

    let metrics = format!("{}/metrics", platform.url("query").unwrap());
    let metrics = reqwest::get(metrics).await.unwrap().text().await.unwrap();
    for name in ["lombard_query_mirror_lag_records", "lombard_query_lag_records"] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
    check_every_read(&client, &http, token.secret()).await;
}

/// Whatever can be read is found at the gateway, wherever it is answered.
async fn check_every_read(client: &Client, http: &reqwest::Client, token: &str) {
    let account = client.ledger().account("customers/1", None).await.unwrap().id;
    let transfer = NewTransfer::new("bank", "customers/1", "EUR", "0.01");
    let transfer = client.ledger().create_transfer(&transfer, "cent").await.unwrap().id;
    let back = NewTransfer::new("customers/1", "bank", "EUR", "0.01");
    client.ledger().create_transfer(&back, "back").await.unwrap();
    for path in [
        "assets".to_owned(),
        "accounts".to_owned(),
        "accounts/by-path/customers/1".to_owned(),
        format!("accounts/{account}"),
        format!("accounts/{account}/balance"),
        format!("accounts/{account}/entries"),
        format!("accounts/{account}/reservations"),
        "transfers".to_owned(),
        format!("transfers/{transfer}"),
        format!("explain/transfers/{transfer}"),
        format!("explain/balances/{account}"),
        "totals".to_owned(),
        "trial-balance".to_owned(),
        "export/hledger".to_owned(),
        "chart-rules".to_owned(),
        "period-locks".to_owned(),
        "projections".to_owned(),
        "log/key".to_owned(),
    ] {
        let url = format!("{}/v1/ledger/{path}", client.issuer());
        let answer = http.get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}: {}", answer.text().await.unwrap());
    }
}

/// Both sides are killed again and again while money moves; each time the other goes on, and both come to the same.
#[tokio::test]
async fn both_sides_survive_kills_in_the_middle() {
    let mut platform = start(&[SEPARATE, BOOKS]);
    let client = operator(&platform).await;
    open_accounts(&client).await;
    let (mut position, mut paid) = (0, 0);
    for round in 0..8 {
        for number in 0..5 {
            position = pay(&client, &format!("{round}-{number}")).await;
            paid += 1;
        }
        let role = if round % 2 == 0 { "query" } else { "ledger" };
        let killing = move || {
            platform.kill(role).unwrap();
            platform
        };
        platform = tokio::task::spawn_blocking(killing).await.unwrap();
        assert_eq!(total(&client, position).await, format!("{paid}.00"));
    }
    let file = platform.data_dir().join("query/projections/books.sqlite");
    reach(&file, position + 1);
    assert_eq!(
        column(&file, "SELECT posted FROM account_balances WHERE path = 'customers/1'"),
        [format!("{paid}.00")]
    );
    let entries = "SELECT CAST(count(*) AS TEXT) FROM account_entries WHERE path = 'customers/1'";
    assert_eq!(column(&file, entries), [paid.to_string()]);
    assert!(!platform.log().contains("panicked"), "{}", platform.log());
}

/// Waits until a file has the records before a position.
fn reach(file: &Path, position: u64) {
    let started = std::time::Instant::now();
    loop {
        let found = rusqlite::Connection::open(file).and_then(|connection| {
            connection.query_row("SELECT position FROM projection", [], |row| row.get::<_, i64>(0))
        });
        if found.as_ref().is_ok_and(|found| *found >= i64::try_from(position).unwrap()) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{found:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn column(file: &Path, statement: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(file).unwrap();
    let mut statement = connection.prepare(statement).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Every row of what a report needs.
fn rows(file: &Path) -> Vec<Vec<String>> {
    [
        "SELECT position || ' ' || source FROM projection",
        "SELECT number || path || asset || opened_at FROM accounts ORDER BY number",
        "SELECT account || ' ' || version || ' ' || posted || ' ' || available FROM balances ORDER BY account",
        "SELECT number || id || position || recorded_at || amount FROM transfers ORDER BY number",
        "SELECT account || ' ' || version || ' ' || transfer || posted FROM entries ORDER BY account, version",
        "SELECT position || COALESCE(subject, '') || COALESCE(request_id, '') FROM records ORDER BY position",
    ]
    .map(|statement| column(file, statement))
    .to_vec()
}

fn said(output: &std::process::Output) -> String {
    let [said, complained] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
    format!("{said}{complained}")
}

#[tokio::test]
async fn projections_are_watched_and_rebuilt() {
    let platform = start(&[BOOKS]);
    let client = operator(&platform).await;
    open_accounts(&client).await;
    let mut position = 0;
    for number in 0..20 {
        position = pay(&client, &number.to_string()).await;
    }
    let file = platform.data_dir().join("ledger/projections/books.sqlite");
    reach(&file, position + 1);
    let before = rows(&file);
    assert_eq!(before[3].len(), 20);

    let status = platform.run(&["projection", "status"]).unwrap();
    assert!(status.status.success(), "{}", said(&status));
    for word in ["books", "sqlite", "following"] {
        assert!(said(&status).contains(word), "{}", said(&status));
    }
    let rebuilt = platform.run(&["projection", "rebuild", "books"]).unwrap();
    assert!(rebuilt.status.success(), "{}", said(&rebuilt));
    assert_eq!(rows(&file), before);
    // What comes then is written to the new tables.
    let position = pay(&client, "later").await;
    reach(&file, position + 1);
    assert_eq!(rows(&file)[3].len(), 21);

    let unknown = platform.run(&["projection", "rebuild", "nothing"]).unwrap();
    assert_eq!(unknown.status.code(), Some(3), "{}", said(&unknown));
    let place = platform.stop().unwrap();

    // Tables that somebody damaged are refused, and built anew on request.
    let connection =
        rusqlite::Connection::open(place.path().join("data/ledger/projections/books.sqlite"))
            .unwrap();
    connection.execute_batch("UPDATE projection SET format = 99").unwrap();
    drop(connection);
    let platform = Platform::start_with(Path::new(LOMBARD), place, &[BOOKS]).unwrap();
    let mut status = platform.run(&["projection", "status"]).unwrap();
    while said(&status).contains("starting") {
        status = platform.run(&["projection", "status"]).unwrap();
    }
    assert_eq!(status.status.code(), Some(7), "{}", said(&status));
    assert!(said(&status).contains("format 99"), "{}", said(&status));
    let rebuilt = platform.run(&["projection", "rebuild", "books"]).unwrap();
    assert!(rebuilt.status.success(), "{}", said(&rebuilt));
    let file = platform.data_dir().join("ledger/projections/books.sqlite");
    reach(&file, position + 1);
    assert_eq!(rows(&file)[3].len(), 21);
    let status = platform.run(&["projection", "status", "--json"]).unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["projections"][0]["rebuilds"], 1, "{status}");
}
