//! What answers of the administration have in common.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lombard_types::Position;

const POSITION: HeaderName = HeaderName::from_static("lombard-position");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Answers of the administration are for nobody's cache.
pub(super) fn private(body: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], body).into_response()
}

/// What was made is at `location`; with 200 it was made by an earlier request with the same key.
pub(super) fn created(status: StatusCode, location: &str, body: impl IntoResponse) -> Response {
    let mut response = (status, private(body)).into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if status == StatusCode::OK {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// The position of the log at which it took effect.
pub(super) fn with_position(mut response: Response, position: Position) -> Response {
    response.headers_mut().insert(POSITION, HeaderValue::from(position.get()));
    response
}
