//! What a caller asks for.

use std::{fmt, str::FromStr, sync::Arc};

use lombard_types::{EventId, Revision, StreamName};

use crate::{Condition, Evidence, PutDocument, Tag};

/// What the store is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Add events to streams.
    Append(Append),
    /// Store what is kept beside the events.
    Put(PutDocument),
}

/// Adds events to streams: all of them, or none.
///
/// The events get positions in the order in which they stand here. The same append again (the same events in the same
/// order) is answered as the first time, whatever is expected of the streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// What to add to which stream; each stream once.
    pub streams: Vec<StreamAppend>,
    /// What must not have happened.
    pub condition: Option<Condition>,
    /// Who asked.
    pub evidence: Evidence,
}

impl Append {
    /// All events, in the order of the positions they get.
    pub fn events(&self) -> impl Iterator<Item = &NewEvent> {
        self.streams.iter().flat_map(|append| &append.events)
    }
}

/// What to add to one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamAppend {
    /// The stream; it begins to exist with its first event.
    pub stream: StreamName,
    /// What must be true of the stream before.
    pub expected: Expected,
    /// At least one.
    pub events: Vec<NewEvent>,
}

/// What an append expects of a stream, so that of two writers who decided on the same state only one succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// That it has no event.
    NoStream,
    /// That its last event has this revision.
    Exactly(Revision),
    /// That it has an event.
    StreamExists,
}

impl Expected {
    /// Whether a stream whose last revision is `actual` (`None` where it does not exist) is as expected.
    pub fn is_met(self, actual: Option<Revision>) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual.is_none(),
            Self::Exactly(revision) => actual == Some(revision),
            Self::StreamExists => actual.is_some(),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::NoStream => f.write_str("no stream"),
            Self::Exactly(revision) => write!(f, "revision {revision}"),
            Self::StreamExists => f.write_str("an existing stream"),
        }
    }
}

/// One event to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Chosen by the client: appending it again is a retry.
    pub id: EventId,
    /// What kind of event it is.
    pub event_type: EventType,
    /// What it can be found by beside its stream and type. Sorted, each once.
    pub tags: Box<[Tag]>,
    /// Everything else about it; the rules do not look inside.
    pub content: Content,
}

/// The kind of an event: `com.example.payment.settled`.
///
/// 1 to 255 bytes of any characters but control characters. Cheap to clone: all events of a batch often share one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Arc<str>);

impl EventType {
    /// Longest type, in bytes.
    pub const BYTES_MAX: usize = 255;

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EventType {
    type Err = ParseEventTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > Self::BYTES_MAX || text.chars().any(char::is_control) {
            return Err(ParseEventTypeError);
        }
        Ok(Self(text.into()))
    }
}

/// A text is not the type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event's type is 1 to 255 bytes without control characters")]
pub struct ParseEventTypeError;

/// The content of an event as the shell wrote it.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(pub Box<[u8]>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}
