//! `/v1/ledger/transfers`.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use lombard_chassis::{Context, Json, Path, Problem, Query};
use lombard_engine::{Committed, SubmitError};
use lombard_ledger_core::{
    AccountRef, Asset, Command, CreateTransfer, Outcome, Recorded, Reply, TransferRefusal,
    TransferReply, UserData,
};
use lombard_types::{Amount, Position, TransferId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Api,
    answer::{self, Answer},
    authority::Caller,
    body::{AccountName, Decimal, TransferBody, TransferParts},
    evidence,
    idempotency::IdempotencyKey,
    metadata,
    paging::{self, PageBody, Reading},
};
use crate::{
    problem,
    query::{TransferNumber, TransferRow},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTransfer {
    id: Option<String>,
    debit_account: AccountName,
    credit_account: AccountName,
    asset: String,
    amount: Decimal,
    #[serde(default)]
    code: u16,
    effective_at: Option<String>,
    metadata: Option<Box<RawValue>>,
}

/// Moves money. 201 with the transfer, or 422 where it is refused; a retry gets the same answer again, marked
/// `Idempotency-Replayed: true`.
///
/// The id is the body's, or else made from the client and its `Idempotency-Key`. Needs `ledger:write` for the debit
/// account: it takes a right to take money away, and none to give it.
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    context: Context,
    key: IdempotencyKey,
    Json(body): Json<NewTransfer>,
) -> Result<Response, Problem> {
    caller.write_anything()?;
    let debit_account = body.debit_account.parse("debit_account")?;
    authorize(&api, &caller, &debit_account).await?;
    let credit_account = body.credit_account.parse("credit_account")?;
    let code = body.asset.parse().map_err(|error| problem::invalid_field("asset", error))?;
    let asset = Asset { scale: api.scale_of(&code).await?, code };
    let amount = Amount::parse(body.amount.text("amount")?, asset.scale)
        .map_err(|error| problem::from_parse_amount_error("amount", error))?;
    let effective_at = body.effective_at.as_deref().map(str::parse).transpose();
    let chosen_id: Option<TransferId> = body
        .id
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error| problem::invalid_field("id", error))?;
    let metadata = metadata::parse(body.metadata.as_deref(), api.config.metadata_bytes_max)?;
    let raw_metadata = metadata::raw(&metadata);
    let command = CreateTransfer {
        id: chosen_id.unwrap_or_else(|| key.transfer_id(caller.client_id())),
        debit_account,
        credit_account,
        asset: asset.code.clone(),
        amount,
        user_data: UserData::default(),
        code: body.code,
        effective_at: effective_at
            .map_err(|error| problem::invalid_field("effective_at", error))?,
        metadata,
        evidence: evidence::of(&caller, context, Some(key)),
    };
    match api.writer.submit(Command::CreateTransfer(command)).await {
        Ok(Committed { position, reply: Reply::Transfer(reply), .. }) => {
            let is_replay = reply.first_position.is_some();
            api.metrics.transfer(reply.outcome, is_replay);
            Ok(match reply.outcome {
                Outcome::Posted => posted(&reply, &asset, position, raw_metadata).into_response(),
                Outcome::Refused(refusal) => {
                    refused(&api, &caller, &reply, refusal, position).await
                }
            })
        }
        Ok(_) => Err(super::unexpected_reply()),
        Err(error) => Err(failed(&api, error, chosen_id.is_none())),
    }
}

/// The caller must have the right to debit the account. Who may write only some accounts is not told whether another
/// one exists.
async fn authorize(api: &Api, caller: &Caller, debit_account: &AccountRef) -> Result<(), Problem> {
    if caller.may_write_book() {
        return Ok(());
    }
    match api.path_of(debit_account).await? {
        Some(path) => caller.write(&path),
        None => caller.write_book(),
    }
}

