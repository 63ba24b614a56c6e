//! The state, and how an event changes it.

use std::collections::BTreeMap;

use lombard_types::{EventId, Position, Revision, StreamName, Timestamp};

use crate::{Appended, ContentDigest, EventPosition};

/// What one append may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams of one append.
    pub append_streams_max: usize,
    /// Events of one append, over all its streams.
    pub append_events_max: usize,
}

/// Where and when an append was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The record of the log.
    pub position: Position,
    /// The store's own time.
    pub time: Timestamp,
}

/// What deciding needs to know of the past. Costs about 100 bytes of memory per event, and per stream about 50 and its
/// name.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) limits: Limits,
    /// The last revision of each stream.
    streams: BTreeMap<StreamName, Revision>,
    events: BTreeMap<EventId, Known>,
    /// In the order of positions, which have no gaps: one append ends where the next begins.
    appends: Vec<KnownAppend>,
    next_position: EventPosition,
}

/// An event whose id is spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) position: EventPosition,
    pub(crate) revision: Revision,
    pub(crate) digest: ContentDigest,
}

/// An append that happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownAppend {
    pub(crate) first: EventPosition,
    /// The position after its last event.
    pub(crate) end: EventPosition,
    pub(crate) recorded: Recorded,
}

impl Store {
    /// Without any event.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            streams: BTreeMap::new(),
            events: BTreeMap::new(),
            appends: Vec::new(),
            next_position: EventPosition::START,
        }
    }

    /// The last revision of a stream; `None` where it does not exist.
    pub fn last_revision(&self, stream: &StreamName) -> Option<Revision> {
        self.streams.get(stream).copied()
    }

    /// How many streams exist.
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// The position that the next event gets, which is also how many there are.
    pub const fn next_position(&self) -> EventPosition {
        self.next_position
    }

    pub(crate) fn known(&self, id: EventId) -> Option<Known> {
        self.events.get(&id).copied()
    }

    /// The append that an event was part of.
    pub(crate) fn append_of(&self, position: EventPosition) -> Option<KnownAppend> {
        let index = self.appends.partition_point(|append| append.end <= position);
        self.appends.get(index).copied()
    }

    /// Makes an append part of the state.
    pub fn apply(&mut self, appended: &Appended, recorded: Recorded) {
        let first = appended.first_position;
        let mut position = first;
        for part in &appended.streams {
            let mut revision = part.first_revision;
            for event in &part.events {
                self.events.insert(event.id, Known { position, revision, digest: event.digest });
                position = position.next();
                revision = revision.next();
            }
            if let Some(last) = revision.previous() {
                self.streams.insert(part.stream.clone(), last);
            }
        }
        self.appends.push(KnownAppend { first, end: position, recorded });
        self.next_position = position;
    }
}
