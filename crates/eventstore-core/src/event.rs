//! What happened: the only thing that is stored.

use lombard_types::{Revision, StreamName};

use crate::{DocumentStored, EventPosition, Evidence, NewEvent};

/// What a command led to; always exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Events were added to streams.
    Appended(Appended),
    /// A document was stored.
    Stored(DocumentStored),
}

/// One append, whole. It says where its events stand, so that it can be read by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The position of its first event; the others follow without a gap, in the order of `streams`.
    pub first_position: EventPosition,
    /// What was added to which stream.
    pub streams: Vec<StreamAppended>,
    /// Who asked.
    pub evidence: Evidence,
}

impl Appended {
    /// How many events it has.
    pub fn event_count(&self) -> u64 {
        self.streams.iter().map(StreamAppended::event_count).sum()
    }

    /// The position that the next append begins at.
    pub fn end(&self) -> EventPosition {
        self.first_position.plus(self.event_count())
    }

    /// The events with their streams, revisions and positions.
    pub fn events(&self) -> impl Iterator<Item = Placed<'_>> {
        let parts = self.streams.iter().scan(self.first_position, |next, part| {
            let first = *next;
            *next = first.plus(part.event_count());
            Some((first, part))
        });
        parts.flat_map(|(first, part)| {
            (0..).zip(&part.events).map(move |(steps, event)| Placed {
                stream: &part.stream,
                revision: part.first_revision.plus(steps),
                position: first.plus(steps),
                event,
            })
        })
    }
}

/// What was added to one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamAppended {
    /// The stream.
    pub stream: StreamName,
    /// The revision of the first event; the others follow without a gap.
    pub first_revision: Revision,
    /// The events.
    pub events: Vec<NewEvent>,
}

impl StreamAppended {
    /// How many events were added to the stream.
    pub fn event_count(&self) -> u64 {
        u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }
}

/// An event and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    /// Its stream.
    pub stream: &'a StreamName,
    /// Which of the stream's events it is.
    pub revision: Revision,
    /// Which of all events it is.
    pub position: EventPosition,
    /// The event.
    pub event: &'a NewEvent,
}
