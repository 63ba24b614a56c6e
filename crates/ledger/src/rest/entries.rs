//! `/v1/ledger/accounts/{id}/entries`.

use axum::extract::State;
use lombard_chassis::{Path, Problem, Query};
use lombard_ledger_core::AccountRef;
use lombard_types::{AccountId, Position};
use serde::{Deserialize, Serialize};

use super::{
    Api, accounts,
    answer::Answer,
    authority::Caller,
    body::{amount_text, effective_at, position_text},
    paging::{self, PageBody},
};
use crate::{
    problem,
    query::{AccountRow, EntryNumber, EntryRow, LedgerView, Side},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    after: Option<String>,
    limit: Option<String>,
    at_least: Option<String>,
}

/// What one transfer did to the account.
#[derive(Debug, Serialize)]
pub(super) struct EntryBody {
    /// Its place in the account, from 1.
    number: String,
    transfer_id: String,
    side: &'static str,
    amount: String,
    /// What is posted after it, on the account's normal side.
    balance: String,
    /// The account on the other side of the transfer.
    counterparty: String,
    effective_at: String,
    recorded_at: String,
    position: String,
}

/// The entries of an account, oldest first. Needs `ledger:read` for its path.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Answer<PageBody<EntryBody>>, Problem> {
    caller.read_anything()?;
    let id: AccountId = id.parse().map_err(problem::invalid_path)?;
    let limit = paging::limit(listing.limit.as_deref(), &api.config)?;
    let after: u64 = paging::parameter("after", listing.after.as_deref())?.unwrap_or(0);
    let at_least: Option<Position> = paging::parameter("at_least", listing.at_least.as_deref())?;
    api.reach(at_least).await?;
    let (page, position) = api.read(|view| {
        let account = accounts::readable(&caller, view.account(&AccountRef::Id(id)))?;
        let page = account.entries(EntryNumber(after), limit);
        let next = page.next.map(|number| number.0.to_string());
        let items =
            page.items.iter().filter_map(|entry| entry_body(view, account, entry)).collect();
        Ok(PageBody { items, next })
    });
    Ok(Answer::ok(position, page?))
}

/// Always there: an entry is made together with its transfer.
fn entry_body(view: &LedgerView, account: &AccountRow, entry: &EntryRow) -> Option<EntryBody> {
    let row = view.transfer_at(entry.transfer)?;
    let counterparty = match entry.side {
        Side::Debit => row.credit_account,
        Side::Credit => row.debit_account,
    };
    Some(EntryBody {
        number: entry.number.0.to_string(),
        transfer_id: row.transfer.id.to_string(),
        side: entry.side.name(),
        amount: amount_text(row.transfer.amount, account.asset.scale),
        balance: entry.balance.display(account.asset.scale).to_string(),
        counterparty: counterparty.path.to_string(),
        effective_at: effective_at(&row.transfer, row.recorded.time).to_string(),
        recorded_at: row.recorded.time.to_string(),
        position: position_text(row.recorded.position),
    })
}
