//! `GET /v1/eventstore/events`.

use axum::{extract::State, response::Response};
use http::HeaderMap;
use lombard_chassis::{Problem, Query, event_stream};
use lombard_eventstore_core::EventPosition;
use serde::Deserialize;

use super::{answer, page::Page, paging, selection::Selection, subscribe};
use crate::{
    api::Api,
    authority::Caller,
    problem,
    query::{AllReading, Direction, Place},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    after: Option<String>,
    before: Option<String>,
    limit: Option<String>,
    #[serde(default)]
    direction: Direction,
    prefix: Option<String>,
    types: Option<String>,
    tags: Option<String>,
    query: Option<String>,
    until: Option<String>,
    as_of: Option<String>,
    at_least: Option<String>,
    schema_version: Option<String>,
}

/// The events of all streams in their common order, without gaps, after a position or from the first; backwards, before
/// a position or from the last. `Link` says where the next page is, where there is one now. With a filter that little
/// meets, a page may be short, even empty, and have a next one. Needs `events:read` without a stream, or for the prefix.
///
/// With `Accept: text/event-stream` the events from there on, and then those that happen; `Last-Event-ID` resumes.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Query(reading): Query<Reading>,
) -> Result<Response, Problem> {
    let Reading { after, before, limit, direction, .. } = reading;
    let Reading { prefix, types, tags, query, until, as_of, at_least, schema_version, .. } =
        reading;
    let selection =
        Selection { prefix, types, tags, query, until, as_of, at_least, schema_version };
    let filter = selection.filter()?;
    let showing = selection.showing(&api)?;
    caller.read_prefix(filter.stream_prefix.as_deref())?;
    if event_stream::is_wanted(&headers) {
        if limit.is_some() || direction == Direction::Backwards || !selection.is_open_ended() {
            return Err(problem::not_for_subscriptions());
        }
        let after: Option<u64> = paging::parameter("after", after.as_deref())?;
        let after = subscribe::last_event_id(&headers)?.or(after).map(EventPosition::new);
        selection.horizon(&api).await?;
        let place = Place::All(after.map_or(EventPosition::START, EventPosition::next));
        return subscribe::respond(&api, place, filter, showing, caller.expires_in());
    }
    let limit = paging::limit(limit.as_deref(), &api.config)?;
    let after: Option<EventPosition> = paging::parameter("after", after.as_deref())?;
    let before: Option<EventPosition> = paging::parameter("before", before.as_deref())?;
    let horizon = selection.horizon(&api).await?;
    let from = match (direction, after, before) {
        (Direction::Forwards, after, None) => {
            after.map_or(EventPosition::START, EventPosition::next)
        }
        (Direction::Backwards, None, None) => EventPosition::new(u64::MAX),
        (Direction::Backwards, None, Some(before)) => match before.get().checked_sub(1) {
            Some(from) => EventPosition::new(from),
            None => {
                let nothing = Page::new(showing, 0, 0);
                return Ok(answer(nothing, horizon)?.into_response());
            }
        },
        (Direction::Forwards, _, Some(_)) => {
            return Err(problem::invalid_parameter("before", "goes with direction=backwards"));
        }
        (Direction::Backwards, Some(_), _) => {
            return Err(problem::invalid_parameter("after", "goes with direction=forwards"));
        }
    };
    let mut page = Page::new(showing, limit, api.config.page_bytes_max);
    let reading = AllReading { from, direction, filter: &filter, horizon };
    let examined_max = api.config.page_examined_max;
    let next = api
        .reader
        .read_all(reading, examined_max, |stored| page.add(stored))
        .await
        .map_err(|error| problem::from_query_error(&error))?;
    let next = next.filter(|next| horizon.until.is_none_or(|until| *next <= until));
    let next = next.map(|next| {
        let place = match direction {
            Direction::Forwards => match next.get().checked_sub(1) {
                Some(after) => format!("after={after}&"),
                None => String::new(),
            },
            Direction::Backwards => format!("direction=backwards&before={}&", next.next()),
        };
        format!("/v1/eventstore/events?{place}limit={limit}{}", selection.link())
    });
    api.metrics.events_read(page.count());
    Ok(answer(page, horizon)?.next(next).into_response())
}
