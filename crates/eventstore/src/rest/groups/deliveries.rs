//! `POST .../deliveries`: taking events.

use std::time::Duration;

use axum::extract::State;
use lombard_chassis::{Json, Path, Problem, problems};
use lombard_types::ConsumerName;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{group_of, receipt, settings::within};
use crate::{
    Config,
    api::Api,
    authority::Caller,
    groups::{Delivered, Pull},
    problem,
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

impl TryFrom<Delivered> for DeliveryView {
    type Error = Problem;

    fn try_from(delivered: Delivered) -> Result<Self, Problem> {
        let Delivered { id, receipt, deadline, event } = delivered;
        let event = RawValue::from_string(event).map_err(|error| {
            tracing::error!(%error, "an event was written that is not JSON");
            Problem::new(&problems::INTERNAL)
        })?;
        let (attempt, receipt) = (receipt.attempt, receipt::write(receipt));
        Ok(Self { delivery_id: id, receipt, attempt, deadline: deadline.to_string(), event })
    }
}

/// Who takes deliveries: as it says, or else its client.
pub(super) fn consumer_of(text: Option<&str>, caller: &Caller) -> Result<ConsumerName, Problem> {
    let client = caller.client_id()?;
    let text = text.unwrap_or(client.as_str());
    text.parse().map_err(|error| problem::invalid_member("consumer", error))
}

pub(super) fn visibility_of(
    millis: Option<u64>,
    config: &Config,
) -> Result<Option<Duration>, Problem> {
    let most = config.group_visibility_ms_max;
    let read = |millis| within("visibility_ms", millis, 1, most).map(Duration::from_millis);
    millis.map(read).transpose()
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
        consumer: consumer_of(form.consumer.as_deref(), &caller)?,
        count,
        credits: None,
        visibility: visibility_of(form.visibility_ms, &api.config)?,
        wait: Duration::from_millis(wait),
    };
    let delivered = api.groups.pull(pull).await?;
    api.metrics.events_read(delivered.len());
    let deliveries = delivered.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    Ok(Json(Deliveries { deliveries }))
}
