//! What every request carries along: its id and its trace (W3C Trace Context).

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Request},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts};
use lombard_types::RequestId;
use uuid::Uuid;

use crate::Problem;

/// The header that carries a [`RequestId`] in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C Trace Context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where a request comes from. An extractor; also kept with every event that the request causes.
#[derive(Clone, Debug)]
pub struct Context {
    /// The caller's id for the request, or a new one.
    pub request_id: RequestId,
    /// The caller's `traceparent`, where it is well-formed.
    pub traceparent: Option<Box<str>>,
}

impl Context {
    /// Reads the headers. A malformed or missing id is replaced by a new UUIDv7.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        Self::from_headers_or(headers, new_request_id)
    }

    /// Reads the headers. A malformed or missing id is replaced by the one that `fresh` makes.
    pub fn from_headers_or(headers: &HeaderMap, fresh: impl FnOnce() -> RequestId) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = text(REQUEST_ID).and_then(|id| id.parse().ok()).unwrap_or_else(fresh);
        let traceparent = text(TRACEPARENT).filter(|text| is_traceparent(text)).map(Into::into);
        Self { request_id, traceparent }
    }
}

/// A fresh id, sortable by time.
#[expect(clippy::expect_used, reason = "a UUID's text always fits the grammar of request ids")]
pub fn new_request_id() -> RequestId {
    Uuid::now_v7().hyphenated().to_string().parse().expect("a UUID is a request id")
}

/// Whether a text is a `traceparent` of version 00: `00-<32 hex>-<16 hex>-<2 hex>`, ids not all zero.
pub fn is_traceparent(text: &str) -> bool {
    let lower_hex = |part: &str, length: usize| {
        part.len() == length
            && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let some = |part: &str| part.bytes().any(|byte| byte != b'0');
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next(), parts.next(), parts.next(), parts.next());
    version == Some("00")
        && trace.is_some_and(|trace| lower_hex(trace, 32) && some(trace))
        && span.is_some_and(|span| lower_hex(span, 16) && some(span))
        && flags.is_some_and(|flags| lower_hex(flags, 2))
        && parts.next().is_none()
}

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self::from_headers(&parts.headers)))
    }
}

/// What is kept of a request until it is answered.
#[derive(Debug)]
pub(crate) struct Entered {
    request_id: RequestId,
    uri: Uri,
}

impl Entered {
    /// Gives a request its [`Context`].
    pub(crate) fn new(request: &mut Request) -> Self {
        let context = Context::from_headers(request.headers());
        let (request_id, uri) = (context.request_id.clone(), request.uri().clone());
        request.extensions_mut().insert(context);
        Self { request_id, uri }
    }

    /// Answers the request id, and completes a problem with the path and the id.
    pub(crate) fn complete(self, response: &mut Response) {
        if let Some(problem) = response.extensions().get::<Problem>() {
            // The headers stay: a handler may have added some, such as the position that a refusal depends on.
            let body = problem.body(Some(self.uri.path()), Some(self.request_id.as_str()));
            response.headers_mut().remove(header::CONTENT_LENGTH);
            *response.body_mut() = body.into();
        }
        if let Ok(value) = HeaderValue::from_str(self.request_id.as_str()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
    }
}

/// What the server does with each request, for routers that are called without one.
pub async fn layer(mut request: Request, next: Next) -> Response {
    let entered = Entered::new(&mut request);
    let mut response = next.run(request).await;
    entered.complete(&mut response);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_checked() {
        assert!(is_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert!(!is_traceparent(text), "{text:?}");
        }
    }

    #[test]
    fn bad_request_ids_are_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("mine-1"));
        assert_eq!(Context::from_headers(&headers).request_id.as_str(), "mine-1");
        headers.insert(REQUEST_ID, HeaderValue::from_static("two words"));
        assert_eq!(Context::from_headers(&headers).request_id.as_str().len(), 36);
    }
}
