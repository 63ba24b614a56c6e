//! `GET /v1/eventstore/streams/{stream}/events`.

use axum::{extract::State, response::Response};
use lombard_chassis::{Path, Problem, Query};
use lombard_types::{Position, Revision, StreamName};
use serde::Deserialize;

use super::{Api, answer::Answer, authority::Caller, paging};
use crate::problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    from: Option<String>,
    limit: Option<String>,
    #[serde(default)]
    direction: Direction,
    at_least: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    #[default]
    Forwards,
    Backwards,
}

/// A stream's events from a revision on, or back; without one from its first event, or its last. `Link` says where the
/// next page is, where there is one now, and `ETag` the stream's last revision. Needs `events:read` for the stream.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(stream): Path<String>,
    Query(reading): Query<Reading>,
) -> Result<Response, Problem> {
    let stream: StreamName = stream.parse().map_err(problem::invalid_path)?;
    caller.read(&stream)?;
    let limit = paging::limit(reading.limit.as_deref(), &api.config)?;
    let from: Option<Revision> = paging::parameter("from", reading.from.as_deref())?;
    let at_least: Option<Position> = paging::parameter("at_least", reading.at_least.as_deref())?;
    api.reach(at_least).await?;
    // Fixed here: events that arrive while the page is read are for the next one.
    let last = api.last_revision(&stream).await?;
    let is_forwards = reading.direction == Direction::Forwards;
    let from = match from {
        Some(from) if is_forwards => from,
        Some(from) => from.min(last),
        None if is_forwards => Revision::START,
        None => last,
    };
    let limit = limit.min(span(from, last, reading.direction));
    let (events, position) = api.read(|index| match reading.direction {
        Direction::Forwards => index.forwards(&stream, from, limit),
        Direction::Backwards => index.backwards(&stream, from, limit),
    });
    let page = api.page(&events).await?;
    let count = u64::try_from(page.count).unwrap_or(u64::MAX);
    let next = match reading.direction {
        Direction::Forwards => Some(from.plus(count)).filter(|next| *next <= last),
        Direction::Backwards => from.get().checked_sub(count).map(Revision::new),
    };
    let next = next.map(|next| {
        let direction = if is_forwards { "" } else { "&direction=backwards" };
        let limit = reading.limit.map_or(String::new(), |limit| format!("&limit={limit}"));
        format!("/v1/eventstore/streams/{stream}/events?from={next}{limit}{direction}")
    });
    let answer = Answer::events(page.json).position(position).revision(last).next(next);
    Ok(answer.into_response())
}

/// How many events there are to read.
fn span(from: Revision, last: Revision, direction: Direction) -> usize {
    let count = match direction {
        Direction::Forwards => last.next().since(from),
        Direction::Backwards => from.next().get(),
    };
    usize::try_from(count).unwrap_or(usize::MAX)
}
