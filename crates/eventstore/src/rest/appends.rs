//! `POST /v1/eventstore/appends`.

use axum::{extract::State, response::Response};
use http::StatusCode;
use lombard_chassis::{Context, Json, Problem};
use lombard_eventstore_core::{Condition, EventPosition, Expected};
use lombard_types::{Revision, StreamName};
use serde::{Deserialize, Serialize};

use super::{
    answer::Answer,
    append::{Range, read_events},
    selection::{CriterionForm, read_query},
};
use crate::{
    api::{Api, Draft, Outcome, StreamDraft},
    authority::Caller,
    cloud_event::Members,
    problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppendForm {
    streams: Vec<StreamForm>,
    condition: Option<ConditionForm>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamForm {
    stream: String,
    /// `any` (the default), `absent`, `present`, or the last revision.
    expected: Option<String>,
    events: Vec<Members>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionForm {
    /// No event that meets one of these...
    none_of: Vec<CriterionForm>,
    /// ...may stand after this position; without it, anywhere.
    after: Option<String>,
}

#[derive(Debug, Serialize)]
struct Appended {
    streams: Vec<Range>,
    log_position: String,
    recorded_at: String,
}

/// Appends to several streams at once, on a condition that may go beyond them: all of it or nothing. 201 with where the
/// events stand; the same append again gets the same answer, marked `Idempotency-Replayed: true`. Needs `events:append`
/// for each of the streams.
pub(super) async fn append(
    State(api): State<Api>,
    caller: Caller,
    context: Context,
    Json(form): Json<AppendForm>,
) -> Result<Response, Problem> {
    let AppendForm { streams, condition } = form;
    let mut parts = Vec::with_capacity(streams.len());
    for StreamForm { stream, expected, events } in streams {
        let stream: StreamName =
            stream.parse().map_err(|error| problem::invalid_member("streams.stream", error))?;
        caller.append(&stream)?;
        let expected = read_expected(expected.as_deref())?;
        parts.push(StreamDraft { stream, expected, events: read_events(events)? });
    }
    let condition = condition.map(read_condition).transpose()?;
    let evidence = caller.evidence(context)?;
    let outcome = api.append(Draft { streams: parts, condition, evidence }).await?;
    let Outcome { streams, recorded, is_replayed } = outcome;
    let body = Appended {
        streams: streams.iter().map(Range::from).collect(),
        log_position: recorded.position.to_string(),
        recorded_at: recorded.time.to_string(),
    };
    let answer = Answer::new((StatusCode::CREATED, Json(body))).position(Some(recorded.position));
    Ok(if is_replayed { answer.replayed() } else { answer }.into_response())
}

fn read_expected(text: Option<&str>) -> Result<Expected, Problem> {
    match text {
        None | Some("any") => Ok(Expected::Any),
        Some("absent") => Ok(Expected::NoStream),
        Some("present") => Ok(Expected::StreamExists),
        Some(revision) => {
            let revision: Result<Revision, _> = revision.parse();
            revision.map(Expected::Exactly).map_err(|_| {
                problem::invalid_member(
                    "streams.expected",
                    "must be any, absent, present, or a revision such as \"7\"",
                )
            })
        }
    }
}

fn read_condition(form: ConditionForm) -> Result<Condition, Problem> {
    let ConditionForm { none_of, after } = form;
    let query = read_query(none_of)
        .map_err(|reason| problem::invalid_member("condition.none_of", reason))?;
    let after = after.as_deref().map(str::parse::<EventPosition>).transpose();
    let after = after.map_err(|error| problem::invalid_member("condition.after", error))?;
    Ok(Condition { query, after })
}
