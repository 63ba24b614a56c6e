//! Why a command has no effect.

use lombard_types::{EventId, Revision, StreamName};

use crate::{DocumentKey, EventPosition, Expected, Unreadable};

/// A command was rejected; nothing changed.
///
/// Where several apply to an append, the first of this order is answered: the append's own form (from
/// [`Self::NoEvents`] to [`Self::EventIdRepeated`]), then [`Self::EventIdReused`], so that a retry is told apart before
/// anything is said about a stream that the first try has changed, then [`Self::WrongExpectedRevision`] for the first
/// stream that it is true of, then [`Self::ConditionFailed`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The append, or one of its streams, has no event.
    #[error("there is no event to append")]
    NoEvents,
    /// More streams than one append may have.
    #[error("{count} streams are over the limit of {count_max} of one append")]
    TooManyStreams {
        /// How many there are.
        count: usize,
        /// The limit.
        count_max: usize,
    },
    /// More events than one append may have.
    #[error("{count} events are over the limit of {count_max} of one append")]
    TooManyEvents {
        /// How many there are.
        count: usize,
        /// The limit.
        count_max: usize,
    },
    /// A stream is named twice.
    #[error("the stream {stream} is named twice")]
    StreamRepeated {
        /// The stream.
        stream: StreamName,
    },
    /// Two events of the append have the same id.
    #[error("two events have the id {id}")]
    EventIdRepeated {
        /// The id.
        id: EventId,
    },
    /// The id was spent by an earlier append, and this is not the same append again.
    #[error("the event id {id} was used before, {how}")]
    EventIdReused {
        /// The first such id.
        id: EventId,
        /// What differs.
        how: Reuse,
    },
    /// A stream is not as expected.
    #[error("{}", wrong_revision(stream, *expected, *actual))]
    WrongExpectedRevision {
        /// The stream.
        stream: StreamName,
        /// What was expected.
        expected: Expected,
        /// Its last revision; `None` where it does not exist.
        actual: Option<Revision>,
    },
    /// Something has happened that the append is conditional on not having happened.
    #[error("the event at position {position} meets the append's condition")]
    ConditionFailed {
        /// Where one such event stands.
        position: EventPosition,
    },
    /// The document is not at the expected revision.
    #[error("the document is at another revision than expected: {expected}")]
    WrongDocumentRevision {
        /// Which.
        key: DocumentKey,
        /// What was expected.
        expected: Expected,
        /// Its revision; `None` where it was never stored.
        actual: Option<Revision>,
    },
    /// What the decision depends on cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// How an append differs from the one that spent an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reuse {
    /// The event has another stream, type or content.
    #[error("with other content")]
    OtherContent,
    /// The event is the same, but the append has more, fewer or other events, or another order.
    #[error("in an append of other events")]
    OtherAppend,
}

fn wrong_revision(stream: &StreamName, expected: Expected, actual: Option<Revision>) -> String {
    match actual {
        Some(actual) => {
            format!("the stream {stream} is at revision {actual}; expected was {expected}")
        }
        None => format!("the stream {stream} does not exist; expected was {expected}"),
    }
}
