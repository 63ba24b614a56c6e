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
use lombard_engine::{Committed, SubmitError};
use lombard_eventstore_core::{Append, Command, Event, NewEvent, StreamAppend, StreamRange};
use lombard_types::{Position, StreamName};
use serde::Serialize;

use super::{Api, answer::Answer, authority::Caller, precondition};
use crate::{
    Config,
    cloud_event::{self, CloudEvent, Members},
    codec::{self, Recorded},
    machine::Reply,
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
    let events = read_events(form.parse(&body)?, &api.config)?;
    let evidence = caller.evidence(context)?;
    let streams = vec![StreamAppend { stream, expected, events }];
    let outcome = api.append(Append { streams, condition: None, evidence }).await?;
    answer(outcome)
}

/// Where the events of an append stand, now or since the first time it was asked for.
pub(super) struct Outcome {
    pub(super) streams: Vec<StreamRange>,
    pub(super) recorded: Recorded,
    /// Whether this is the answer to a retry.
    pub(super) is_replayed: bool,
}

impl Api {
    pub(super) async fn append(&self, append: Append) -> Result<Outcome, Problem> {
        let event_count = append.events().count();
        let outcome = match self.writer.submit(Command::Append(append)).await {
            Ok(committed) => self.outcome(committed).await,
            Err(error) => {
                let result = match error {
                    SubmitError::Rejected { .. } => AppendResult::Rejected,
                    _ => AppendResult::Failed,
                };
                Err((result, problem::from_submit_error(error)))
            }
        };
        match outcome {
            Ok(outcome) if outcome.is_replayed => {
                self.metrics.append(AppendResult::Replayed);
                Ok(outcome)
            }
            Ok(outcome) => {
                self.metrics.append(AppendResult::Appended);
                self.metrics.events_appended(event_count);
                Ok(outcome)
            }
            Err((result, problem)) => {
                self.metrics.append(result);
                Err(problem)
            }
        }
    }

    async fn outcome(
        &self,
        committed: Committed<Reply>,
    ) -> Result<Outcome, (AppendResult, Problem)> {
        let Committed { position, time, reply, .. } = committed;
        match reply {
            Reply::Appended(streams) => {
                let recorded = Recorded { position, time };
                Ok(Outcome { streams, recorded, is_replayed: false })
            }
            Reply::Recorded(record, append) => self.earlier(record, &append, position).await,
            Reply::Stored(_) => {
                tracing::error!("an append was answered as a document");
                Err((AppendResult::Failed, Problem::new(&problems::INTERNAL)))
            }
        }
    }

    /// The first answer to an append that has been recorded, or what differs from it.
    async fn earlier(
        &self,
        record: Position,
        append: &Append,
        position: Position,
    ) -> Result<Outcome, (AppendResult, Problem)> {
        let stored = self.reader.record(record).await;
        let stored =
            stored.map_err(|error| (AppendResult::Failed, problem::from_query_error(&error)))?;
        let Event::Appended(appended) = &stored.event else {
            return Err((AppendResult::Failed, problem::not_where_indexed(record)));
        };
        let streams = appended.repeated_by(append, |recorded, asked| recorded == asked);
        let streams = streams.map_err(|rejection| {
            (AppendResult::Rejected, problem::from_rejection(rejection, Some(position)))
        })?;
        Ok(Outcome { streams, recorded: stored.recorded, is_replayed: true })
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

pub(super) fn read_events(events: Vec<Members>, config: &Config) -> Result<Vec<NewEvent>, Problem> {
    let limits = cloud_event::Limits {
        extensions_max: config.event_extensions_max,
        attribute_bytes_max: config.attribute_bytes_max,
        tags_max: config.event_tags_max,
    };
    let bytes_max = config.event_bytes_max;
    let mut read = Vec::with_capacity(events.len());
    for (index, members) in events.into_iter().enumerate() {
        let event = cloud_event::read(members, limits)
            .map_err(|error| problem::from_invalid_event(index, &error))?;
        let CloudEvent { id, event_type, tags, content } = event;
        let content = codec::encode_content(&content);
        let bytes = content.0.len() + event_type.as_str().len();
        if bytes > bytes_max {
            return Err(problem::event_too_large(index, bytes, bytes_max));
        }
        read.push(NewEvent { id, event_type, tags, content });
    }
    Ok(read)
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
