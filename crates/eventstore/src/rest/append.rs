//! `POST /v1/eventstore/streams/{stream}/events`.

use axum::{
    extract::{FromRequest as _, Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode};
use lombard_chassis::{
    Context, Json, Path, Problem, RawBody,
    extract::{parse_json, require_media_type},
    problems,
};
use lombard_eventstore_core::StreamRange;
use lombard_types::StreamName;
use serde::Serialize;

use super::{answer::Answer, precondition};
use crate::{
    api::{Api, Draft, Outcome, StreamDraft},
    authority::Caller,
    cloud_event::{self, CloudEvent, Members},
    problem,
};

/// Appends one event (`application/cloudevents+json`) or a list of them (`application/cloudevents-batch+json`) to a
/// stream: all of them or none. 201 with where they stand; the same append again gets the same answer, marked
/// `Idempotency-Replayed: true`.
///
/// What the stream must be like before is said by `If-Match` and `If-None-Match`. Needs `events:append` for the stream.
pub(super) async fn append(
    State(api): State<Api>,
    caller: Caller,
    context: Context,
    Path(stream): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let stream: StreamName = stream.parse().map_err(problem::invalid_path)?;
    caller.append(&stream)?;
    let expected = precondition::expected(request.headers())?;
    let form = Form::of(request.headers())?;
    let RawBody(body) = RawBody::from_request(request, &()).await?;
    let events = read_events(form.parse(&body)?)?;
    let evidence = caller.evidence(context)?;
    let streams = vec![StreamDraft { stream, expected, events }];
    let outcome = api.append(Draft { streams, condition: None, evidence }).await?;
    answer(outcome)
}

/// How the body holds events.
#[derive(Clone, Copy)]
enum Form {
    Structured,
    Batch,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        if require_media_type(headers, cloud_event::STRUCTURED).is_ok() {
            return Ok(Self::Structured);
        }
        if require_media_type(headers, cloud_event::BATCH).is_ok() {
            return Ok(Self::Batch);
        }
        Err(Problem::new(&problems::UNSUPPORTED_MEDIA_TYPE).detail(format!(
            "send one event as {}, or a list of events as {}",
            cloud_event::STRUCTURED,
            cloud_event::BATCH
        )))
    }

    fn parse(self, body: &[u8]) -> Result<Vec<Members>, Problem> {
        match self {
            Self::Structured => Ok(vec![parse_json(body)?]),
            Self::Batch => parse_json(body),
        }
    }
}

pub(super) fn read_events(events: Vec<Members>) -> Result<Vec<CloudEvent<'static>>, Problem> {
    let read = |(index, members)| {
        cloud_event::read(members).map_err(|error| problem::from_invalid_event(index, &error))
    };
    events.into_iter().enumerate().map(read).collect()
}

/// Where the events stand; both ends are included. Numbers are strings, since many programs round large ones.
#[derive(Debug, Serialize)]
struct Appended {
    #[serde(flatten)]
    range: Range,
    /// The record of the log that holds them.
    log_position: String,
    recorded_at: String,
}

/// Where the events of one stream stand.
#[derive(Debug, Serialize)]
pub(super) struct Range {
    stream: String,
    first_revision: String,
    last_revision: String,
    first_position: String,
    last_position: String,
}

impl From<&StreamRange> for Range {
    fn from(range: &StreamRange) -> Self {
        Self {
            stream: range.stream.to_string(),
            first_revision: range.first_revision.to_string(),
            last_revision: range.last_revision.to_string(),
            first_position: range.first_position.to_string(),
            last_position: range.last_position.to_string(),
        }
    }
}

fn answer(outcome: Outcome) -> Result<Response, Problem> {
    let Outcome { streams, recorded, is_replayed } = outcome;
    let Some(range) = streams.first() else {
        tracing::error!("an append to one stream was answered with none");
        return Err(Problem::new(&problems::INTERNAL));
    };
    let body = Appended {
        range: Range::from(range),
        log_position: recorded.position.to_string(),
        recorded_at: recorded.time.to_string(),
    };
    let StreamRange { stream, first_revision, last_revision, .. } = range;
    let count = last_revision.since(*first_revision) + 1;
    let location =
        format!("/v1/eventstore/streams/{stream}/events?from={first_revision}&limit={count}");
    let answer = Answer::new((StatusCode::CREATED, Json(body)))
        .position(Some(recorded.position))
        .revision(*last_revision)
        .location(&location);
    Ok(if is_replayed { answer.replayed() } else { answer }.into_response())
}
