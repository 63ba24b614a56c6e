//! What successful answers have in common.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use lombard_types::{Position, Revision};

use crate::{cloud_event, schema::SchemaVersion};

/// The last record of the log that an answer depends on. Absent while the log is empty.
const LOMBARD_POSITION: HeaderName = HeaderName::from_static("lombard-position");
/// Present on the answer to a retry: this is the first answer again, and nothing happened now.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Adds headers to a response.
pub(super) struct Answer(Response);

impl Answer {
    pub(super) fn new(response: impl IntoResponse) -> Self {
        Self(response.into_response())
    }

    /// A batch of CloudEvents.
    pub(super) fn events(json: String) -> Self {
        let media_type = HeaderValue::from_static(cloud_event::BATCH);
        Self::new(([(header::CONTENT_TYPE, media_type)], json))
    }

    fn set(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }

    pub(super) fn position(self, position: Option<Position>) -> Self {
        match position {
            Some(position) => self.set(LOMBARD_POSITION, &position.to_string()),
            None => self,
        }
    }

    /// A stream's last revision, ready to be sent back in `If-Match`.
    pub(super) fn revision(self, revision: Revision) -> Self {
        self.set(header::ETAG, &format!("\"{revision}\""))
    }

    /// A schema's newest version, ready to be sent back in `If-Match`.
    pub(super) fn version(self, version: SchemaVersion) -> Self {
        self.set(header::ETAG, &format!("\"{version}\""))
    }

    pub(super) fn location(self, url: &str) -> Self {
        self.set(header::LOCATION, url)
    }

    pub(super) fn replayed(self) -> Self {
        self.set(IDEMPOTENCY_REPLAYED, "true")
    }

    /// Where the next page is (RFC 8288).
    pub(super) fn next(self, url: Option<String>) -> Self {
        match url {
            Some(url) => self.set(header::LINK, &format!("<{url}>; rel=\"next\"")),
            None => self,
        }
    }

    pub(super) fn into_response(self) -> Response {
        self.0
    }
}