fn posted(
    reply: &TransferReply,
    asset: &Asset,
    position: Position,
    metadata: Option<Box<RawValue>>,
) -> Answer<TransferBody> {
    let recorded =
        Recorded { position: reply.first_position.unwrap_or(position), time: reply.recorded_at };
    let body = TransferBody::from(TransferParts {
        transfer: &reply.transfer,
        outcome: reply.outcome,
        debit_path: &reply.debit_path,
        credit_path: &reply.credit_path,
        asset,
        recorded,
        metadata,
    });
    let location = format!("/v1/ledger/transfers/{}", reply.transfer.id);
    Answer::created(position, location, body).replayed(reply.first_position.is_some())
}

async fn refused(
    api: &Api,
    caller: &Caller,
    reply: &TransferReply,
    refusal: TransferRefusal,
    position: Position,
) -> Response {
    let is_replay = reply.first_position.is_some();
    let recorded = reply.first_position.unwrap_or(position);
    let mut problem = problem::with_position(problem::from_refusal(refusal), Some(recorded))
        .with("transfer_id", reply.transfer.id.to_string())
        .with("replayed", is_replay);
    let short = match refusal {
        TransferRefusal::ExceedsCredits => Some(&reply.debit_path),
        TransferRefusal::ExceedsDebits => Some(&reply.credit_path),
        _ => None,
    };
    if let Some(path) = short.filter(|path| caller.may_read(path))
        && api.reach(Some(position)).await.is_ok()
    {
        let name = AccountRef::Path(path.clone());
        let available = api.view.read(|view| {
            let account = view.account(&name)?;
            let available = account.totals.available(account.normal_side);
            Some(available.display(account.asset.scale).to_string())
        });
        if let Some(available) = available {
            problem = problem.with("account", path.as_str()).with("available", available);
        }
    }
    let mut response = problem.into_response();
    answer::set_headers(&mut response, Some(position), is_replay);
    response
}

/// A rejection in words of the request: where the id came from the key, it is the key that was used before.
fn failed(
    api: &Api,
    error: SubmitError<lombard_ledger_core::Rejection>,
    is_id_from_key: bool,
) -> Problem {
    let SubmitError::Rejected { rejection, position } = &error else {
        api.metrics.transfer_failed();
        return problem::from_submit_error(error);
    };
    api.metrics.transfer_rejected(*rejection);
    let (name, position) = (rejection.name(), *position);
    let problem = problem::from_submit_error(error);
    if is_id_from_key && problem.kind() == &problem::TRANSFER_EXISTS {
        let reused = Problem::new(&problem::IDEMPOTENCY_KEY_REUSED)
            .detail("this Idempotency-Key was used for another transfer; a retry must repeat it unchanged")
            .with("result", name);
        return problem::with_position(reused, position);
    }
    problem
}

/// The transfer with an id. Linearizable: a transfer that was answered to anybody is found. Needs `ledger:read` for
/// one of its accounts.
pub(super) async fn by_id(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Query(reading): Query<Reading>,
) -> Result<Answer<TransferBody>, Problem> {
    caller.read_anything()?;
    let id: TransferId = id.parse().map_err(problem::invalid_path)?;
    api.reach(reading.at_least()?).await?;
    api.reach_writer().await?;
    let (found, position) = api.read(|view| {
        let row = readable(&caller, view.transfer(id))?;
        Ok(TransferBody::from(&row))
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
}

/// All transfers, latest first, refused ones included. Needs `ledger:read` without a path.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Answer<PageBody<TransferBody>>, Problem> {
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

impl From<&TransferRow<'_>> for TransferBody {
    fn from(row: &TransferRow<'_>) -> Self {
        Self::from(TransferParts {
            transfer: &row.transfer,
            outcome: row.outcome,
            debit_path: &row.debit_account.path,
            credit_path: &row.credit_account.path,
            asset: &row.debit_account.asset,
            recorded: row.recorded,
            metadata: metadata::raw(&row.metadata),
        })
    }
}
