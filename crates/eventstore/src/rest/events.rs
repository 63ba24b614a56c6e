//! `GET /v1/eventstore/streams/{stream}/events`.

use axum::{extract::State, response::Response};
use http::HeaderMap;
use lombard_chassis::{Path, Problem, Query, event_stream};
use lombard_types::{Revision, StreamName};
use serde::Deserialize;

use super::{answer, page::Page, paging, selection::Selection, subscribe};
use crate::{
    api::Api,
    authority::Caller,
    problem,
    query::{Direction, Place, StreamReading},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    from: Option<String>,
    limit: Option<String>,
    #[serde(default)]
    direction: Direction,
    types: Option<String>,
    tags: Option<String>,
    query: Option<String>,
    until: Option<String>,
    as_of: Option<String>,
    at_least: Option<String>,
    schema_version: Option<String>,
}

/// A stream's events from a revision on, or back; without one from its first event, or its last. `Link` says where the
/// next page is, where there is one now, and `ETag` the stream's last revision. Needs `events:read` for the stream.
///
/// With `Accept: text/event-stream` the events from there on, and then those that happen, also of a stream that does not
/// exist yet; `Last-Event-ID` resumes.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Path(stream): Path<String>,
    Query(reading): Query<Reading>,
) -> Result<Response, Problem> {
    let stream: StreamName = stream.parse().map_err(problem::invalid_path)?;
    caller.read(&stream)?;
    let Reading { from, limit, direction, types, tags, query, .. } = reading;
    let Reading { until, as_of, at_least, schema_version, .. } = reading;
    let selection =
        Selection { prefix: None, types, tags, query, until, as_of, at_least, schema_version };
    let filter = selection.filter()?;
    let showing = selection.showing(&api)?;
    let from: Option<Revision> = paging::parameter("from", from.as_deref())?;
    if event_stream::is_wanted(&headers) {
        if limit.is_some() || direction == Direction::Backwards || !selection.is_open_ended() {
            return Err(problem::not_for_subscriptions());
        }
        let last = subscribe::last_event_id(&headers)?.map(Revision::new);
        selection.horizon(&api).await?;
        let place = Place::Stream(stream, last.map_or(from.unwrap_or_default(), Revision::next));
        return subscribe::respond(&api, place, filter, showing, caller.expires_in());
    }
    let limit = paging::limit(limit.as_deref(), &api.config)?;
    let horizon = selection.horizon(&api).await?;
    // Fixed here: events that arrive while the page is read are for the next one.
    let last = api.last_chunk(&stream, horizon.end)?.last_revision();
    let from = match direction {
        Direction::Forwards => from.unwrap_or(Revision::START),
        Direction::Backwards => from.unwrap_or(last).min(last),
    };
    let mut page = Page::new(showing, limit, api.config.page_bytes_max);
    let reading = StreamReading { stream: &stream, from, direction, filter: &filter, horizon };
    let next = api
        .reader
        .read_stream(reading, api.config.page_examined_max, |stored| page.add(stored))
        .await
        .map_err(|error| problem::from_query_error(&error))?;
    let next = next.filter(|next| *next <= last).map(|next| {
        let direction = match direction {
            Direction::Forwards => "",
            Direction::Backwards => "&direction=backwards",
        };
        let selection = selection.link();
        format!(
            "/v1/eventstore/streams/{stream}/events?from={next}&limit={limit}{direction}{selection}"
        )
    });
    api.metrics.events_read(page.count());
    Ok(answer(page, horizon)?.revision(last).next(next).into_response())
}
