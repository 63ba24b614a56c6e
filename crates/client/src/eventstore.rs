//! Streams of events (CloudEvents 1.0).

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Call, Error, Platform};

const PREFIX: &str = "/v1/eventstore";

/// The event store, as one client sees it.
#[derive(Clone, Debug)]
pub struct EventStore {
    pub(crate) platform: Platform,
}

/// An event to append.
#[derive(Clone, Debug, Serialize)]
pub struct NewEvent {
    specversion: &'static str,
    /// A UUID. Appending the same events again, with the same ids, has no second effect.
    pub id: String,
    /// Who it comes from, as a URI reference: `/payments`.
    pub source: String,
    /// What happened: `payment.settled`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The rest of the story.
    pub data: Value,
}

impl NewEvent {
    /// An event with a new id.
    pub fn new(source: impl Into<String>, kind: impl Into<String>, data: Value) -> Self {
        let id = uuid::Uuid::now_v7().to_string();
        Self { specversion: "1.0", id, source: source.into(), kind: kind.into(), data }
    }
}

/// Where the writer believes the stream to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Wherever it is.
    Any,
    /// Never written to.
    NoStream,
    /// Its last event has this revision.
    Revision(u64),
}

/// What an append did.
#[derive(Clone, Debug, Deserialize)]
pub struct Appended {
    /// The revision of the first event of the append.
    #[serde(deserialize_with = "number")]
    pub first_revision: u64,
    /// The revision of its last event.
    #[serde(deserialize_with = "number")]
    pub last_revision: u64,
}

/// An event that happened.
#[derive(Clone, Debug, Deserialize)]
pub struct RecordedEvent {
    /// Its id.
    pub id: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its stream.
    pub stream: String,
    /// Its place in its stream.
    #[serde(deserialize_with = "number")]
    pub revision: u64,
    /// Its place among all events.
    #[serde(deserialize_with = "number")]
    pub position: u64,
    /// The rest of the story.
    #[serde(default)]
    pub data: Value,
}

/// Whole numbers are decimal strings in JSON, which every reader keeps exactly.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl EventStore {
    /// Appends events to a stream, all or none. Needs the scope `events:append:<stream>`.
    pub async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: &[NewEvent],
    ) -> Result<Appended, Error> {
        let path = format!("/streams/{stream}/events");
        let body =
            serde_json::to_value(events).map_err(|error| Error::Invalid(error.to_string()))?;
        let call = |url| {
            let call = Call::new(Method::POST, url)
                .header("content-type", "application/cloudevents-batch+json")
                .json(body)
                .repeatable();
            match expected {
                Expected::Any => call,
                Expected::NoStream => call.header("if-none-match", "*"),
                Expected::Revision(revision) => call.header("if-match", format!("\"{revision}\"")),
            }
        };
        Ok(self.platform.call(PREFIX, &path, call).await?.body)
    }

    /// Up to `limit` events of a stream from a revision on. Needs the scope `events:read:<stream>`.
    pub async fn read(
        &self,
        stream: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let path = format!("/streams/{stream}/events");
        let call = |url| Call::new(Method::GET, url).query("from", from).query("limit", limit);
        Ok(self.platform.call(PREFIX, &path, call).await?.body)
    }

    /// Up to `limit` events of all streams in their one order, after a position. Needs the scope `events:read`.
    pub async fn read_all(
        &self,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let call = |url| {
            let call = Call::new(Method::GET, url).query("limit", limit);
            match after {
                Some(after) => call.query("after", after),
                None => call,
            }
        };
        Ok(self.platform.call(PREFIX, "/events", call).await?.body)
    }
}
