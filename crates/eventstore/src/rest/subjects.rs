//! `/v1/eventstore/subjects/{subject}`: people and others whose data can be erased.

use axum::{extract::State, response::Response};
use lombard_chassis::{Context, Json, Path, Problem};
use serde::Serialize;

use super::answer::Answer;
use crate::{
    api::{Api, SubjectState},
    authority::Caller,
    problem,
    subjects::{SUBJECT_GRAMMAR, is_subject},
};

#[derive(Debug, Serialize)]
struct Subject {
    subject: String,
    /// `active` or `erased`.
    state: &'static str,
    /// The record that says so; null while it is active.
    log_position: Option<String>,
    erased_at: Option<String>,
}

/// Erases a subject: destroys the key that its events are sealed with. Again is no error. Needs `events:erase` for the
/// subject.
pub(super) async fn erase(
    State(api): State<Api>,
    caller: Caller,
    context: Context,
    Path(subject): Path<String>,
) -> Result<Response, Problem> {
    permitted(&caller, &subject)?;
    let state = api.erase_subject(&subject, caller.evidence(context)?).await?;
    Ok(answer(subject, state))
}

/// Whether a subject is erased, and since when. Needs `events:erase` for the subject.
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Path(subject): Path<String>,
) -> Result<Response, Problem> {
    permitted(&caller, &subject)?;
    let state = api.subject(&subject).await?;
    Ok(answer(subject, state))
}

fn permitted(caller: &Caller, subject: &str) -> Result<(), Problem> {
    if !is_subject(subject) {
        return Err(problem::invalid_path(format!("a data subject {SUBJECT_GRAMMAR}")));
    }
    caller.erase(subject)
}

fn answer(subject: String, state: SubjectState) -> Response {
    let (state, position, at) = match state {
        SubjectState::Active => ("active", None, None),
        SubjectState::Erased { position, at } => ("erased", Some(position), Some(at)),
    };
    let log_position = position.map(|position| position.to_string());
    let erased_at = at.map(|at| at.to_string());
    let body = Json(Subject { subject, state, log_position, erased_at });
    Answer::new(body).position(position).into_response()
}
