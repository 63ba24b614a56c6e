//! `/v1/ledger/transfers`.

use axum::{extract::State, response::Response};
use lombard_chassis::{Path, Problem, Query};
use lombard_ledger_api::{PageBody, SetBody, TransferBody, parameter};
use lombard_ledger_core::{ExternalId, Outcome};
use lombard_types::TransferId;
use serde::{Deserialize, Serialize};

use super::{Api, Reader, answer};
use crate::{Cut, DecodedRecord, LedgerIndex, Place, TransferInRecord, problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    at_least: Option<String>,
    as_of: Option<String>,
}

/// The posting set with an id. Linearizable unless `as_of` is said: a transfer that was answered to anybody is found.
/// Needs `ledger:read` for one of its accounts.
pub(super) async fn by_id(
    reader: Reader,
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let id: TransferId = id.parse().map_err(problem::invalid_path)?;
    let cut = api.newest_cut(asked.at_least.as_deref(), asked.as_of.as_deref()).await?;
    let Some((first, record)) = api.set(id, cut).await? else {
        reader.whole_book()?;
        return Err(Problem::new(&problem::TRANSFER_NOT_FOUND));
    };
    let bodies = set_bodies(&api, &reader, cut, first, &record)?;
    let body = SetBody::of(bodies).ok_or_else(|| Problem::new(&problem::TRANSFER_NOT_FOUND))?;
    Ok(answer(cut, body))
}

/// All transfers of a set of which the caller may read one.
fn set_bodies(
    api: &Api,
    reader: &Reader,
    cut: Cut,
    first: Place,
    record: &DecodedRecord,
) -> Result<Vec<TransferBody>, Problem> {
    let transfers = record.set(first);
    api.ask(|index| {
        let readable = transfers.iter().map(|one| reader.transfer(index, &one.recorded));
        // The first refusal, where none is readable.
        readable.reduce(Result::or).unwrap_or(Ok(()))?;
        transfers.iter().map(|one| index.transfer_body(one, record.time, cut)).collect()
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    before: Option<String>,
    limit: Option<String>,
    at_least: Option<String>,
    as_of: Option<String>,
    external_id: Option<String>,
    code: Option<String>,
    refused: Option<String>,
}

/// A page, and what it cost.
#[derive(Debug, Serialize)]
struct ExaminedPage {
    #[serde(flatten)]
    page: PageBody<TransferBody>,
    /// How many records and transfers were looked at for it.
    examined: usize,
}

/// All transfers, latest first, refused ones included; or those of a code, or only refused or only other ones. Looks at no
/// more than the configuration allows, so a page can be short and have a next one. Needs `ledger:read` without a path.
pub(super) async fn list(
    reader: Reader,
    State(api): State<Api>,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    if let Some(external_id) = &listing.external_id {
        return by_external_id(&api, &reader, &listing, external_id).await;
    }
    reader.whole_book()?;
    let limit = api.limit(listing.limit.as_deref())?;
    let wanted = Wanted {
        before: parameter("before", listing.before.as_deref())?,
        code: parameter("code", listing.code.as_deref())?,
        is_refused: parameter("refused", listing.refused.as_deref())?,
    };
    let cut = api.cut(listing.at_least.as_deref(), listing.as_of.as_deref()).await?;
    let body = api.latest(&wanted, cut, limit).await?;
    Ok(answer(cut, body))
}

/// The transfers of the set with an external id; none where there is none. Linearizable unless `as_of` is said.
async fn by_external_id(
    api: &Api,
    reader: &Reader,
    listing: &Listing,
    external_id: &str,
) -> Result<Response, Problem> {
    let external_id = ExternalId::new(external_id)
        .map_err(|error| problem::invalid_parameter("external_id", error))?;
    let cut = api.newest_cut(listing.at_least.as_deref(), listing.as_of.as_deref()).await?;
    let place =
        api.ask(|index| index.external(&external_id).map_err(|error| problem::internal(&error)))?;
    let mut items = Vec::new();
    if let Some(first) = place.filter(|first| first.position < cut.end) {
        let record = api.record(first.position).await?;
        let found = record.transfer(first).and_then(|transfer| transfer.note);
        // What is found by its hash is compared.
        if found.and_then(|note| note.external_id.as_ref()) == Some(&external_id) {
            items = set_bodies(api, reader, cut, first, &record)?;
        }
    }
    if items.is_empty() {
        reader.whole_book()?;
    }
    Ok(answer(cut, PageBody { items, next: None }))
}

/// Which transfers a list is of.
struct Wanted {
    before: Option<Place>,
    code: Option<u16>,
    is_refused: Option<bool>,
}

impl Wanted {
    fn takes(&self, transfer: &TransferInRecord<'_>) -> bool {
        let is_refused = transfer.recorded.outcome != Outcome::Created;
        self.before.is_none_or(|before| transfer.place < before)
            && self.code.is_none_or(|code| transfer.recorded.transfer.code == code)
            && self.is_refused.is_none_or(|wanted| wanted == is_refused)
    }
}

impl Api {
    /// Reads the log backwards from the cut, or from where the page before ended.
    async fn latest(
        &self,
        wanted: &Wanted,
        cut: Cut,
        limit: usize,
    ) -> Result<ExaminedPage, Problem> {
        let mut page = Latest { items: Vec::new(), last: None, examined: 0, limit };
        let end = wanted.before.map(|before| match before.ordinal {
            0 => before.position,
            // Its record's earlier transfers come next.
            _ => before.position.next(),
        });
        let mut end = end.unwrap_or(cut.end).min(cut.end);
        let next = loop {
            let Some(position) = end.previous() else { break None };
            if page.examined >= self.config.examined_max {
                break Some(Place::first_of(end));
            }
            let record = self.record(position).await?;
            let is_over = self.ask(|index| page.take(index, wanted, cut, &record))?;
            if is_over {
                break page.last;
            }
            end = position;
        };
        let next = next.map(|place| place.to_string());
        Ok(ExaminedPage { page: PageBody { items: page.items, next }, examined: page.examined })
    }
}

/// A page that is being made, latest transfer first.
struct Latest {
    items: Vec<TransferBody>,
    /// Where the last item stands.
    last: Option<Place>,
    examined: usize,
    limit: usize,
}

impl Latest {
    /// Takes what is wanted of a record. Answers whether something of it found no room.
    fn take(
        &mut self,
        index: &LedgerIndex,
        wanted: &Wanted,
        cut: Cut,
        record: &DecodedRecord,
    ) -> Result<bool, Problem> {
        self.examined += 1;
        for transfer in record.transfers().rev() {
            self.examined += 1;
            if !wanted.takes(&transfer) {
                continue;
            }
            if self.items.len() == self.limit {
                return Ok(true);
            }
            self.items.push(index.transfer_body(&transfer, record.time, cut)?);
            self.last = Some(transfer.place);
        }
        Ok(false)
    }
}
