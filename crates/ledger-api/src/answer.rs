//! Successful answers.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use lombard_chassis::Json;
use lombard_types::Position;
use serde::Serialize;

/// The last record of the log that an answer depends on. Absent while the log is empty.
pub const LOMBARD_POSITION: HeaderName = HeaderName::from_static("lombard-position");
/// Present on the answer to a retry: this is the first answer again, and nothing happened now.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A body and what is said about it in headers.
#[derive(Debug)]
pub struct Answer<T> {
    status: StatusCode,
    position: Option<Position>,
    location: Option<String>,
    is_replay: bool,
    body: T,
}

impl<T> Answer<T> {
    /// 200, of a position.
    pub fn ok(position: Option<Position>, body: T) -> Self {
        Self { status: StatusCode::OK, position, location: None, is_replay: false, body }
    }

    /// 201, with where it is found.
    pub fn created(position: Position, location: String, body: T) -> Self {
        Self {
            status: StatusCode::CREATED,
            position: Some(position),
            location: Some(location),
            is_replay: false,
            body,
        }
    }

    /// Whether it is the first answer again.
    #[must_use]
    pub fn replayed(mut self, is_replay: bool) -> Self {
        self.is_replay = is_replay;
        self
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        set_headers(&mut response, self.position, self.is_replay);
        let location = self.location.and_then(|url| HeaderValue::from_str(&url).ok());
        if let Some(location) = location {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// The headers that good answers and problems have in common.
pub fn set_headers(response: &mut Response, position: Option<Position>, is_replay: bool) {
    let headers = response.headers_mut();
    if let Some(position) = position {
        headers.insert(LOMBARD_POSITION, HeaderValue::from(position.get()));
    }
    if is_replay {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
}
