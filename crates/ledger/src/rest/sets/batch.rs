//! Many posting sets in one request.

use std::sync::Arc;

use axum::extract::State;
use lombard_chassis::{Context, Json, Problem, Query};
use lombard_ledger_api::{Answer, SetBody};
use lombard_ledger_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    super::{Api, authority::Caller, evidence, idempotency::IdempotencyKey, unexpected_reply},
    Ended, NewSet, Trying, outcome, refusal_problem, rejected,
};
use crate::problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBatch {
    sets: Vec<NewSet>,
}

#[derive(Debug, Serialize)]
pub(crate) struct BatchBody {
    /// One for each set, in order.
    results: Vec<ResultBody>,
}

/// Either of the two.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum ResultBody {
    Transfer(SetBody),
    Problem(Box<RawValue>),
}

/// Creates many posting sets, each of which happens or not by itself, in order; they are recorded together. 200 with a
/// result for each. A set's id is its own, or else made from the client, the `Idempotency-Key` and its place in the batch,
/// so that the batch as a whole can be sent again. Needs what [`super::create`] needs for each.
pub(crate) async fn create_batch(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    key: IdempotencyKey,
    Query(trying): Query<Trying>,
    Json(body): Json<NewBatch>,
) -> Result<Answer<BatchBody>, Problem> {
    caller.write_anything()?;
    let (count, count_max) = (body.sets.len(), api.config.batch_sets_max);
    if count == 0 || count > count_max {
        let expected = format!("must be 1 to {count_max} sets, and are {count}");
        return Err(problem::invalid_field("sets", expected));
    }
    let _held = api.in_progress.hold(key.transfer_id(caller.client_id()))?;
    let mut asked = Vec::with_capacity(count);
    for (number, set) in body.sets.iter().enumerate() {
        let id = match set.chosen_id()? {
            Some(id) => id,
            None => key.numbered(number).transfer_id(caller.client_id()),
        };
        let set = set.ask(&api, &caller, id).await;
        asked.push(set.map_err(|problem| problem.with("set", number))?);
    }
    let evidence = evidence::of(&caller, context, Some(key));
    let ended = api.submit_sets(&asked, evidence, trying.dry_run).await;
    let ended = ended.map_err(problem::from_submit_error)?;
    let mut results = Vec::with_capacity(count);
    let mut position = None;
    for (ended, asked) in ended.into_iter().zip(&asked) {
        let ended = ended?;
        position = match &ended {
            Ended::Stored(stored) => Some(stored.position),
            Ended::Rejected { position, .. } => *position,
        };
        results.push(api.result_body(&caller, ended, asked.transfers.len() == 1).await?);
    }
    Ok(Answer::ok(position, BatchBody { results }))
}

impl Api {
    async fn result_body(
        &self,
        caller: &Caller,
        ended: Ended,
        is_one: bool,
    ) -> Result<ResultBody, Problem> {
        let problem = match ended {
            Ended::Rejected { transfer, rejection, .. } => rejected(transfer, rejection, is_one),
            Ended::Stored(stored) => match outcome(stored.set()?) {
                Outcome::Created => return self.set_body(&stored).map(ResultBody::Transfer),
                Outcome::Refused(refusal) => {
                    refusal_problem(self, caller, &stored, refusal).await?
                }
            },
        };
        let json = String::from_utf8(problem.body(None, None)).ok();
        let raw = json.and_then(|json| RawValue::from_string(json).ok());
        raw.map(ResultBody::Problem).ok_or_else(unexpected_reply)
    }
}
