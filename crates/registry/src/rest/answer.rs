//! Successful answers.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use lombard_chassis::Json;
use lombard_types::Position;
use serde::Serialize;

/// The last record of the log that an answer includes. Absent while the log is empty.
const LOMBARD_POSITION: HeaderName = HeaderName::from_static("lombard-position");

/// A body, and the position that it depends on.
pub(super) struct Answer<T> {
    pub(super) status: StatusCode,
    pub(super) position: Option<Position>,
    pub(super) body: T,
}

/// A body that is encoded already and shared with other readers.
pub(super) struct Encoded(pub(super) Bytes);

impl IntoResponse for Encoded {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            // What is registered a moment later is another answer.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (headers, self.0).into_response()
    }
}

impl<T> Answer<T> {
    pub(super) const fn ok(position: Option<Position>, body: T) -> Self {
        Self { status: StatusCode::OK, position, body }
    }
}

impl<T: Serialize> Answer<Json<T>> {
    pub(super) const fn created(position: Position, body: T) -> Self {
        Self { status: StatusCode::CREATED, position: Some(position), body: Json(body) }
    }
}

impl<T: IntoResponse> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        if let Some(position) = self.position {
            response.headers_mut().insert(LOMBARD_POSITION, HeaderValue::from(position.get()));
        }
        response
    }
}
