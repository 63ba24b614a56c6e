//! Server-Sent Events (WHATWG HTML section 9.2): what a request says of them, and the head of their answer.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, header};

use crate::{Problem, extract::single_header, problems};

const EVENT_STREAM: &str = "text/event-stream";

/// Whether a request asks for events as they happen.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.split(';').next().unwrap_or_default().trim() == EVENT_STREAM)
}

/// The id of the last event that a client has, after a lost connection; `expected` says in the refusal what it must be.
pub fn last_event_id(headers: &HeaderMap, expected: &'static str) -> Result<Option<u64>, Problem> {
    let id = single_header(headers, "last-event-id")?.filter(|id| !id.is_empty());
    id.map(str::parse).transpose().map_err(|_| {
        Problem::new(&problems::INVALID_HEADER).detail(format!("last-event-id: {expected}"))
    })
}

/// The answer whose events are in `body`. Nobody on the way may keep it.
pub fn respond(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}
