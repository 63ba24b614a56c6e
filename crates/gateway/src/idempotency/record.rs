//! What is kept of an Idempotency-Key: events of a stream of its own, in the event store.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use lombard_gateway_core::{KeyState, RequestDigest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One event of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Record {
    Begun { request: String, at_ms: u64 },
    Released {},
    Unknown { request: String },
    Answered { request: String, answer: Answer },
}

/// A response as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    /// Missing where it was too long.
    body: Option<String>,
}

/// Headers that are about one exchange, or that the gateway adds itself.
const NOT_KEPT: [&str; 6] =
    ["x-request-id", "date", "content-length", "server-timing", "ratelimit", "ratelimit-policy"];

impl Record {
    pub(crate) fn event_type(&self) -> &'static str {
        match self {
            Self::Begun { .. } => "lombard.gateway.request-begun",
            Self::Released {} => "lombard.gateway.request-released",
            Self::Unknown { .. } => "lombard.gateway.request-unknown",
            Self::Answered { .. } => "lombard.gateway.request-answered",
        }
    }

    /// The event for the store. `id` makes a repeated append the same one.
    pub(crate) fn to_event(&self, id: uuid::Uuid) -> Value {
        json!({
            "specversion": "1.0",
            "id": id,
            "source": "/v1/gateway",
            "type": self.event_type(),
            "datacontenttype": "application/json",
            "data": self,
        })
    }

    /// What the last event of a stream says; `None` where it cannot be read.
    pub(crate) fn state(&self) -> Option<KeyState> {
        Some(match self {
            Self::Begun { request, at_ms } => {
                KeyState::Begun { request: from_hex(request)?, at: Duration::from_millis(*at_ms) }
            }
            Self::Released {} => KeyState::Released,
            Self::Unknown { request } => KeyState::Unknown { request: from_hex(request)? },
            Self::Answered { request, .. } => KeyState::Answered { request: from_hex(request)? },
        })
    }
}

impl Answer {
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: Option<&Bytes>) -> Self {
        let headers = headers
            .iter()
            .filter(|(name, _)| !NOT_KEPT.contains(&name.as_str()))
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect();
        Self { status: status.as_u16(), headers, body: body.map(|body| STANDARD.encode(body)) }
    }

    /// The response again; `None` for its body where that was too long.
    pub(crate) fn read(&self) -> Option<(StatusCode, HeaderMap, Option<Bytes>)> {
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?);
        }
        let body = match &self.body {
            Some(body) => Some(Bytes::from(STANDARD.decode(body).ok()?)),
            None => None,
        };
        Some((StatusCode::from_u16(self.status).ok()?, headers, body))
    }
}

pub(crate) fn to_hex(digest: &RequestDigest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<RequestDigest> {
    let mut digest = RequestDigest::default();
    if text.len() != digest.len() * 2 {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let digest = [0xab; 32];
        let mut headers = HeaderMap::new();
        headers.append("location", HeaderValue::from_static("/x"));
        headers.append("x-two", HeaderValue::from_static("1"));
        headers.append("x-two", HeaderValue::from_static("2"));
        headers.append("x-request-id", HeaderValue::from_static("of the first"));
        let body = Bytes::from_static(b"\0\xff");
        let answer = Answer::new(StatusCode::CREATED, &headers, Some(&body));
        let (status, read, read_body) = answer.read().unwrap();
        headers.remove("x-request-id");
        assert_eq!((status, &read, read_body), (StatusCode::CREATED, &headers, Some(body)));
        let request = to_hex(&digest);
        for record in [
            Record::Begun { request: request.clone(), at_ms: 7 },
            Record::Released {},
            Record::Unknown { request: request.clone() },
            Record::Answered { request, answer },
        ] {
            let event = record.to_event(uuid::Uuid::nil());
            assert_eq!(serde_json::from_value::<Record>(event["data"].clone()).unwrap(), record);
            assert!(record.state().is_some());
        }
        // The bytes that are in stores already.
        let written =
            Record::Begun { request: to_hex(&digest), at_ms: 7 }.to_event(uuid::Uuid::nil());
        let request = "ab".repeat(32);
        assert_eq!(written["data"], json!({ "state": "begun", "request": request, "at_ms": 7 }));
    }
}
