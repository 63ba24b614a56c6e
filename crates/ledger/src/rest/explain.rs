//! `/v1/ledger/explain/...`: from a balance back to the HTTP request that made it so.

use axum::extract::State;
use lombard_chassis::{Path, Problem, Query};
use lombard_ledger_core::{Evidence, Outcome};
use lombard_types::TransferId;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Api,
    answer::Answer,
    authority::Caller,
    body::{amount_text, position_text},
    paging::Reading,
    sets::TransferBody,
    transfers,
};
use crate::{
    problem,
    query::{AccountRow, Side, TransferRow},
};

/// The chain, from the effect to its cause.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    /// What it did to each account that the caller may read; nothing where it was refused.
    entries: Vec<EntryLink>,
    transfer: TransferBody,
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

/// Explains a transfer. Needs `ledger:read` for one of its accounts.
pub(super) async fn transfer(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Query(reading): Query<Reading>,
) -> Result<Answer<Explanation>, Problem> {
    caller.read_anything()?;
    let id: TransferId = id.parse().map_err(problem::invalid_path)?;
    api.reach(reading.at_least()?).await?;
    let (found, position) = api.read(|view| {
        let row = transfers::readable(&caller, view.transfer(id))?;
        Ok(explain(&caller, &row))
    });
    Ok(Answer::ok(position, found?))
}

fn explain(caller: &Caller, row: &TransferRow<'_>) -> Explanation {
    let Evidence {
        command_id,
        client_id,
        subject,
        token_id,
        request_id,
        traceparent,
        idempotency_key,
    } = &row.evidence;
    let accounts = [(Side::Debit, row.debit_account), (Side::Credit, row.credit_account)];
    let entries = accounts
        .into_iter()
        .filter(|(_, account)| caller.may_read(&account.path))
        .filter_map(|(side, account)| entry(row, side, account))
        .collect();
    Explanation {
        entries,
        transfer: TransferBody::from(row),
        event: EventLink {
            kind: match row.outcome {
                Outcome::Created => "transfer_created",
                Outcome::Refused(_) => "transfer_refused",
            },
            position: position_text(row.recorded.position),
            recorded_at: row.recorded.time.to_string(),
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

fn entry(row: &TransferRow<'_>, side: Side, account: &AccountRow) -> Option<EntryLink> {
    let entry = account.entry_of(row.number)?;
    Some(EntryLink {
        account: account.path.to_string(),
        account_id: account.id.to_string(),
        side: side.name(),
        number: entry.number.0.to_string(),
        amount: amount_text(row.transfer.amount, account.asset.scale),
        balance_after: entry.balance.display(account.asset.scale).to_string(),
    })
}
