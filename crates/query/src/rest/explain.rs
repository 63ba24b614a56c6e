//! `/v1/ledger/explain/...`: from a balance back to the HTTP requests that made it so.

use axum::{extract::State, response::Response};
use lombard_chassis::{Path, Problem, Query};
use lombard_ledger_api::{AccountBody, TransferBody, amount_text, parameter, position_text};
use lombard_ledger_core::{EntrySide, Evidence, Outcome};
use lombard_types::{AccountId, Amount, Timestamp, TransferId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Api, Reader, accounts, answer, entries::EntryBody, side};
use crate::{AccountRow, Cut, DecodedRecord, LedgerIndex, Place, TransferInRecord, problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    at_least: Option<String>,
    as_of: Option<String>,
}

/// The chain, from the effect to its cause.
#[derive(Debug, Serialize)]
struct Explanation {
    /// What it did to each account that the caller may read; nothing where it was refused.
    entries: Vec<EntryLink>,
    transfer: TransferBody,
    #[serde(flatten)]
    cause: CauseLinks,
}

/// From a transfer to the request.
#[derive(Debug, Serialize)]
struct CauseLinks {
    event: EventLink,
    command: CommandLink,
    actor: ActorLink,
    request: RequestLink,
}

#[derive(Debug, Serialize)]
struct EntryLink {
    account: String,
    account_id: String,
    side: &'static str,
    number: String,
    amount: String,
    balance_after: String,
}

#[derive(Debug, Serialize)]
struct EventLink {
    kind: &'static str,
    position: String,
    recorded_at: String,
}

#[derive(Debug, Serialize)]
struct CommandLink {
    id: String,
    idempotency_key: Option<String>,
}

#[derive(Debug, Serialize)]
struct ActorLink {
    client_id: String,
    subject: String,
    token_id: String,
}

#[derive(Debug, Serialize)]
struct RequestLink {
    id: String,
    traceparent: Option<String>,
}

/// Explains a transfer. Linearizable unless `as_of` is said. Needs `ledger:read` for one of its accounts.
pub(super) async fn transfer(
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
    let transfers = record.set(first);
    let body = api.ask(|index| {
        let readable = transfers.iter().map(|one| reader.transfer(index, &one.recorded));
        readable.reduce(Result::or).unwrap_or(Ok(()))?;
        let Some(first) = transfers.first() else {
            return Err(Problem::new(&problem::TRANSFER_NOT_FOUND));
        };
        explain(index, &reader, &transfers, first, &record, cut)
    })?;
    Ok(answer(cut, body))
}

fn explain(
    index: &LedgerIndex,
    reader: &Reader,
    set: &[TransferInRecord<'_>],
    first: &TransferInRecord<'_>,
    record: &DecodedRecord,
    cut: Cut,
) -> Result<Explanation, Problem> {
    let mut entries = Vec::new();
    for one in set {
        let (debit, credit) = index.parties(&one.recorded)?;
        for (of, account) in [(EntrySide::Debit, debit), (EntrySide::Credit, credit)] {
            if reader.may_read(&account.path) {
                entries.extend(entry(index, one.place, of, account)?);
            }
        }
    }
    Ok(Explanation {
        entries,
        transfer: index.transfer_body(first, record.time, cut)?,
        cause: CauseLinks::of(first, record.time),
    })
}

/// What a transfer did to an account; nothing where it was refused.
fn entry(
    index: &LedgerIndex,
    place: Place,
    of: EntrySide,
    account: &AccountRow,
) -> Result<Option<EntryLink>, Problem> {
    let row = index.entry_at(account.number, place).map_err(|error| problem::internal(&error))?;
    let Some(row) = row else { return Ok(None) };
    let scale = account.asset.scale;
    Ok(Some(EntryLink {
        account: account.path.to_string(),
        account_id: account.id.to_string(),
        side: side(of),
        number: row.version.to_string(),
        amount: amount_text(Amount::from_minor_units(row.posted), scale),
        balance_after: row.totals.posted(account.normal_side).display(scale).to_string(),
    }))
}

impl CauseLinks {
    fn of(transfer: &TransferInRecord<'_>, recorded_at: Timestamp) -> Self {
        let Evidence {
            command_id,
            client_id,
            subject,
            token_id,
            request_id,
            traceparent,
            idempotency_key,
        } = transfer.evidence;
        Self {
            event: EventLink {
                kind: match transfer.recorded.outcome {
                    Outcome::Created => "transfer_created",
                    Outcome::Refused(_) => "transfer_refused",
                },
                position: position_text(transfer.place.position),
                recorded_at: recorded_at.to_string(),
            },
            command: CommandLink {
                id: Uuid::from_u128(*command_id).to_string(),
                idempotency_key: idempotency_key.as_deref().map(str::to_owned),
            },
            actor: ActorLink {
                client_id: client_id.to_string(),
                subject: subject.to_string(),
                token_id: token_id.to_string(),
            },
            request: RequestLink {
                id: request_id.to_string(),
                traceparent: traceparent.as_deref().map(str::to_owned),
            },
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Explaining {
    at_least: Option<String>,
    as_of: Option<String>,
    before: Option<String>,
    limit: Option<String>,
}

/// A balance, and what it is made of.
#[derive(Debug, Serialize)]
struct BalanceExplanation {
    account: AccountBody,
    /// Latest first.
    entries: Vec<ExplainedEntry>,
    /// What to ask with for earlier ones; null where there are none.
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct ExplainedEntry {
    #[serde(flatten)]
    entry: EntryBody,
    #[serde(flatten)]
    cause: CauseLinks,
}

/// Explains an account's balance: its entries, latest first, each with what caused it. Needs `ledger:read` for its path.
pub(super) async fn balance(
    reader: Reader,
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(asked): Query<Explaining>,
) -> Result<Response, Problem> {
    let id: AccountId = id.parse().map_err(problem::invalid_path)?;
    let limit = api.limit(asked.limit.as_deref())?;
    let before: Option<Place> = parameter("before", asked.before.as_deref())?;
    let cut = api.cut(asked.at_least.as_deref(), asked.as_of.as_deref()).await?;
    let account = api.account(&reader, id, cut)?;
    let (body, page) = api.ask(|index| {
        let body = accounts::body(index, index.account_by_number(account.number), cut)?;
        let page = index.latest_entries(account.number, before, cut, limit);
        Ok((body, page.map_err(|error| problem::internal(&error))?))
    })?;
    let mut entries = Vec::with_capacity(page.items.len());
    for row in &page.items {
        let cause = api.cause(row).await?;
        let entry = api.entry_body(&account, row, &cause)?;
        let cause = CauseLinks::of(&cause.transfer()?, cause.record.time);
        entries.push(ExplainedEntry { entry, cause });
    }
    let next = page.next.map(|place| place.to_string());
    Ok(answer(cut, BalanceExplanation { account: body, entries, next }))
}
