//! `/v1/ledger/accounts/{id}/entries`.

use axum::{extract::State, response::Response};
use lombard_chassis::{Path, Problem, Query};
use lombard_ledger_api::{amount_text, parameter, position_text};
use lombard_ledger_core::EntrySide;
use lombard_types::{AccountId, Amount, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Api, Reader, answer, described::Cause, side};
use crate::{AccountRow, Cut, EntryKind, EntryRow, LedgerIndex, Page, Place, problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    after: Option<String>,
    limit: Option<String>,
    at_least: Option<String>,
    as_of: Option<String>,
    order: Option<String>,
    kind: Option<String>,
    side: Option<String>,
    moved: Option<String>,
    recorded_from: Option<String>,
    recorded_until: Option<String>,
}

/// What one transfer, or time, did to the account.
#[derive(Debug, Serialize)]
pub(crate) struct EntryBody {
    /// Its place among the account's entries, from 1: the account's version after it.
    pub(crate) number: String,
    pub(crate) transfer_id: String,
    pub(crate) kind: &'static str,
    pub(crate) side: &'static str,
    /// What was moved for good.
    pub(crate) amount: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reserved: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) released: Option<String>,
    /// What is posted after it, on the account's normal side.
    pub(crate) balance: String,
    /// What is available after it.
    pub(crate) available: String,
    /// The account on the other side of the transfer.
    pub(crate) counterparty: String,
    pub(crate) code: u16,
    pub(crate) effective_at: String,
    pub(crate) recorded_at: String,
    pub(crate) position: String,
}

#[derive(Debug, Serialize)]
struct EntriesBody {
    items: Vec<EntryBody>,
    /// What to ask the next page with; null on the last.
    next: Option<String>,
    /// How many entries were looked at for it.
    examined: usize,
}

/// The entries of an account with the balance after each, oldest first, or latest first with `order=latest`. What does not
/// match the filters is looked at and left out, as much of it as the configuration allows, so a page can be short and have
/// a next one. Needs `ledger:read` for its path.
pub(super) async fn list(
    reader: Reader,
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    let id: AccountId = id.parse().map_err(problem::invalid_path)?;
    let limit = api.limit(listing.limit.as_deref())?;
    let wanted = Wanted::of(&listing)?;
    let cut = api.cut(listing.at_least.as_deref(), listing.as_of.as_deref()).await?;
    let account = api.account(&reader, id, cut)?;
    let (rows, next, examined) = api.entry_rows(&account, &wanted, cut, limit)?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let cause = api.cause(&row).await?;
        items.push(api.entry_body(&account, &row, &cause)?);
    }
    let next = next.map(|place| place.to_string());
    Ok(answer(cut, EntriesBody { items, next, examined }))
}

/// Which entries a list is of.
struct Wanted {
    after: Option<Place>,
    is_latest_first: bool,
    kind: Option<EntryKind>,
    side: Option<EntrySide>,
    has_moved: Option<bool>,
    recorded_from: Option<Timestamp>,
    recorded_until: Option<Timestamp>,
}

/// Entries looked at under one lock.
const CHUNK: usize = 256;

/// The rows of a page, where the next begins, and how many entries were looked at.
type Found = (Vec<EntryRow>, Option<Place>, usize);

impl Wanted {
    fn of(listing: &Listing) -> Result<Self, Problem> {
        let is_latest_first = match listing.order.as_deref() {
            None | Some("oldest") => false,
            Some("latest") => true,
            Some(_) => return Err(problem::invalid_parameter("order", "must be oldest or latest")),
        };
        let side = match listing.side.as_deref() {
            None => None,
            Some("debit") => Some(EntrySide::Debit),
            Some("credit") => Some(EntrySide::Credit),
            Some(_) => return Err(problem::invalid_parameter("side", "must be debit or credit")),
        };
        Ok(Self {
            after: parameter("after", listing.after.as_deref())?,
            is_latest_first,
            kind: parameter("kind", listing.kind.as_deref())?,
            side,
            has_moved: parameter("moved", listing.moved.as_deref())?,
            recorded_from: parameter("recorded_from", listing.recorded_from.as_deref())?,
            recorded_until: parameter("recorded_until", listing.recorded_until.as_deref())?,
        })
    }

