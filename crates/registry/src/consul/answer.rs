//! Answers as Consul gives them: JSON with its headers, and errors in plain text, which clients print.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use lombard_chassis::Problem;

/// What went wrong: the problems of the role, shown as text.
pub(crate) struct Refused(Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let (title, detail) = (problem.kind().title, problem.detail_text());
        let text = if detail.is_empty() { title.to_owned() } else { format!("{title}: {detail}") };
        let mut response = (problem.status(), text).into_response();
        // The server counts it.
        response.extensions_mut().insert(*problem.kind());
        if let Some(wait) = problem.retry_wait() {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

/// A list or an object, with the index that the next blocking query waits from.
pub(crate) struct Indexed {
    pub(crate) index: u64,
    pub(crate) body: Bytes,
}

const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
const CONSISTENCY: HeaderName = HeaderName::from_static("x-consul-effective-consistency");

impl IntoResponse for Indexed {
    fn into_response(self) -> Response {
        let headers = [
            (INDEX, HeaderValue::from(to_client(self.index))),
            (KNOWN_LEADER, HeaderValue::from_static("true")),
            (LAST_CONTACT, HeaderValue::from_static("0")),
            (CONSISTENCY, HeaderValue::from_static("leader")),
        ];
        (headers, json(self.body)).into_response()
    }
}

/// JSON that is encoded already.
pub(crate) fn json(body: impl Into<Bytes>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::OK, headers, body.into()).into_response()
}

/// Clients take an index of 0 for an error, so theirs is one more than ours.
const fn to_client(index: u64) -> u64 {
    index.saturating_add(1)
}

/// Ours, where the client has seen anything.
pub(crate) const fn from_client(index: u64) -> Option<u64> {
    index.checked_sub(1)
}
