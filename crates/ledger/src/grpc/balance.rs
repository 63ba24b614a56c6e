//! `Balance`.

use std::sync::Arc;

use lombard_chassis::Problem;
use lombard_grpc::Call;
use lombard_ledger_core::{Account, AccountRef, Asset, Book, NormalSide};
use lombard_proto::ledger::v1::{AccountBalance, BalanceRequest, BalanceResponse, Side};
use lombard_types::Amount;

use super::create;
use crate::{
    problem,
    rest::{Api, authority::Caller},
};

/// Asks the writer, so that all accounts are of one position and nothing that was answered is missing. Needs `ledger:read`
/// for each account; who may read only some is not told whether others exist.
pub(super) async fn balance(
    api: Arc<Api>,
    call: Call,
    request: BalanceRequest,
) -> Result<BalanceResponse, Problem> {
    let caller = super::caller(&call)?;
    caller.read_anything()?;
    let accounts_max = api.config.balances_max;
    if request.accounts.is_empty() || request.accounts.len() > accounts_max {
        let wanted = format!("must be 1 to {accounts_max}");
        return Err(problem::invalid_field("accounts", wanted));
    }
    let mut names = Vec::with_capacity(request.accounts.len());
    for account in request.accounts {
        names.push(create::account("accounts", Some(account))?.parse("accounts")?);
    }
    let asked = api.writer.query(move |machine| {
        let book = machine.book();
        names.into_iter().map(|name| found(book, name)).collect::<Vec<_>>()
    });
    let (found, position) = asked.await.map_err(problem::from_query_error)?;
    let accounts = found.into_iter().map(|found| readable(&caller, found));
    Ok(BalanceResponse {
        accounts: accounts.collect::<Result<_, _>>()?,
        position: position.map_or(0, lombard_types::Position::get),
    })
}

/// The account with its asset, or its name where there is none.
fn found(book: &Book, name: AccountRef) -> Result<(Account, Asset), AccountRef> {
    match book.account(&name) {
        Some(account) => Ok((account.clone(), book.asset_of(account).clone())),
        None => Err(name),
    }
}

fn readable(
    caller: &Caller,
    found: Result<(Account, Asset), AccountRef>,
) -> Result<AccountBalance, Problem> {
    let (account, asset) = match found {
        Ok(found) => found,
        Err(AccountRef::Path(path)) => {
            caller.read(&path)?;
            return Err(Problem::new(&problem::ACCOUNT_NOT_FOUND));
        }
        Err(AccountRef::Id(_)) => {
            caller.read_book()?;
            return Err(Problem::new(&problem::ACCOUNT_NOT_FOUND));
        }
    };
    caller.read(&account.path)?;
    let (totals, side, scale) = (account.totals, account.normal_side, asset.scale);
    let total = |units| Amount::from_minor_units(units).display(scale).to_string();
    Ok(AccountBalance {
        id: account.id.as_u128().to_be_bytes().to_vec().into(),
        path: account.path.to_string(),
        asset: asset.code.to_string(),
        normal_side: match side {
            NormalSide::Debit => Side::Debit.into(),
            NormalSide::Credit => Side::Credit.into(),
        },
        posted: totals.posted(side).display(scale).to_string(),
        pending: totals.pending(side).display(scale).to_string(),
        available: totals.available(side).display(scale).to_string(),
        debits_pending: total(totals.debits_pending),
        debits_posted: total(totals.debits_posted),
        credits_pending: total(totals.credits_pending),
        credits_posted: total(totals.credits_posted),
        version: account.version,
        is_closed: account.is_closed,
    })
}
