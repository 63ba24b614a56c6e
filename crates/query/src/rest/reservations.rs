//! `/v1/ledger/accounts/{id}/reservations`.

use axum::{extract::State, response::Response};
use lombard_chassis::{Path, Problem, Query};
use lombard_ledger_api::{PageBody, parameter};
use lombard_types::{AccountId, Amount};
use serde::{Deserialize, Serialize};

use super::{Api, Reader, answer, side};
use crate::{Place, problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    after: Option<String>,
    limit: Option<String>,
    at_least: Option<String>,
    as_of: Option<String>,
}

#[derive(Debug, Serialize)]
struct ReservationBody {
    transfer_id: String,
    position: String,
    side: &'static str,
    amount: String,
    counterparty: String,
    /// When it ends by itself; null where it does not.
    ends_at: Option<String>,
}

/// The reservations of an account that were open, oldest first. Of the past, it looks at all that there ever were, so a
/// page can be short and have a next one. Needs `ledger:read` for its path.
pub(super) async fn list(
    reader: Reader,
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    let id: AccountId = id.parse().map_err(problem::invalid_path)?;
    let limit = api.limit(listing.limit.as_deref())?;
    let after: Option<Place> = parameter("after", listing.after.as_deref())?;
    let cut = api.cut(listing.at_least.as_deref(), listing.as_of.as_deref()).await?;
    let page = api.about(&reader, id, cut, |index, account| {
        let page = index.holds(account.number, after, cut, limit, api.config.examined_max);
        let page = page.map_err(|error| problem::internal(&error))?;
        let scale = account.asset.scale;
        let items = page.items.iter().map(|hold| ReservationBody {
            transfer_id: hold.id.to_string(),
            position: hold.place.position.to_string(),
            side: side(hold.side),
            amount: Amount::from_minor_units(hold.amount).display(scale).to_string(),
            counterparty: index.account_by_number(hold.counterparty).path.to_string(),
            ends_at: hold.ends_at.map(|time| time.to_string()),
        });
        Ok(PageBody { items: items.collect(), next: page.next.map(|place| place.to_string()) })
    })?;
    Ok(answer(cut, page))
}
