//! `POST .../acks`, `.../nacks`, `.../extensions`: what became of deliveries.

use std::time::Duration;

use axum::extract::State;
use lombard_chassis::{Json, Path, Problem};
use lombard_eventstore_core::group::{Command, Nack, Reply};
use lombard_types::GroupName;
use serde::{Deserialize, Serialize};

use super::{deliveries::visibility_of, group_of, manage::unexpected, receipt, settings::within};
use crate::{
    api::Api,
    authority::Caller,
    groups::{Settlement, result_of},
    problem,
};

/// Longest reason of a failure.
const REASON_BYTES_MAX: usize = 500;

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
    let group = consumable(&caller, &group)?;
    let receipts = receipt::read_all(&form.receipts, &api.config)?;
    let command = Command::Ack { group: group.clone(), receipts };
    settle(&api, &group, command, Settlement::Ack, form.receipts).await
}

/// These were not: they are tried again, or given up where that was the last attempt.
pub(super) async fn nack(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
    Json(form): Json<NackForm>,
) -> Result<Json<Results>, Problem> {
    let group = consumable(&caller, &group)?;
    let receipts = receipt::read_all(&form.receipts, &api.config)?;
    if form.reason.len() > REASON_BYTES_MAX {
        let limit = format!("is over the limit of {REASON_BYTES_MAX} bytes");
        return Err(problem::invalid_member("reason", limit));
    }
    let most = api.config.group_delay_ms_max;
    let delay = form.delay_ms.map(|millis| within("delay_ms", millis, 0, most)).transpose()?;
    let command = Command::Nack(Nack {
        group: group.clone(),
        receipts,
        delay: delay.map(Duration::from_millis),
        is_dead: form.dead_letter,
        reason: form.reason.into(),
    });
    settle(&api, &group, command, Settlement::Nack, form.receipts).await
}

/// These need more time, from now on.
pub(super) async fn extend(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
    Json(form): Json<ExtendForm>,
) -> Result<Json<Results>, Problem> {
    let group = consumable(&caller, &group)?;
    let receipts = receipt::read_all(&form.receipts, &api.config)?;
    let visibility = visibility_of(Some(form.visibility_ms), &api.config)?.unwrap_or_default();
    let command = Command::Extend { group: group.clone(), receipts, visibility };
    settle(&api, &group, command, Settlement::Extend, form.receipts).await
}

fn consumable(caller: &Caller, group: &str) -> Result<GroupName, Problem> {
    let group = group_of(group)?;
    caller.consume(&group)?;
    Ok(group)
}

async fn settle(
    api: &Api,
    group: &GroupName,
    command: Command,
    settlement: Settlement,
    receipts: Vec<String>,
) -> Result<Json<Results>, Problem> {
    let Reply::Settled(outcomes) = api.groups.settle(group, command).await? else {
        return Err(unexpected());
    };
    api.groups.metrics().settled(settlement, &outcomes);
    let result = |(receipt, outcome)| ResultView { receipt, result: result_of(outcome) };
    Ok(Json(Results { results: receipts.into_iter().zip(outcomes).map(result).collect() }))
}
