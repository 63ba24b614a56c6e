//! A data directory that an earlier version wrote is opened, read, verified and written to.
//!
//! `cargo xtask fixture` writes one with the version at hand. Those of released versions stay as they are.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use lombard_client::{
    Credentials, Expected, NewAccount, NewEvent, NewTransfer, Platform as Client,
};
use lombard_testkit::Platform;
use lombard_token::SigningKey;
use serde_json::json;

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/data-0.1");
const STREAMS: [&str; 3] = ["orders-1", "orders-2", "payments-7"];
const EVENTS: u64 = 8;
const TRANSFERS: usize = 5;
/// What the customer has left of the 100.00 after the transfers of 7.25.
const BALANCE: &str = "63.75";

fn run(data: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(LOMBARD);
    let command = command.args(arguments).env("LOMBARD_DATA_DIR", data).stdin(Stdio::null());
    let output = command.output().unwrap();
    let [said, complained] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{arguments:?}: {said}{complained}");
    said + &complained
}

async fn operator(platform: &Platform) -> (String, Client) {
    let issuer = platform.state().unwrap()["issuer"].as_str().unwrap().to_owned();
    let key = fs::read(platform.data_dir().join("identity/lombard-operator.key")).unwrap();
    let key = SigningKey::from_pkcs8(&key).unwrap();
    let client = Client::connect(&issuer, Credentials::key("lombard-operator", key)).await.unwrap();
    (issuer, client)
}

/// Every file of a directory, by its path inside.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.is_file() {
                let bytes = fs::read(&path).unwrap();
                found.push((path.strip_prefix(directory).unwrap().to_owned(), bytes));
            }
        }
    }
    found
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    // Keys are for their owner alone.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Keeps what cannot be made again: not the space that is prepared, the indexes, and what only a running process needs.
fn keep(data: &Path, fixture: &Path) {
    for (path, bytes) in files(data) {
        let is_made_again = ["run", "index", "lock"]
            .iter()
            .any(|name| path.components().any(|part| part.as_os_str() == *name));
        let is_segment = path.extension().is_some_and(|extension| extension == "seg");
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // A record may end with zeros of its own.
        let kept = if is_segment { used.next_multiple_of(4096) } else { bytes.len() };
        let kept = kept.min(bytes.len());
        let is_empty = is_segment && used == 0;
        if !is_made_again && !is_empty {
            write(&fixture.join(&path), bytes.get(..kept).unwrap());
        }
    }
}

fn event(number: u64) -> NewEvent {
    NewEvent::new("/fixture", "fixture.happened", json!({ "number": number, "price": "9.90" }))
}

fn transfer() -> NewTransfer {
    NewTransfer::new("customers/1/wallet", "shop/sales", "EUR", "7.25")
}

async fn open_account(client: &Client, path: &str, floor: Option<&str>) {
    let (path, asset) = (path.to_owned(), "EUR".to_owned());
    let account = NewAccount { path, asset, floor: floor.map(ToOwned::to_owned) };
    client.ledger().open_account(&account).await.unwrap();
}

#[tokio::test]
#[ignore = "writes the fixture; run by `cargo xtask fixture`"]
async fn write_the_fixture() {
    let platform = Platform::start(Path::new(LOMBARD)).unwrap();
    let (issuer, client) = operator(&platform).await;
    for stream in STREAMS {
        let mut expected = Expected::NoStream;
        for number in 0..EVENTS {
            let appended = client.eventstore().append(stream, expected, &[event(number)]).await;
            expected = Expected::Revision(appended.unwrap().last_revision);
        }
    }
    open_account(&client, "world", None).await;
    open_account(&client, "customers/1/wallet", Some("0")).await;
    open_account(&client, "shop/sales", None).await;
    let funding = NewTransfer::new("world", "customers/1/wallet", "EUR", "100.00");
    client.ledger().create_transfer(&funding, "funding").await.unwrap();
    for number in 0..TRANSFERS {
        let key = format!("sale-{number}");
        client.ledger().create_transfer(&transfer(), &key).await.unwrap();
    }
    let fixture = Path::new(FIXTURE);
    fs::remove_dir_all(fixture).unwrap_or_default();
    fs::create_dir_all(fixture).unwrap();
    for (role, records) in [("eventstore", STREAMS.len() as u64 * EVENTS), ("ledger", 9)] {
        let kept = fixture.join(format!("{role}.checkpoint"));
        let target = format!("{issuer}/v1/{role}");
        // The newest checkpoint may be a moment behind.
        let covers = |note: &str| note.lines().nth(1).unwrap().parse::<u64>().unwrap() >= records;
        loop {
            run(&platform.data_dir(), &["verify", &target, "--save", kept.to_str().unwrap()]);
            if covers(&fs::read_to_string(&kept).unwrap()) {
                break;
            }
        }
        let key = client.text(&format!("/v1/{role}"), "/log/key").await.unwrap();
        write(&fixture.join(format!("{role}.key")), key.as_bytes());
    }
    let place = platform.stop().unwrap();
    keep(&place.path().join("data"), &fixture.join("data"));
}

/// Each role's log against the checkpoint that was kept when the directory was written.
fn verify(data: &Path, issuer: Option<&str>) {
    for role in ["eventstore", "ledger"] {
        let kept = format!("{FIXTURE}/{role}.checkpoint");
        let key = fs::read_to_string(format!("{FIXTURE}/{role}.key")).unwrap();
        let target = match issuer {
            Some(issuer) => format!("{issuer}/v1/{role}"),
            None => data.join(role).join("log").to_str().unwrap().to_owned(),
        };
        let words = run(data, &["verify", &target, "--checkpoint", &kept, "--key", key.trim_end()]);
        assert!(words.contains("Proved: the first"), "{words}");
    }
}

#[tokio::test]
async fn a_data_directory_of_version_0_1_opens() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    for (path, bytes) in files(&Path::new(FIXTURE).join("data")) {
        write(&data.join(path), &bytes);
    }
    verify(&data, None);
    let platform = Platform::start_in(Path::new(LOMBARD), place).unwrap();
    let (issuer, client) = operator(&platform).await;
    verify(&data, Some(&issuer));
    for stream in STREAMS {
        let events = client.eventstore().read(stream, 0, 100).await.unwrap();
        for (number, found) in (0..).zip(&events) {
            assert_eq!(found.revision, number);
            assert_eq!(found.data, event(number).data, "{stream}");
        }
        let expected = Expected::Revision(EVENTS - 1);
        let appended = client.eventstore().append(stream, expected, &[event(EVENTS)]).await;
        assert_eq!(appended.unwrap().last_revision, EVENTS);
    }
    let wallet = client.ledger().account("customers/1/wallet", None).await.unwrap();
    assert_eq!(wallet.balance.posted, BALANCE);
    // A retry across versions is still a retry; a new transfer is one.
    client.ledger().create_transfer(&transfer(), "sale-0").await.unwrap();
    let made = client.ledger().send_transfer(&transfer(), "sale-new").await.unwrap();
    let wallet = client.ledger().account("customers/1/wallet", made.position).await.unwrap();
    assert_eq!(wallet.balance.posted, "56.50");
    verify(&data, Some(&issuer));
    assert!(!platform.log().contains("panicked"), "{}", platform.log());
}
