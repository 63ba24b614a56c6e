//! `POST /v1/eventstore/streams/{stream}/events`.

use aws_lc_rs::digest;
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
use lombard_engine::{Committed, SubmitError};
use lombard_eventstore_core::{
    Append, AppendReply, Content, ContentDigest, EventType, NewEvent, Recorded, StreamAppend,
    StreamRange,
};
use lombard_types::StreamName;
use serde::Serialize;

use super::{Api, answer::Answer, authority::Caller, precondition};
use crate::{
    Config,
    cloud_event::{self, CloudEvent, Members},
    codec,
    metrics::AppendResult,
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
    let events = form.parse(&body)?;
    let events = read_events(events, &stream, &api.config)?;
    let event_count = events.len();
    let evidence = caller.evidence(context)?;
    let append = Append { streams: vec![StreamAppend { stream, expected, events }], evidence };
    match api.writer.submit(append).await {
        Ok(committed) => {
            if committed.written {
                api.metrics.append(AppendResult::Appended);
                api.metrics.events_appended(event_count);
            } else {
                api.metrics.append(AppendResult::Replayed);
            }
            answer(committed)
        }
        Err(error) => {
            api.metrics.append(match error {
                SubmitError::Rejected { .. } => AppendResult::Rejected,
                _ => AppendResult::Failed,
            });
            Err(problem::from_submit_error(error))
        }
    }
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

fn read_events(
    events: Vec<Members>,
    stream: &StreamName,
    config: &Config,
) -> Result<Vec<NewEvent>, Problem> {
    let limits = cloud_event::Limits {
        extensions_max: config.event_extensions_max,
        attribute_bytes_max: config.attribute_bytes_max,
    };
    let bytes_max = config.event_bytes_max;
    let mut read = Vec::with_capacity(events.len());
    for (index, members) in events.into_iter().enumerate() {
        let event = cloud_event::read(members, limits)
            .map_err(|error| problem::from_invalid_event(index, &error))?;
        let CloudEvent { id, event_type, content } = event;
        let content = codec::encode_content(&content);
        let bytes = content.0.len() + event_type.as_str().len();
        if bytes > bytes_max {
            return Err(problem::event_too_large(index, bytes, bytes_max));
        }
        let digest = digest_of(stream, &event_type, &content);
        read.push(NewEvent { id, event_type, digest, content });
    }
    Ok(read)
}

/// Each part after its length, so that no two different events are the same bytes.
fn digest_of(stream: &StreamName, event_type: &EventType, content: &Content) -> ContentDigest {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in [stream.as_str().as_bytes(), event_type.as_str().as_bytes(), &content.0] {
        hash.update(&part.len().to_le_bytes());
        hash.update(part);
    }
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(hash.finish().as_ref()) {
        *to = *from;
    }
    ContentDigest(half)
}

/// Where the events stand; both ends are included. Numbers are strings, since many programs round large ones.
#[derive(Debug, Serialize)]
struct Appended {
    stream: String,
    first_revision: String,
    last_revision: String,
    first_position: String,
    last_position: String,
    /// The record of the log that holds them.
    log_position: String,
    recorded_at: String,
}

fn answer(committed: Committed<AppendReply>) -> Result<Response, Problem> {
    let Committed { position, time, reply: AppendReply { streams, earlier }, .. } = committed;
    let Some(range) = streams.into_iter().next() else {
        tracing::error!("an append to one stream was answered with none");
        return Err(Problem::new(&problems::INTERNAL));
    };
    let recorded = earlier.unwrap_or(Recorded { position, time });
    let StreamRange { stream, first_revision, last_revision, first_position, last_position } =
        range;
    let body = Appended {
        stream: stream.to_string(),
        first_revision: first_revision.to_string(),
        last_revision: last_revision.to_string(),
        first_position: first_position.to_string(),
        last_position: last_position.to_string(),
        log_position: recorded.position.to_string(),
        recorded_at: recorded.time.to_string(),
    };
    let count = last_revision.since(first_revision) + 1;
    let location =
        format!("/v1/eventstore/streams/{stream}/events?from={first_revision}&limit={count}");
    let answer = Answer::new((StatusCode::CREATED, Json(body)))
        .position(Some(recorded.position))
        .revision(last_revision)
        .location(&location);
    Ok(if earlier.is_some() { answer.replayed() } else { answer }.into_response())
}
