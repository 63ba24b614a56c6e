//! `GET /v1/eventstore/events`.

use axum::{extract::State, response::Response};
use lombard_chassis::{Problem, Query};
use lombard_eventstore_core::EventPosition;
use lombard_types::Position;
use serde::Deserialize;

use super::{Api, answer::Answer, authority::Caller, paging};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    after: Option<String>,
    limit: Option<String>,
    at_least: Option<String>,
}

/// The events of all streams in their common order, without gaps, after a position or from the first. `Link` says where
/// the next page is, where there is one now. Needs `events:read` without a stream.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(reading): Query<Reading>,
) -> Result<Response, Problem> {
    caller.read_all()?;
    let limit = paging::limit(reading.limit.as_deref(), &api.config)?;
    let after: Option<EventPosition> = paging::parameter("after", reading.after.as_deref())?;
    let at_least: Option<Position> = paging::parameter("at_least", reading.at_least.as_deref())?;
    api.reach(at_least).await?;
    let from = after.map_or(EventPosition::START, EventPosition::next);
    let ((events, end), position) =
        api.read(|index| (index.all(from, limit), index.next_position()));
    let page = api.page(&events).await?;
    let last = page.count.checked_sub(1).and_then(|last| events.get(last));
    let next = last.filter(|last| last.position.next() < end).map(|last| {
        let limit = reading.limit.map_or(String::new(), |limit| format!("&limit={limit}"));
        format!("/v1/eventstore/events?after={}{limit}", last.position)
    });
    Ok(Answer::events(page.json).position(position).next(next).into_response())
}
