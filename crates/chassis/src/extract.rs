//! Strict extractors: what does not fit is a specific problem, and changes nothing.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Problem, problems};

/// Longest body that an extractor reads where the router does not set another limit with [`BodyLimit`].
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// A router's own limit for bodies, in bytes; put it in an `axum::Extension`-like request extension.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

/// A body of at most [`BodyLimit`] bytes.
#[derive(Clone, Debug)]
pub struct RawBody(pub Bytes);

impl<S: Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let bytes_max =
            request.extensions().get::<BodyLimit>().map_or(BODY_BYTES_MAX, |limit| limit.0);
        read_body(request.into_body(), bytes_max).await.map(Self)
    }
}

/// Reads a body of at most `bytes_max` bytes.
pub async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(Problem::new(&problems::BODY_TOO_LARGE)
                .detail(format!("the body is over the limit of {bytes_max} bytes"))
                .with("limit_bytes", bytes_max))
        }
        Err(_) => Err(Problem::new(&problems::BODY_INCOMPLETE)
            .detail("the connection ended, or the framing broke, before the body did")),
    }
}

/// A JSON body, in requests and responses.
///
/// Requests: `Content-Type: application/json` is required, bytes after the value and members said twice are refused
/// as far as the target type does (derive with `deny_unknown_fields`).
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_media_type(request.headers(), "application/json")?;
        let RawBody(bytes) = RawBody::from_request(request, state).await?;
        parse_json(&bytes).map(Self)
    }
}

/// Refuses a body of another media type; parameters such as `charset` are let pass.
pub fn require_media_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let found = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = found.map(|found| found.split(';').next().unwrap_or_default().trim());
    if essence.is_some_and(|essence| essence.eq_ignore_ascii_case(wanted)) {
        return Ok(());
    }
    let detail = match found {
        Some(found) => format!("the body must be {wanted}, not {found:?}"),
        None => format!("say what the body is: Content-Type: {wanted}"),
    };
    Err(Problem::new(&problems::UNSUPPORTED_MEDIA_TYPE).detail(detail))
}

/// Reads one JSON value, telling bad JSON from JSON of the wrong form.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    use serde_json::error::Category;
    let error = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let (kind, detail) = match error.classify() {
        Category::Data => (&problems::INVALID_BODY, error.to_string()),
        Category::Eof if bytes.is_empty() => {
            (&problems::MALFORMED_JSON, "the body is empty; a JSON object is expected".to_owned())
        }
        Category::Syntax | Category::Eof | Category::Io => {
            (&problems::MALFORMED_JSON, error.to_string())
        }
    };
    Err(Problem::new(kind).detail(detail).with("line", error.line()).with("column", error.column()))
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => {
                let media_type = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, media_type)], bytes).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "failed to encode a response");
                Problem::new(&problems::INTERNAL).into_response()
            }
        }
    }
}

/// The query string; unknown parameters are refused where `T` denies unknown fields.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| {
                // The inner message names the parameter; the outer one only says that the query is bad.
                let cause = std::error::Error::source(&rejection)
                    .map_or_else(|| rejection.body_text(), ToString::to_string);
                Problem::new(&problems::INVALID_QUERY).detail(cause)
            })
    }
}

/// Path parameters, percent-decoded.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(path)| Self(path))
            .map_err(|rejection| {
                Problem::new(&problems::INVALID_PATH).detail(rejection.body_text())
            })
    }
}

/// One header's value as text: `Ok(None)` where it is absent, a problem where it is repeated or not visible ASCII.
pub fn single_header<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let invalid =
        |what: &str| Problem::new(&problems::INVALID_HEADER).detail(format!("{name}: {what}"));
    if values.next().is_some() {
        return Err(invalid("must be said once"));
    }
    value.to_str().map(Some).map_err(|_| invalid("must be visible ASCII"))
}

/// The handler for paths that no route matches.
pub async fn not_found() -> Response {
    Problem::new(&problems::NOT_FOUND).detail("no such path").into_response()
}

/// The handler for methods that a route does not have.
pub async fn method_not_allowed() -> Response {
    Problem::new(&problems::METHOD_NOT_ALLOWED).into_response()
}
