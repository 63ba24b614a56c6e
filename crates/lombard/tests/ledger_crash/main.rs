//! The ledger's process is killed with SIGKILL while clients move money between a few accounts, again and again. Whoever got
//! an answer can rely on it: a transfer that was made is in the books once, one that was refused is not and stays refused,
//! no balance was ever below its floor, and no money came or went.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

mod grpc;
mod http;

use std::{collections::BTreeMap, time::Duration};

use lombard_client::{Account, Credentials, NewAccount, Platform as Client};
use lombard_testkit::Platform;
use lombard_token::SigningKey;
use tokio::{sync::watch, task::JoinSet};

const LOMBARD: &str = env!("CARGO_BIN_EXE_lombard");
const KILLS: usize = 30;
const WRITERS: u64 = 8;
const ACCOUNTS: u64 = 5;
/// Answers between two kills.
const ANSWERS_PER_KILL: usize = 40;
/// What each account begins with: little, so that many transfers are refused.
const FUNDS: i64 = 500;

/// SplitMix64: what is asked for is the same in each run, and who comes first is not.
fn chance(seed: u64, sides: u64) -> u64 {
    let word = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (word ^ (word >> 31)) % sides
}

fn account(number: u64) -> String {
    format!("bank/{number}")
}

/// The platform as its operator sees it.
async fn connect(platform: &Platform) -> Client {
    let state = platform.state().unwrap();
    let issuer = state.get("issuer").and_then(serde_json::Value::as_str).unwrap();
    let key = std::fs::read(platform.data_dir().join("identity/lombard-operator.key")).unwrap();
    let key = SigningKey::from_pkcs8(&key).unwrap();
    Client::builder(issuer, Credentials::key("lombard-operator", key))
        .deadline(Duration::from_secs(60))
        .connect()
        .await
        .unwrap()
}

async fn open(client: &Client, path: String, floor: Option<&str>) -> Account {
    let floor = floor.map(ToOwned::to_owned);
    let account = NewAccount { path, asset: "JPY".to_owned(), floor };
    client.ledger().open_account(&account).await.unwrap()
}

/// Kills the ledger again and again while the writers are at work; `done` counts their answers. All that they were answered.
async fn kill_while_they_write<K: Ord + 'static, A: 'static>(
    mut platform: Platform,
    mut done: watch::Receiver<usize>,
    mut writers: JoinSet<BTreeMap<K, A>>,
) -> (Platform, BTreeMap<K, A>) {
    for kill in 1..=KILLS {
        // At a moment that the load decides, while other transfers are under way.
        if done.wait_for(|done| *done >= kill * ANSWERS_PER_KILL * 9 / 10).await.is_err() {
            break;
        }
        let killing = move || {
            platform.kill("ledger").unwrap();
            platform
        };
        platform = tokio::task::spawn_blocking(killing).await.unwrap();
    }
    let mut answers = BTreeMap::new();
    while let Some(answered) = writers.join_next().await {
        answers.append(&mut answered.unwrap());
    }
    (platform, answers)
}

/// All kills were ours.
fn check_log(platform: &Platform) {
    assert!(!platform.log().contains("panicked"), "{}", platform.log());
    assert_eq!(platform.log().matches("killed by signal 9").count(), KILLS);
}
