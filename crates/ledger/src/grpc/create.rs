//! `Create`.

use std::sync::Arc;

use lombard_chassis::Problem;
use lombard_grpc::Call;
use lombard_ledger_core::Outcome;
use lombard_proto::ledger::v1::{
    Account, Condition, CreateRequest, CreateResponse, NewTransfer, Pending, Side, UserData,
    account::Name, condition::Check,
};
use lombard_types::{AccountId, Timestamp};
use serde_json::value::RawValue;

use super::packed;
use crate::{
    problem,
    rest::{
        Api,
        authority::Caller,
        body::{AccountName, ById, Decimal},
        evidence,
        sets::{
            self, Asked, Balancing, ConditionBody, ConditionSide, Ended, NewLeg, NewSet,
            PendingBody, UserDataBody,
        },
    },
};

/// Needs what creating a set over HTTP needs.
pub(super) async fn create(
    api: Arc<Api>,
    call: Call,
    request: CreateRequest,
) -> Result<CreateResponse, Problem> {
    let caller = super::caller(&call)?;
    caller.write_anything()?;
    let is_dry_run = request.dry_run;
    let id = packed::transfer_id("id", &request.id)?;
    let set = set(request)?;
    let asked = set.ask(&api, &caller, id).await?;
    carry_out(&api, &caller, call, asked, is_dry_run).await
}

/// Has the writer decide a set, whatever it does. A set that is refused is an error.
pub(super) async fn carry_out(
    api: &Api,
    caller: &Caller,
    call: Call,
    asked: Asked,
    is_dry_run: bool,
) -> Result<CreateResponse, Problem> {
    let is_one = asked.transfers.len() == 1;
    let evidence = evidence::of(caller, call.context, None);
    let stored = match api.submit_set(asked, evidence, is_dry_run).await? {
        Ended::Stored(stored) => stored,
        Ended::Rejected { transfer, rejection, position } => {
            let problem = sets::rejected(transfer, rejection, is_one);
            return Err(problem::with_position(problem, position));
        }
    };
    let set = stored.set()?;
    if let Outcome::Refused(refusal) = sets::outcome(set) {
        return Err(sets::refusal_problem(api, caller, &stored, refusal).await?);
    }
    Ok(CreateResponse {
        transfers: packed::recorded(set.recorded),
        position: stored.recorded.position.get(),
        recorded_at: stored.recorded.time.unix_nanos(),
        is_replayed: stored.is_replay,
    })
}

/// The set as it would have been read from JSON.
fn set(request: CreateRequest) -> Result<NewSet, Problem> {
    let effective_at = request.effective_at.map(Timestamp::from_unix_nanos);
    Ok(NewSet {
        id: None,
        transfers: Some(request.transfers.into_iter().map(leg).collect::<Result<_, _>>()?),
        debit_account: None,
        credit_account: None,
        asset: None,
        amount: None,
        user_data: None,
        balancing: None,
        conditions: Vec::new(),
        code: 0,
        effective_at: effective_at.map(|time| time.to_string()),
        pending: request.pending.map(pending),
        imported: request.imported,
        override_lock: request.override_lock,
        external_id: request.external_id,
        metadata: json(request.metadata)?,
    })
}

/// The text of a JSON object.
pub(super) fn json(metadata: Option<String>) -> Result<Option<Box<RawValue>>, Problem> {
    let metadata = metadata.map(RawValue::from_string).transpose();
    metadata.map_err(|error| problem::invalid_field("metadata", error))
}

/// A code of the caller's numbering.
pub(super) fn code(number: u32) -> Result<u16, Problem> {
    u16::try_from(number).map_err(|error| problem::invalid_field("code", error))
}

fn leg(transfer: NewTransfer) -> Result<NewLeg, Problem> {
    let NewTransfer { debit_account, credit_account, asset, amount, code, user_data, .. } =
        transfer;
    Ok(NewLeg {
        debit_account: account("debit_account", debit_account)?,
        credit_account: account("credit_account", credit_account)?,
        asset,
        amount: Decimal::Text(amount),
        code: Some(self::code(code)?),
        user_data: user_data.map(user_data_body).transpose()?,
        balancing: match (transfer.balancing_debit, transfer.balancing_credit) {
            (false, false) => None,
            (true, false) => Some(Balancing::Debit),
            (false, true) => Some(Balancing::Credit),
            (true, true) => Some(Balancing::Both),
        },
        conditions: transfer.conditions.into_iter().map(condition).collect::<Result<_, _>>()?,
    })
}

/// An account by its path or its id.
pub(super) fn account(
    field: &'static str,
    account: Option<Account>,
) -> Result<AccountName, Problem> {
    match account.and_then(|account| account.name) {
        Some(Name::Path(path)) => Ok(AccountName::Path(path)),
        Some(Name::Id(bytes)) => {
            let id = AccountId::from_u128(packed::uuid(field, &bytes)?);
            let id = id.map_err(|error| problem::invalid_field(field, error))?.to_string();
            Ok(AccountName::Id(ById { id }))
        }
        None => Err(problem::invalid_field(field, "is missing")),
    }
}

fn user_data_body(data: UserData) -> Result<UserDataBody, Problem> {
    let data_128 = data.data_128.map(|bytes| packed::uuid("data_128", &bytes)).transpose()?;
    Ok(UserDataBody {
        data_128: data_128.map(|number| number.to_string()),
        data_64: Some(data.data_64.to_string()),
        data_32: Some(data.data_32),
    })
}

fn pending(pending: Pending) -> PendingBody {
    let Pending { timeout_seconds, allowance, scheduled } = pending;
    PendingBody { timeout_seconds, allowance: allowance.map(Decimal::Text), scheduled }
}

fn condition(condition: Condition) -> Result<ConditionBody, Problem> {
    let account = match Side::try_from(condition.account) {
        Ok(Side::Debit) => ConditionSide::Debit,
        Ok(Side::Credit) => ConditionSide::Credit,
        Err(_) => return Err(problem::invalid_field("conditions", "the side is not known")),
    };
    let mut body = ConditionBody {
        account,
        available_at_least: None,
        available_at_most: None,
        posted_at_least: None,
        posted_at_most: None,
        version: None,
    };
    match condition.check {
        Some(Check::AvailableAtLeast(text)) => body.available_at_least = Some(Decimal::Text(text)),
        Some(Check::AvailableAtMost(text)) => body.available_at_most = Some(Decimal::Text(text)),
        Some(Check::PostedAtLeast(text)) => body.posted_at_least = Some(Decimal::Text(text)),
        Some(Check::PostedAtMost(text)) => body.posted_at_most = Some(Decimal::Text(text)),
        Some(Check::Version(version)) => body.version = Some(version.to_string()),
        // Refused further on, where each condition must say one thing.
        None => {}
    }
    Ok(body)
}
