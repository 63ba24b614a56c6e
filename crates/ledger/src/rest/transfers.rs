//! `/v1/ledger/transfers`.

use axum::extract::State;
use lombard_chassis::{Path, Problem, Query};
use lombard_ledger_core::ExternalId;
use lombard_types::{Position, TransferId};
use serde::Deserialize;

use super::{
    Api,
    answer::Answer,
    authority::Caller,
    metadata,
    paging::{self, PageBody, Reading},
    sets::{SetBody, TransferBody, TransferParts},
    unexpected_reply,
};
use crate::{
    problem,
    query::{TransferNumber, TransferRow},
};

/// The transfer with an id. Linearizable: a transfer that was answered to anybody is found. Needs `ledger:read` for
/// one of its accounts.
pub(super) async fn by_id(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Query(reading): Query<Reading>,
) -> Result<Answer<SetBody>, Problem> {
    caller.read_anything()?;
    let id: TransferId = id.parse().map_err(problem::invalid_path)?;
    api.reach(reading.at_least()?).await?;
    api.reach_writer().await?;
    let (found, position) = api.read(|view| {
        readable(&caller, view.transfer(id))?;
        let transfers = view.set(id).iter().map(TransferBody::from).collect();
        SetBody::of(transfers).ok_or_else(unexpected_reply)
    });
    Ok(Answer::ok(position, found?))
}

/// The transfer, unless it does not exist or the caller may read neither of its accounts. Who may read only some
/// accounts is not told whether a transfer between others exists.
pub(super) fn readable<'a>(
    caller: &Caller,
    row: Option<TransferRow<'a>>,
) -> Result<TransferRow<'a>, Problem> {
    let Some(row) = row else {
        caller.read_book()?;
        return Err(Problem::new(&problem::TRANSFER_NOT_FOUND));
    };
    if !caller.may_read(&row.credit_account.path) {
        caller.read(&row.debit_account.path)?;
    }
    Ok(row)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    before: Option<String>,
    limit: Option<String>,
    at_least: Option<String>,
    external_id: Option<String>,
}

/// All transfers, latest first, refused ones included. Needs `ledger:read` without a path.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Answer<PageBody<TransferBody>>, Problem> {
    if let Some(external_id) = &listing.external_id {
        return by_external_id(&api, &caller, external_id).await;
    }
    caller.read_book()?;
    let limit = paging::limit(listing.limit.as_deref(), &api.config)?;
    let before: Option<u32> = paging::parameter("before", listing.before.as_deref())?;
    let at_least: Option<Position> = paging::parameter("at_least", listing.at_least.as_deref())?;
    api.reach(at_least).await?;
    let (body, position) = api.read(|view| {
        let page = view.latest_transfers(before.map(TransferNumber), limit);
        PageBody::of(page, |row| TransferBody::from(&row), |number| number.0.to_string())
    });
    Ok(Answer::ok(position, body))
}

/// The transfers of the set with an external id; none where there is none. Linearizable.
async fn by_external_id(
    api: &Api,
    caller: &Caller,
    external_id: &str,
) -> Result<Answer<PageBody<TransferBody>>, Problem> {
    caller.read_anything()?;
    let external_id = ExternalId::new(external_id)
        .map_err(|error| problem::invalid_parameter("external_id", error))?;
    let Some(stored) = api.find_external(external_id).await? else {
        caller.read_book()?;
        return Ok(Answer::ok(None, PageBody { items: Vec::new(), next: None }));
    };
    api.reach(Some(stored.position)).await?;
    let (items, position) = api.read(|view| {
        readable(caller, view.transfer(stored.id))?;
        Ok(view.set(stored.id).iter().map(TransferBody::from).collect())
    });
    Ok(Answer::ok(position, PageBody { items: items?, next: None }))
}

impl From<&TransferRow<'_>> for TransferBody {
    fn from(row: &TransferRow<'_>) -> Self {
        Self::from(TransferParts {
            transfer: &row.transfer,
            outcome: row.outcome,
            pending: row.pending,
            debit_path: &row.debit_account.path,
            credit_path: &row.credit_account.path,
            asset: &row.debit_account.asset,
            recorded: row.recorded,
            external_id: row.external_id.as_ref(),
            metadata: metadata::raw(&row.metadata),
        })
    }
}
