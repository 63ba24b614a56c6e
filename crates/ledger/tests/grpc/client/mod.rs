//! The platform's own client on the same server: calls, sessions, and what goes wrong below them.

mod calls;
mod faults;
mod relay;
mod sessions;

use lombard_client::grpc::ledger::{
    GrpcLedger, PackedTransfer,
    v1::{Account, AccountBalance, BalanceRequest, account::Name},
};
use lombard_types::{AccountId, Amount, TransferId};

use super::support::TestServer;

const ALL: &str = "ledger:read ledger:write";

impl TestServer {
    fn own_client(&self, scope: &str) -> GrpcLedger {
        GrpcLedger::with_token(self.address.to_string(), &self.token(scope))
    }
}

fn id(number: u128) -> TransferId {
    TransferId::from_u128(number).unwrap()
}

/// A transfer of so many cents.
fn transfer(number: u128, debit: u128, credit: u128, cents: u128) -> PackedTransfer {
    let account = |number| AccountId::from_u128(number).unwrap();
    let amount = Amount::from_minor_units(cents);
    PackedTransfer::new(id(number), account(debit), account(credit), amount)
}

fn named(path: &str) -> Account {
    Account { name: Some(Name::Path(path.to_owned())) }
}

async fn balances(client: &GrpcLedger, paths: &[&str]) -> Vec<AccountBalance> {
    let accounts = paths.iter().map(|path| named(path)).collect();
    client.balance(&BalanceRequest { accounts }).await.unwrap().accounts
}
