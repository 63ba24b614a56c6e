//! `GET /v1/eventstore/streams`.

use axum::{extract::State, response::Response};
use lombard_chassis::{Json, Problem, Query};
use lombard_types::{Position, StreamName};
use serde::{Deserialize, Serialize};

use super::{Api, answer::Answer, authority::Caller, paging};
use crate::query::{EventIndex, StreamSummary};

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

/// The streams whose name begins with `prefix`, in order of name. Leaves out those that the caller may not read, so a
/// page can be short and have a next one. Needs `events:read` for anything.
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
    let after = after.as_ref().map(StreamName::as_str);
    let (page, position) = api.read(|index| page(index, &caller, &listing.prefix, after, limit));
    Ok(Answer::new(Json(page)).position(position).into_response())
}

fn page(
    index: &EventIndex,
    caller: &Caller,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Page {
    let mut streams = index.streams(prefix, after).peekable();
    let mut items = Vec::new();
    let mut last = None;
    for _ in 0..EXAMINED_MAX {
        if items.len() == limit {
            break;
        }
        let Some(summary) = streams.next() else {
            return Page { items, next: None };
        };
        last = Some(summary.stream.to_string());
        if caller.may_read(&summary.stream) {
            items.push(Stream::from(summary));
        }
    }
    let next = if streams.peek().is_some() { last } else { None };
    Page { items, next }
}

impl From<StreamSummary> for Stream {
    fn from(summary: StreamSummary) -> Self {
        let StreamSummary { stream, last_revision, last_position } = summary;
        Self {
            stream: stream.to_string(),
            last_revision: last_revision.to_string(),
            last_position: last_position.to_string(),
        }
    }
}
