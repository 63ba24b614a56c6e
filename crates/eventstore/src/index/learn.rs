//! The writer's side: makes what happened part of the index.

use lombard_engine::At;
use lombard_eventstore_core::{
    Appended, DocumentKind, DocumentStored, Event, NewEvent, StreamAppended,
};
use lombard_types::{Position, Revision};

use super::{
    EventIndex,
    key::{
        Hash, POSITIONS_MAX, catalog_key, document_key, id_key, join, name_key, six, stream_key,
        tag_key, type_hash, type_key,
    },
};

/// Records between two of which the first position is noted: what a reader goes through to find a position.
const START_RECORDS: u64 = 64;
/// A record of so many events is noted itself: it is long to go through, and its entry is little beside it.
const START_EVENTS: u64 = 16;

/// What only the writer needs.
#[derive(Debug)]
pub(super) struct Learning {
    /// Events after which what is in memory is made ready to be sealed.
    freeze_events: u64,
    events_since_freeze: u64,
}

impl EventIndex {
    /// Makes what a record holds part of the index. Records come in their order.
    pub(crate) fn apply(&self, event: &Event, at: At) {
        let record = at.position;
        let mut learning = self.maps.learning.lock();
        match event {
            Event::Appended(appended) => self.append(appended, record),
            Event::Stored(stored) => self.store(stored, record),
        }
        learning.events_since_freeze += match event {
            Event::Appended(appended) => appended.event_count(),
            Event::Stored(_) => 1,
        };
        if learning.events_since_freeze >= learning.freeze_events {
            learning.events_since_freeze = 0;
            self.maps.index.freeze(record.next(), at.time.unix_nanos());
        }
    }

    fn append(&self, appended: &Appended, record: Position) {
        debug_assert!(appended.end().get() < POSITIONS_MAX, "positions fit in 48 bits");
        let mut hashes = self.maps.hashes.lock();
        let record_six = six(record.get());
        let first = appended.first_position;
        let is_long = appended.event_count() >= START_EVENTS;
        if record.get().is_multiple_of(START_RECORDS) || first.get() == 0 || is_long {
            self.maps.starts.insert(six(first.get()), record_six);
        }
        let mut position = first.get();
        // For each type its last event.
        let mut types: Vec<(Hash, u64)> = Vec::new();
        let mut part_position = position;
        for part in &appended.streams {
            let stream = hashes.of(part.stream.as_str());
            self.extend(stream, part, part_position, record_six);
            part_position += part.event_count();
        }
        let mut events = appended.streams.iter().flat_map(|part| &part.events).peekable();
        while let Some(event) = events.next() {
            self.maps.ids.insert(id_key(event.id), record_six);
            // Of events next to each other that are alike the last one says all.
            if events.peek().is_none_or(|next| !are_alike(event, next)) {
                let event_type = hashes.of(event.event_type.as_str());
                match types.iter_mut().find(|(known, _)| *known == event_type) {
                    Some((_, last)) => *last = position,
                    None => types.push((event_type, position)),
                }
                for tag in &event.tags {
                    let key = tag_key(hashes.of(tag.as_str()), type_hash(event_type), position);
                    self.maps.tags.insert(key, record_six);
                }
            }
            position += 1;
        }
        for (event_type, last) in types {
            self.maps.types.insert(type_key(event_type, last), record_six);
        }
        self.maps.next_position.send_replace(appended.end());
    }

    fn extend(&self, stream: Hash, part: &StreamAppended, position: u64, record: [u8; 6]) {
        let count = u32::try_from(part.events.len()).unwrap_or(u32::MAX).to_be_bytes();
        let value = join(&[&record, &six(position), &count]);
        self.maps.streams.insert(stream_key(stream, part.first_revision), value);
        if part.first_revision == Revision::START {
            self.maps.names.insert(name_key(&part.stream, stream), record);
        }
    }

    fn store(&self, stored: &DocumentStored, record: Position) {
        let value = join(&[&six(record.get()), &stored.revision.get().to_be_bytes()]);
        self.maps.documents.insert(document_key(&stored.key), value);
        // Of these all are wanted at a start.
        if matches!(stored.key.kind, DocumentKind::Schema | DocumentKind::ErasedSubject) {
            self.maps.catalog.insert(catalog_key(stored.key.kind, record.get()), [0]);
        }
    }
}

/// Whether every criterion is met by both or by neither.
fn are_alike(one: &NewEvent, other: &NewEvent) -> bool {
    one.event_type == other.event_type && one.tags == other.tags
}

impl Learning {
    pub(super) fn new(freeze_events: u64) -> Self {
        Self { freeze_events, events_since_freeze: 0 }
    }
}
