//! `/v1/ledger/accounts`: accounts with their balances, now or as they were.

use axum::{extract::State, response::Response};
use lombard_chassis::{Page, Path, Problem, Query};
use lombard_ledger_api::{AccountBody, AccountParts, PageBody, parameter};
use lombard_ledger_core::AccountRef;
use lombard_types::{AccountId, AccountPath};
use serde::Deserialize;

use super::{Api, Reader, answer};
use crate::{AccountRow, Cut, LedgerIndex, problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<String>,
    at_least: Option<String>,
    as_of: Option<String>,
}

/// The accounts whose path begins with `prefix`, in order of path. Leaves out those that the caller may not read and those
/// that were not open yet, so a page can be short and have a next one. Needs `ledger:read` for anything.
pub(super) async fn list(
    reader: Reader,
    State(api): State<Api>,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    let limit = api.limit(listing.limit.as_deref())?;
    let after: Option<AccountPath> = parameter("after", listing.after.as_deref())?;
    let cut = api.cut(listing.at_least.as_deref(), listing.as_of.as_deref()).await?;
    let body = api.ask(|index| {
        let may_read = |path: &AccountPath| reader.may_read(path);
        let examined_max = api.config.examined_max;
        let page = index.accounts(&listing.prefix, after.as_ref(), limit, examined_max, may_read);
        let known = page.items.into_iter().filter(|account| account.opened.position < cut.end);
        let items = known.map(|account| body(index, account, cut)).collect::<Result<_, _>>()?;
        Ok(PageBody::of(Page { items, next: page.next }, |body| body, |path| path.to_string()))
    })?;
    Ok(answer(cut, body))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    at_least: Option<String>,
    as_of: Option<String>,
}

/// The account with an id. Needs `ledger:read` for its path.
pub(super) async fn by_id(
    reader: Reader,
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let id: AccountId = id.parse().map_err(problem::invalid_path)?;
    one(&api, &reader, &AccountRef::Id(id), &asked).await
}

/// The account at a path. Needs `ledger:read` for it.
pub(super) async fn by_path(
    reader: Reader,
    State(api): State<Api>,
    Path(path): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let path: AccountPath = path.parse().map_err(problem::invalid_path)?;
    reader.account(&path)?;
    one(&api, &reader, &AccountRef::Path(path), &asked).await
}

async fn one(
    api: &Api,
    reader: &Reader,
    name: &AccountRef,
    asked: &Asked,
) -> Result<Response, Problem> {
    let cut = api.cut(asked.at_least.as_deref(), asked.as_of.as_deref()).await?;
    let body = api.ask(|index| {
        let account = index.account(name).filter(|account| account.opened.position < cut.end);
        body(index, reader.readable(account)?, cut)
    })?;
    Ok(answer(cut, body))
}

pub(super) fn body(
    index: &LedgerIndex,
    account: &AccountRow,
    cut: Cut,
) -> Result<AccountBody, Problem> {
    let internal = |error| problem::internal(&error);
    let standing = index.standing(account.number, cut).map_err(internal)?;
    Ok(AccountBody::from(AccountParts {
        id: account.id,
        path: &account.path,
        asset: &account.asset,
        normal_side: account.normal_side,
        floor: account.floor,
        ceiling: account.ceiling,
        is_closed: index.was_closed(account.number, cut).map_err(internal)?,
        version: standing.version,
        totals: &standing.totals,
    }))
}
