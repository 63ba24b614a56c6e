//! Errors at the HTTP edge: `application/problem+json` (RFC 9457).

use std::{borrow::Cow, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

/// A kind of problem: one row of a role's table. The slug is stable, has a page of its own under `docs/errors`, and is
/// what callers tell kinds apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemType {
    /// Last part of the `type` URN: small letters, digits and `-`.
    pub slug: &'static str,
    /// What kind of problem this is; the same for every occurrence.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
}

impl ProblemType {
    /// A row of a role's table.
    pub const fn new(status: u16, slug: &'static str, title: &'static str) -> Self {
        Self { slug, title, status }
    }

    /// The `type` member: `urn:lombard:error:<slug>`.
    pub fn urn(&self) -> String {
        format!("urn:lombard:error:{}", self.slug)
    }
}

/// One occurrence of a problem: what the caller may read. What only the log may know is logged where it happened.
#[derive(Clone, Debug)]
pub struct Problem(Box<Occurrence>);

/// RFC 9449 section 8.1.
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Behind a pointer, so that a `Result` with a [`Problem`] stays small.
#[derive(Clone, Debug)]
struct Occurrence {
    kind: ProblemType,
    detail: Option<Cow<'static, str>>,
    members: Map<String, Value>,
    retry_after: Option<Duration>,
    www_authenticate: Option<HeaderValue>,
    dpop_nonce: Option<HeaderValue>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: &ProblemType) -> Self {
        Self(Box::new(Occurrence {
            kind: *kind,
            detail: None,
            members: Map::new(),
            retry_after: None,
            www_authenticate: None,
            dpop_nonce: None,
        }))
    }

    /// What is wrong this time, and what to do about it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// An extension member for programs to read.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// When to try again; also says that trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The challenge of a 401 (RFC 9110 section 11.6.1). Left out where it is not a valid header value.
    #[must_use]
    pub fn www_authenticate(mut self, challenge: &str) -> Self {
        self.0.www_authenticate = HeaderValue::from_str(challenge).ok();
        self
    }

    /// A nonce for the next proof (RFC 9449 section 8.1). Left out where it is not a valid header value.
    #[must_use]
    pub fn dpop_nonce(mut self, nonce: &str) -> Self {
        self.0.dpop_nonce = HeaderValue::from_str(nonce).ok();
        self
    }

    /// What is said about this occurrence; nothing where it has no detail.
    pub fn detail_text(&self) -> &str {
        self.0.detail.as_deref().unwrap_or_default()
    }

    /// A member that is a text.
    pub fn member(&self, name: &str) -> Option<&str> {
        self.0.members.get(name).and_then(Value::as_str)
    }

    /// Which kind of problem this is.
    pub fn kind(&self) -> &ProblemType {
        &self.0.kind
    }

    /// The extension members.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0.members
    }

    /// When to try again, where trying again makes sense.
    pub fn retry_wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The JSON body; the request's path and id are added where they are known.
    pub fn body(&self, instance: Option<&str>, request_id: Option<&str>) -> Vec<u8> {
        let mut body = Map::new();
        body.insert("type".to_owned(), self.0.kind.urn().into());
        body.insert("title".to_owned(), self.0.kind.title.into());
        body.insert("status".to_owned(), self.0.kind.status.into());
        if let Some(detail) = &self.0.detail {
            body.insert("detail".to_owned(), detail.as_ref().into());
        }
        if let Some(instance) = instance {
            body.insert("instance".to_owned(), instance.into());
        }
        if let Some(request_id) = request_id {
            body.insert("request_id".to_owned(), request_id.into());
        }
        body.extend(self.0.members.clone());
        Value::Object(body).to_string().into_bytes()
    }

    /// The whole response, as headers and bytes that any HTTP library can send.
    pub fn to_response(
        &self,
        instance: Option<&str>,
        request_id: Option<&str>,
    ) -> http::Response<Vec<u8>> {
        let mut response = http::Response::new(self.body(instance, request_id));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if let Some(challenge) = &self.0.www_authenticate {
            headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
        }
        if let Some(nonce) = &self.0.dpop_nonce {
            headers.insert(DPOP_NONCE, nonce.clone());
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.to_response(None, None).map(Body::from);
        // `crate::context::layer` renders it again, with the request's path and id.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        problem.into_response()
    }
}
