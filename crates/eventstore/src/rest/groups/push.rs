//! `GET .../deliveries` with `Accept: text/event-stream`: the same deliveries, pushed.
//!
//! The consumer says how many it may have unacknowledged (`credits`); with each acknowledgement it gets more. The id of a
//! server-sent event is the delivery's; it does not resume anything, since the group knows what is settled.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::Response,
};
use futures_util::stream;
use http::HeaderMap;
use lombard_chassis::{Path, Problem, Query, event_stream, problems};
use serde::Deserialize;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{deliveries::DeliveryView, group_of};
use crate::{
    api::Api,
    authority::Caller,
    cloud_event,
    groups::{Pull, visibility},
    problem,
    rest::paging,
};

const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscribing {
    consumer: Option<String>,
    credits: Option<String>,
    visibility_ms: Option<String>,
}

struct Subscriber {
    api: Api,
    pull: Pull,
    expires_at: Instant,
    _permit: OwnedSemaphorePermit,
}

/// Pushes deliveries until the client goes away, its token expires, or the role drains. Needs `events:consume` for the
/// group.
pub(super) async fn subscribe(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Path(group): Path<String>,
    Query(subscribing): Query<Subscribing>,
) -> Result<Response, Problem> {
    let group = group_of(&group)?;
    caller.consume(&group)?;
    if !event_stream::is_wanted(&headers) {
        return Err(Problem::new(&problems::METHOD_NOT_ALLOWED)
            .detail("POST takes deliveries; GET pushes them, with Accept: text/event-stream"));
    }
    let Subscribing { consumer, credits, visibility_ms } = subscribing;
    let most = api.config.group_in_flight_max;
    let credits: Option<u32> = paging::parameter("credits", credits.as_deref())?;
    let credits = credits.unwrap_or(api.config.group_deliveries_max);
    if credits == 0 || credits > most {
        return Err(problem::invalid_parameter("credits", format!("must be from 1 to {most}")));
    }
    let visibility_ms = paging::parameter("visibility_ms", visibility_ms.as_deref())?;
    let permit = api.subscription_permit()?;
    let expires_at = Instant::now() + caller.expires_in();
    let pull = Pull {
        consumer: caller.consumer(consumer.as_deref())?,
        count: credits.min(api.config.group_deliveries_max),
        credits: Some(credits),
        visibility: visibility(visibility_ms, &api.config)?,
        wait: Duration::ZERO,
        group,
    };
    // What is wrong is an answer, not the end of a stream.
    let first = chunk_of(&api, &pull).await?;
    let mut subscriber = Subscriber { api, pull, expires_at, _permit: permit };
    subscriber.pull.wait = KEEP_ALIVE;
    let chunks = stream::unfold(Some(subscriber), |subscriber| async move {
        let mut subscriber = subscriber?;
        let chunk = subscriber.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(chunk)), Some(subscriber)))
    });
    let first = stream::iter([Ok(Bytes::from(first))]);
    let body = Body::from_stream(stream::StreamExt::chain(first, chunks));
    Ok(event_stream::respond(body))
}

impl Subscriber {
    async fn next(&mut self) -> Option<String> {
        if self.api.drain.is_cancelled() || Instant::now() >= self.expires_at {
            return None;
        }
        let left = self.expires_at.saturating_duration_since(Instant::now());
        self.pull.wait = KEEP_ALIVE.min(left).max(Duration::from_millis(1));
        match chunk_of(&self.api, &self.pull).await {
            Ok(chunk) => Some(chunk),
            Err(problem) => {
                tracing::debug!(group = %self.pull.group, ?problem, "pushing deliveries ends");
                None
            }
        }
    }
}

/// Deliveries as server-sent events, or a comment that says that the connection lives.
async fn chunk_of(api: &Api, pull: &Pull) -> Result<String, Problem> {
    let delivered = api.groups.pull(pull.clone(), cloud_event::to_json).await?;
    api.metrics.events_read(delivered.len());
    if delivered.is_empty() {
        return Ok(": alive\n\n".to_owned());
    }
    let mut chunk = String::new();
    for delivered in delivered {
        let id = delivered.id.clone();
        let json = serde_json::to_string(&DeliveryView::try_from(delivered)?).map_err(|error| {
            tracing::error!(%error, "failed to write a delivery");
            Problem::new(&problems::INTERNAL)
        })?;
        chunk.push_str(&format!("id: {id}\ndata: {json}\n\n"));
    }
    Ok(chunk)
}