    fn takes(&self, row: &EntryRow) -> bool {
        self.kind.is_none_or(|kind| row.kind == kind)
            && self.side.is_none_or(|side| row.side == side)
            && self.has_moved.is_none_or(|has_moved| (row.posted > 0) == has_moved)
    }
}

impl Api {
    /// The rows of a page. What bounds it by time of recording is a seek; the other filters look at each entry.
    fn entry_rows(
        &self,
        account: &AccountRow,
        wanted: &Wanted,
        mut cut: Cut,
        limit: usize,
    ) -> Result<Found, Problem> {
        let first_from = |time: Timestamp| {
            self.ask(|index| index.position_from(time).map_err(|error| problem::internal(&error)))
        };
        if let Some(until) = wanted.recorded_until {
            cut.end = cut.end.min(first_from(until)?);
        }
        let first = wanted.recorded_from.map(first_from).transpose()?.unwrap_or_default();
        let mut at = wanted.after;
        if !wanted.is_latest_first {
            at = at.max(Place::last_before(first));
        }
        let (mut rows, mut examined) = (Vec::new(), 0);
        loop {
            let count = CHUNK.min(self.config.examined_max - examined);
            let page = self.ask(|index| chunk(index, account, wanted, at, cut, count))?;
            for row in page.items {
                if row.place.position < first {
                    return Ok((rows, None, examined));
                }
                if wanted.takes(&row) {
                    if rows.len() == limit {
                        return Ok((rows, at, examined));
                    }
                    rows.push(row);
                }
                examined += 1;
                at = Some(row.place);
            }
            if page.next.is_none() || examined >= self.config.examined_max {
                return Ok((rows, page.next, examined));
            }
        }
    }

    pub(crate) fn entry_body(
        &self,
        account: &AccountRow,
        row: &EntryRow,
        cause: &Cause,
    ) -> Result<EntryBody, Problem> {
        self.ask(|index| body(index, account, row, cause))
    }
}

fn chunk(
    index: &LedgerIndex,
    account: &AccountRow,
    wanted: &Wanted,
    at: Option<Place>,
    cut: Cut,
    count: usize,
) -> Result<Page<EntryRow, Place>, Problem> {
    let page = if wanted.is_latest_first {
        index.latest_entries(account.number, at, cut, count)
    } else {
        index.entries(account.number, at, cut, count)
    };
    page.map_err(|error| problem::internal(&error))
}

fn body(
    index: &LedgerIndex,
    account: &AccountRow,
    row: &EntryRow,
    cause: &Cause,
) -> Result<EntryBody, Problem> {
    let recorded = cause.transfer()?.recorded;
    let (debit, credit) = index.parties(&recorded)?;
    let counterparty = match row.side {
        EntrySide::Debit => credit,
        EntrySide::Credit => debit,
    };
    let scale = account.asset.scale;
    let amount = |minor_units| amount_text(Amount::from_minor_units(minor_units), scale);
    let some = |minor_units| (minor_units > 0).then(|| amount(minor_units));
    Ok(EntryBody {
        number: row.version.to_string(),
        transfer_id: recorded.transfer.id.to_string(),
        kind: row.kind.name(),
        side: side(row.side),
        amount: amount(row.posted),
        reserved: some(row.reserved),
        released: some(row.released),
        balance: row.totals.posted(account.normal_side).display(scale).to_string(),
        available: row.totals.available(account.normal_side).display(scale).to_string(),
        counterparty: counterparty.path.to_string(),
        code: recorded.transfer.code,
        effective_at: cause.effective_at.to_string(),
        recorded_at: cause.recorded_at.to_string(),
        position: position_text(row.place.position),
    })
}
