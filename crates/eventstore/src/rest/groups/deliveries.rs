//! `POST .../deliveries`: taking events.

use std::time::Duration;

use axum::extract::State;
use lombard_chassis::{Json, Path, Problem, problems};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::group_of;
use crate::{
    api::Api,
    authority::Caller,
    cloud_event,
    groups::{Delivered, Pull, visibility, write_receipt},
    problem::within,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PullForm {
    /// The client's id where it is not said.
    consumer: Option<String>,
    count: Option<u32>,
    wait_ms: Option<u64>,
    visibility_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Deliveries {
    deliveries: Vec<DeliveryView>,
}

#[derive(Debug, Serialize)]
pub(super) struct DeliveryView {
    /// The same for every attempt at this event: what to remember in order to do nothing twice.
    delivery_id: String,
    /// What acknowledges this attempt.
    receipt: String,
    attempt: u32,
    /// When it is taken back.
    deadline: String,
    event: Box<RawValue>,
}

impl TryFrom<Delivered<String>> for DeliveryView {
    type Error = Problem;

    fn try_from(delivered: Delivered<String>) -> Result<Self, Problem> {
        let Delivered { id, receipt, deadline, event } = delivered;
        let event = RawValue::from_string(event).map_err(|error| {
            tracing::error!(%error, "an event was written that is not JSON");
            Problem::new(&problems::INTERNAL)
        })?;
        let (attempt, receipt) = (receipt.attempt, write_receipt(receipt));
        Ok(Self { delivery_id: id, receipt, attempt, deadline: deadline.to_string(), event })
    }
}

/// The next events for a consumer, up to `count`; waits up to `wait_ms` for the first. Each must be acknowledged before
/// its deadline, else it is delivered again. Needs `events:consume` for the group.
pub(super) async fn pull(
    State(api): State<Api>,
    caller: Caller,
    Path(group): Path<String>,
    Json(form): Json<PullForm>,
) -> Result<Json<Deliveries>, Problem> {
    let group = group_of(&group)?;
    caller.consume(&group)?;
    let most = api.config.group_deliveries_max;
    let count = within("count", form.count.unwrap_or(most.min(10)), 1, most)?;
    let wait = within("wait_ms", form.wait_ms.unwrap_or(0), 0, api.config.group_wait_ms_max)?;
    let pull = Pull {
        group,
        consumer: caller.consumer(form.consumer.as_deref())?,
        count,
        credits: None,
        visibility: visibility(form.visibility_ms, &api.config)?,
        wait: Duration::from_millis(wait),
    };
    let delivered = api.groups.pull(pull, cloud_event::to_json).await?;
    api.metrics.events_read(delivered.len());
    let deliveries = delivered.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    Ok(Json(Deliveries { deliveries }))
}
