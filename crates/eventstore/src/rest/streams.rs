//! `GET /v1/eventstore/streams`.

use axum::{extract::State, response::Response};
use lombard_chassis::{Json, Problem, Query};
use lombard_eventstore_core::Event;
use lombard_types::{Position, StreamName};
use serde::{Deserialize, Serialize};

use super::{answer::Answer, paging};
use crate::{api::Api, authority::Caller, index::Listed, problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<String>,
    at_least: Option<String>,
}

#[derive(Debug, Serialize)]
struct Page {
    items: Vec<Stream>,
    /// What to ask the next page with, as `after`; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Stream {
    stream: String,
    last_revision: String,
    last_position: String,
}

/// Streams looked at for one page, most of which the caller may not be permitted to see.
const EXAMINED_MAX: usize = 10_000;

/// The streams whose name begins with `prefix`, in the order of the first 32 bytes of their names. Leaves out those that
/// the caller may not read, so a page can be short and have a next one. Needs `events:read` for anything.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    caller.read_anything()?;
    let limit = paging::limit(listing.limit.as_deref(), &api.config)?;
    let after: Option<StreamName> = paging::parameter("after", listing.after.as_deref())?;
    let at_least: Option<Position> = paging::parameter("at_least", listing.at_least.as_deref())?;
    api.reach(at_least).await?;
    let end = api.reader.durable();
    let page = page(&api, &caller, &listing.prefix, after, limit, end).await?;
    Ok(Answer::new(Json(page)).position(end.previous()).into_response())
}

async fn page(
    api: &Api,
    caller: &Caller,
    prefix: &str,
    mut after: Option<StreamName>,
    limit: usize,
    end: Position,
) -> Result<Page, Problem> {
    let mut items = Vec::new();
    let mut examined = 0;
    while examined < EXAMINED_MAX {
        let wanted = limit + 1;
        let listed = api
            .reader
            .index
            .streams(prefix, after.as_ref(), wanted, end)
            .map_err(|error| problem::from_query_error(&error.into()))?;
        let is_last = listed.len() < wanted;
        for listed in listed {
            if items.len() == limit {
                return Ok(Page { items, next: after.map(|stream| stream.to_string()) });
            }
            examined += 1;
            let stream = name(api, &listed).await?;
            after = Some(stream.clone());
            if stream.as_str().starts_with(prefix) && caller.may_read(&stream) {
                items.push(Stream {
                    stream: stream.to_string(),
                    last_revision: listed.last.last_revision().to_string(),
                    last_position: listed.last.last_position().to_string(),
                });
            }
        }
        if is_last {
            return Ok(Page { items, next: None });
        }
    }
    Ok(Page { items, next: after.map(|stream| stream.to_string()) })
}

/// The whole name of a stream, of which the index has the beginning.
async fn name(api: &Api, listed: &Listed) -> Result<StreamName, Problem> {
    if listed.is_whole()
        && let Ok(name) = listed.name_start.parse()
    {
        return Ok(name);
    }
    let record = api.reader.record(listed.first_record).await;
    let record = record.map_err(|error| problem::from_query_error(&error))?;
    let Event::Appended(appended) = &record.event else {
        return Err(problem::not_where_indexed(listed.first_record));
    };
    let part = appended.streams.iter().find(|part| listed.is_named(&part.stream));
    part.map(|part| part.stream.clone())
        .ok_or_else(|| problem::not_where_indexed(listed.first_record))
}
