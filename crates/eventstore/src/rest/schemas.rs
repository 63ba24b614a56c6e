//! `/v1/eventstore/schemas`.

use std::ops::Bound;

use axum::{
    extract::{FromRequest as _, Request, State},
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use lombard_chassis::{
    Context, Json, Path, Problem, Query, RawBody, extract::require_media_type, problems,
};
use lombard_eventstore_core::{EventType, Expected};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{answer::Answer, paging, precondition};
use crate::{
    api::{Api, SchemaStored},
    authority::Caller,
    problem,
    schema::{DataSchema, SchemaVersion},
};

/// Puts a new version of a type's schema: `{"schema": {...}, "upcast": [...]}`. 201 with its number; 200 where the newest
/// is the same already. `If-Match` expects the number of the newest, `If-None-Match: *` that there is none. Needs
/// `events:schema` for the type.
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller,
    context: Context,
    Path(event_type): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let event_type: EventType = event_type.parse().map_err(problem::invalid_path)?;
    caller.write_schema(&event_type)?;
    let expected = expected_revision(precondition::expected(request.headers())?);
    if require_media_type(request.headers(), "application/json").is_err() {
        return Err(Problem::new(&problems::UNSUPPORTED_MEDIA_TYPE).detail("send application/json"));
    }
    let RawBody(body) = RawBody::from_request(request, &()).await?;
    let evidence = caller.evidence(context)?;
    let stored = api.put_schema(&event_type, expected, &body, evidence).await?;
    let SchemaStored { version, position, is_known } = stored;
    let status = if is_known { StatusCode::OK } else { StatusCode::CREATED };
    let body = Json(Summary::new(&event_type, version));
    Ok(Answer::new((status, body)).position(Some(position)).version(version).into_response())
}

/// Versions count from 1, a document's revisions from 0.
fn expected_revision(expected: Expected) -> Expected {
    match expected {
        Expected::Exactly(version) => match version.previous() {
            Some(revision) => Expected::Exactly(revision),
            // Version 0 is that there is none.
            None => Expected::NoStream,
        },
        expected => expected,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    version: Option<String>,
}

#[derive(Debug, Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    summary: Summary,
    log_position: String,
    recorded_at: String,
    schema: &'a RawValue,
    upcast: &'a RawValue,
}

/// A type's schema: the newest version, or the one in `?version=`. Needs `events:read` for anything, or `events:schema`
/// for the type.
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path(event_type): Path<String>,
    Query(reading): Query<Reading>,
) -> Result<Response, Problem> {
    let event_type: EventType = event_type.parse().map_err(problem::invalid_path)?;
    caller.read_schema(&event_type)?;
    let wanted: Option<u32> = paging::parameter("version", reading.version.as_deref())?;
    let (number, version) = api.schema(&event_type, wanted.map(SchemaVersion))?;
    let (schema, upcast) = (version.definition.schema_text(), version.definition.upcast_text());
    let raw = |text| {
        serde_json::from_str::<&RawValue>(text).map_err(|error| {
            tracing::error!(%error, "a stored schema is not JSON");
            Problem::new(&problems::INTERNAL)
        })
    };
    let body = Whole {
        summary: Summary::new(&event_type, number),
        log_position: version.record.to_string(),
        recorded_at: version.recorded_at.to_string(),
        schema: raw(schema)?,
        upcast: raw(upcast)?,
    };
    let answer = Answer::new(Json(body));
    Ok(answer.position(Some(version.record)).version(number).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<String>,
}

#[derive(Debug, Serialize)]
struct Page {
    items: Vec<Summary>,
    /// What to ask the next page with, as `after`; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Summary {
    r#type: String,
    /// Its newest version, or the one that was asked for.
    version: u32,
    /// What `dataschema` says of events in this version.
    dataschema: String,
}

impl Summary {
    fn new(event_type: &EventType, version: SchemaVersion) -> Self {
        let dataschema = DataSchema { event_type, version }.to_string();
        Self { r#type: event_type.as_str().to_owned(), version: version.0, dataschema }
    }
}

/// The types that have a schema, by name. Needs `events:read` for anything.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    caller.read_anything()?;
    let Listing { prefix, after, limit } = listing;
    let limit = paging::limit(limit.as_deref(), &api.config)?;
    let after: Option<EventType> = paging::parameter("after", after.as_deref())?;
    let schemas = api.schemas.snapshot().unwrap_or_default();
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut items = Vec::new();
    let mut next = None;
    for (event_type, versions) in schemas.range((from, Bound::Unbounded)) {
        let newest = api.schemas.newest_visible(versions);
        if !event_type.as_str().starts_with(&prefix) || newest == SchemaVersion::default() {
            continue;
        }
        if items.len() == limit {
            next = items.last().map(|last: &Summary| last.r#type.clone());
            break;
        }
        items.push(Summary::new(event_type, newest));
    }
    Ok(Json(Page { items, next }).into_response())
}

#[cfg(test)]
mod tests {
    use lombard_types::Revision;

    use super::*;

    #[test]
    fn versions_are_expected_by_their_number() {
        let exactly = |number| Expected::Exactly(Revision::new(number));
        assert_eq!(expected_revision(exactly(1)), exactly(0));
        assert_eq!(expected_revision(exactly(0)), Expected::NoStream);
        assert_eq!(expected_revision(Expected::Any), Expected::Any);
    }
}
