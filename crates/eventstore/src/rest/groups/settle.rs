//! `POST .../acks`, `.../nacks`, `.../extensions`: what became of deliveries.

use axum::extract::State;
use lombard_chassis::{Json, Path, Problem};
use serde::{Deserialize, Serialize};

use super::group_of;
use crate::{
    api::Api,
    authority::Caller,
    groups::{Verdict, result_of},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AckForm {
    receipts: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NackForm {
    receipts: Vec<String>,
    /// When to try again, if not as the group's backoff says.
    delay_ms: Option<u64>,
    /// Do not try again.
    #[serde(default)]
    dead_letter: bool,
    /// For whoever looks at dead letters.
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtendForm {
    receipts: Vec<String>,
    visibility_ms: u64,
}

/// One result for each receipt, in their order.
#[derive(Debug, Serialize)]
pub(super) struct Results {
    results: Vec<ResultView>,
}

#[derive(Debug, Serialize)]
struct ResultView {
    receipt: String,
    /// `done`, `already_settled` (a repetition), `lost` (the time was over and somebody else has it), `dead`, `unknown`.
    result: &'static str,
}

/// These events were processed. Needs `events:consume` for the group, as the others do.
pub(super) async fn ack(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
    Json(form): Json<AckForm>,
) -> Result<Json<Results>, Problem> {
    settle(&api, &caller, &group, form.receipts, Verdict::Ack).await
}

/// These were not: they are tried again, or given up where that was the last attempt.
pub(super) async fn nack(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
    Json(form): Json<NackForm>,
) -> Result<Json<Results>, Problem> {
    let NackForm { receipts, delay_ms, dead_letter: is_dead, reason } = form;
    let verdict = Verdict::Nack { delay_ms, is_dead, reason };
    settle(&api, &caller, &group, receipts, verdict).await
}

/// These need more time, from now on.
pub(super) async fn extend(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
    Json(form): Json<ExtendForm>,
) -> Result<Json<Results>, Problem> {
    let ExtendForm { receipts, visibility_ms } = form;
    settle(&api, &caller, &group, receipts, Verdict::Extend { visibility_ms }).await
}

async fn settle(
    api: &Api,
    caller: &Caller,
    group: &str,
    receipts: Vec<String>,
    verdict: Verdict,
) -> Result<Json<Results>, Problem> {
    let group = group_of(group)?;
    caller.consume(&group)?;
    let outcomes = api.groups.settle(&group, &receipts, verdict).await?;
    let result = |(receipt, outcome)| ResultView { receipt, result: result_of(outcome) };
    Ok(Json(Results { results: receipts.into_iter().zip(outcomes).map(result).collect() }))
}
