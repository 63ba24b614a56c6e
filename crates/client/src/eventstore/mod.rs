//! Streams of events (CloudEvents 1.0).

mod condition;
mod group;
mod schema;
mod selection;
mod subject;
mod subscription;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Call, Error, Platform};

pub use condition::{AppendedAll, Condition, Criterion, StreamAppend};
pub use group::{ConsumerGroup, DeadLetter, Delivery, GroupSettings, GroupState, Settled};
pub use schema::{Schema, SchemaPut, SchemaVersion};
pub use selection::Selection;
pub use subject::{DataSubject, SubjectState};
pub use subscription::EventSubscription;

const PREFIX: &str = "/v1/eventstore";

/// Everything but what needs no encoding in a path (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as one segment of a path.
fn segment(name: &str) -> String {
    utf8_percent_encode(name, RESERVED).to_string()
}

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
    /// What it is about, across streams, such as `order:42`; no commas or spaces.
    #[serde(serialize_with = "comma_separated", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What of the source it is about: `invoice-17.pdf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The person, or whoever else, whom data and `subject` are about. They are then stored encrypted, and are gone for
    /// ever when that data subject is erased.
    #[serde(rename = "datasubject", skip_serializing_if = "Option::is_none")]
    pub data_subject: Option<String>,
    /// The rest of the story.
    pub data: Value,
}

impl NewEvent {
    /// An event with a new id.
    pub fn new(source: impl Into<String>, kind: impl Into<String>, data: Value) -> Self {
        let id = uuid::Uuid::now_v7().to_string();
        let (source, kind) = (source.into(), kind.into());
        let (tags, subject, data_subject) = (Vec::new(), None, None);
        Self { specversion: "1.0", id, source, kind, tags, subject, data_subject, data }
    }

    /// Says whose data it has.
    #[must_use]
    pub fn data_subject(mut self, data_subject: impl Into<String>) -> Self {
        self.data_subject = Some(data_subject.into());
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
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
    /// What it is about.
    #[serde(default, deserialize_with = "split_at_commas")]
    pub tags: Vec<String>,
    /// When it was recorded (RFC 3339).
    #[serde(rename = "storetime")]
    pub recorded_at: String,
    /// What of the source it is about.
    pub subject: Option<String>,
    /// Whose data it has.
    #[serde(rename = "datasubject")]
    pub data_subject: Option<String>,
    /// Whether that data subject is erased: what was encrypted is gone.
    #[serde(rename = "lombardredacted", default)]
    pub is_redacted: bool,
    /// The rest of the story.
    #[serde(default)]
    pub data: Value,
}

fn comma_separated<S: serde::Serializer>(
    tags: &[String],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&tags.join(","))
}

fn split_at_commas<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    Ok(String::deserialize(deserializer)?.split(',').map(str::to_owned).collect())
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

    /// Appends to several streams, all or none, if what the condition speaks of has not happened. Needs the scope
    /// `events:append:<stream>` for each of them.
    pub async fn append_all(
        &self,
        streams: &[StreamAppend],
        condition: Option<&Condition>,
    ) -> Result<AppendedAll, Error> {
        let body = condition::body(streams, condition);
        let body = serde_json::to_value(body).map_err(|error| Error::Invalid(error.to_string()))?;
        let call = |url| Call::new(Method::POST, url).json(body).repeatable();
        Ok(self.platform.call(PREFIX, "/appends", call).await?.body)
    }

    /// Up to `limit` of the events of a selection, from the first after where it begins. With a selection that little
    /// meets there may be fewer, although there are more later: ask on from the last.
    pub async fn select(
        &self,
        selection: &Selection,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let call = |url| selection.call(url).query("limit", limit);
        Ok(self.platform.call(PREFIX, &selection.path(), call).await?.body)
    }

    /// The events of a selection, and then those that happen. Connects again by itself, without a gap.
    pub fn subscribe(&self, selection: Selection) -> EventSubscription {
        EventSubscription::new(self.platform.clone(), selection)
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
