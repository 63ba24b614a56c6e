//! Pays from many tasks over one session of the ledger.
//!
//! Against `lombard up`, with a client that may write to the ledger:
//!
//! ```sh
//! export LOMBARD_URL=http://127.0.0.1:8080 LOMBARD_CLIENT_ID=… LOMBARD_CLIENT_SECRET=…
//! cargo run -p lombard-client --example ledger_session -- 127.0.0.1:9084
//! ```
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;

use lombard_client::{
    NewAccount, Platform,
    grpc::ledger::{PackedTransfer, SessionOptions, new_transfer_id, v1},
};
use lombard_types::{AccountId, Amount};
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9084".to_owned());
    let platform = Platform::from_env().await?;
    let world = open(&platform, "example/world", None).await?;
    let shop = open(&platform, "example/shop", Some("0")).await?;

    let ledger = platform.grpc_ledger(address);
    let session = ledger.session(SessionOptions::default());
    let mut payers = JoinSet::new();
    for cents in 1..=100 {
        let session = session.clone();
        payers.spawn(async move {
            let amount = Amount::from_minor_units(cents);
            let transfer = PackedTransfer::new(new_transfer_id(), world, shop, amount);
            session.submit(&transfer).await?.await
        });
    }
    while let Some(paid) = payers.join_next().await {
        for outcome in paid??.iter().filter(|outcome| !outcome.is_created()) {
            println!("refused: {:?}", outcome.result());
        }
    }

    let name = v1::account::Name::Path("example/shop".to_owned());
    let request = v1::BalanceRequest { accounts: vec![v1::Account { name: Some(name) }] };
    let answer = ledger.balance(&request).await?;
    for account in answer.accounts {
        println!("{} has {} {}", account.path, account.available, account.asset);
    }
    Ok(())
}

async fn open(
    platform: &Platform,
    path: &str,
    floor: Option<&str>,
) -> Result<AccountId, Box<dyn Error>> {
    let floor = floor.map(ToOwned::to_owned);
    let account = NewAccount { path: path.to_owned(), asset: "EUR".to_owned(), floor };
    Ok(platform.ledger().open_account(&account).await?.id.parse()?)
}
