//! Posting sets: to create, post, void and reverse them.

mod batch;
mod request;
mod resolve;
mod submit;

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use lombard_chassis::{Context, Json, Problem, Query};
use lombard_ledger_api::{Answer, SetBody, TransferBody, TransferParts};
use lombard_ledger_core::{AccountRef, Outcome, TransferRefusal, TransferRejection};
use lombard_types::{AccountId, AccountPath};
use serde::Deserialize;

use super::{
    Api,
    authority::Caller,
    evidence,
    idempotency::{Held, IdempotencyKey},
    unexpected_reply,
};
use crate::problem;

pub(super) use batch::create_batch;
pub(crate) use request::{
    Asked, Balancing, ConditionBody, ConditionSide, ImportedRow, NewLeg, NewSet, PendingBody,
    UserDataBody,
};
pub(crate) use resolve::{About, Action, permitted};
pub(super) use resolve::{post_pending, reverse, void_pending};
pub(crate) use submit::{Ended, Stored, outcome, outcome_of};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trying {
    #[serde(default)]
    dry_run: bool,
}

/// Creates a posting set. 201 with it, or 422 where it is refused; a retry gets the same answer again, marked
/// `Idempotency-Replayed: true`. With `?dry_run=true` everything is checked and answered the same, with 200, and nothing
/// recorded.
///
/// The id is the body's, or else made from the client and its `Idempotency-Key`. Needs `ledger:write` for each debit
/// account: it takes a right to take money away, and none to give it.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    key: IdempotencyKey,
    Query(trying): Query<Trying>,
    Json(body): Json<NewSet>,
) -> Result<Response, Problem> {
    caller.write_anything()?;
    let (id, held) = api.in_progress.id_of(body.chosen_id()?, &key, &caller)?;
    let asked = body.ask(&api, &caller, id).await?;
    let request = Request { caller: &caller, context, key, held };
    request.carry_out(&api, asked, trying.dry_run).await
}

/// What all requests for one posting set have in common.
struct Request<'a> {
    caller: &'a Caller,
    context: Context,
    key: IdempotencyKey,
    /// Where the set's id is made of the key.
    held: Option<Held>,
}

impl Request<'_> {
    async fn carry_out(
        self,
        api: &Api,
        asked: Asked,
        is_dry_run: bool,
    ) -> Result<Response, Problem> {
        let Self { caller, context, key, held } = self;
        let is_one = asked.transfers.len() == 1;
        let evidence = evidence::of(caller, context, Some(key));
        match api.submit_set(asked, evidence, is_dry_run).await? {
            Ended::Stored(stored) => answer(api, caller, &stored).await,
            Ended::Rejected { transfer, rejection, position } => {
                let problem = rejected(transfer, rejection, is_one);
                if held.is_some() && problem.kind() == &problem::TRANSFER_EXISTS {
                    let reused = Problem::new(&problem::IDEMPOTENCY_KEY_REUSED)
                        .detail("this Idempotency-Key was used for another transfer; a retry must repeat it unchanged")
                        .with("result", rejection.name());
                    return Err(problem::with_position(reused, position));
                }
                Err(problem::with_position(problem, position))
            }
        }
    }
}

/// A set that left no trace; of several transfers, which is wrong.
pub(crate) fn rejected(transfer: u16, rejection: TransferRejection, is_one: bool) -> Problem {
    let problem = problem::from_transfer_rejection(rejection);
    if is_one { problem } else { problem.with("transfer", transfer) }
}

/// The answer to a set that spent its id, now or before.
async fn answer(api: &Api, caller: &Caller, stored: &Stored) -> Result<Response, Problem> {
    match outcome(stored.set()?) {
        Outcome::Refused(refusal) => refused(api, caller, stored, refusal).await,
        Outcome::Created => {
            let body = api.set_body(stored)?;
            if stored.is_dry_run {
                return Ok(Answer::ok(Some(stored.position), body).into_response());
            }
            let location = format!("/v1/ledger/transfers/{}", stored.id);
            let created = Answer::created(stored.position, location, body);
            Ok(created.replayed(stored.is_replay).into_response())
        }
    }
}

async fn refused(
    api: &Api,
    caller: &Caller,
    stored: &Stored,
    refusal: TransferRefusal,
) -> Result<Response, Problem> {
    let mut problem = refusal_problem(api, caller, stored, refusal).await?;
    if !stored.is_dry_run {
        problem = problem::with_position(problem, Some(stored.recorded.position));
    }
    let mut response = problem.into_response();
    lombard_ledger_api::set_headers(&mut response, Some(stored.position), stored.is_replay);
    Ok(response)
}

pub(crate) async fn refusal_problem(
    api: &Api,
    caller: &Caller,
    stored: &Stored,
    refusal: TransferRefusal,
) -> Result<Problem, Problem> {
    let set = stored.set()?;
    let at = set.recorded.iter().position(|one| one.outcome == Outcome::Refused(refusal));
    let number = at.unwrap_or_default();
    let mut problem = problem::from_refusal(refusal)
        .with("transfer_id", stored.id.to_string())
        .with("replayed", stored.is_replay);
    if set.recorded.len() > 1 {
        problem = problem.with("transfer", number);
    }
    let transfer = set.recorded.get(number).map(|recorded| recorded.transfer);
    let short = match (refusal, transfer) {
        (TransferRefusal::ExceedsCredits, Some(transfer)) => Some(transfer.debit_account),
        (TransferRefusal::ExceedsDebits, Some(transfer)) => Some(transfer.credit_account),
        _ => None,
    };
    if let Some((path, available)) = available(api, short).await
        && caller.may_read(&path)
    {
        problem = problem.with("account", path.to_string()).with("available", available);
    }
    Ok(problem)
}

/// What can be spent of an account by now. Nothing where the writer is too busy to say.
async fn available(api: &Api, account: Option<AccountId>) -> Option<(AccountPath, String)> {
    let name = AccountRef::Id(account?);
    let asked = api.writer.query(move |machine| {
        let book = machine.book();
        let account = book.account(&name)?;
        let available = account.totals.available(account.normal_side);
        let scale = book.asset_of(account).scale;
        Some((account.path.clone(), available.display(scale).to_string()))
    });
    asked.await.ok()?.0
}

impl Api {
    /// A set as JSON. Its accounts are older than it is, so that the directory knows them.
    pub(super) fn set_body(&self, stored: &Stored) -> Result<SetBody, Problem> {
        let set = stored.set()?;
        let body = |recorded: &lombard_ledger_core::RecordedTransfer| {
            let debit = self.named(&AccountRef::Id(recorded.transfer.debit_account))?;
            let credit = self.named(&AccountRef::Id(recorded.transfer.credit_account))?;
            Some(TransferBody::from(TransferParts {
                transfer: &recorded.transfer,
                outcome: recorded.outcome,
                pending: None,
                debit_path: &debit.path,
                credit_path: &credit.path,
                asset: &debit.asset,
                recorded: stored.recorded,
                note: set.note,
            }))
        };
        let set = match set.recorded {
            [one] => body(one).map(|one| SetBody::One(Box::new(one))),
            all => all.iter().map(body).collect::<Option<_>>().and_then(SetBody::of),
        };
        set.ok_or_else(unexpected_reply)
    }
}
