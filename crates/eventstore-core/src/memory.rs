//! The past in memory: the definition that every other keeping of it is compared with.

use std::collections::BTreeMap;

use lombard_types::{EventId, Position, Revision, StreamName};

use crate::{
    Criterion, DocumentKey, Event, EventPosition, EventType, Past, StreamAppended, Tag, Unreadable,
};

/// The past in memory, for tests and small stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryPast {
    records: BTreeMap<EventId, Position>,
    streams: BTreeMap<StreamName, Revision>,
    documents: BTreeMap<DocumentKey, Revision>,
    /// In order of position, which begins at 0 and has no gaps.
    events: Vec<(EventType, Box<[Tag]>)>,
}

impl MemoryPast {
    /// Makes what a record holds part of the past.
    pub fn apply(&mut self, event: &Event, record: Position) {
        match event {
            Event::Appended(appended) => {
                for part in &appended.streams {
                    self.extend(part, record);
                }
            }
            Event::Stored(stored) => {
                self.documents.insert(stored.key.clone(), stored.revision);
            }
        }
    }

    fn extend(&mut self, part: &StreamAppended, record: Position) {
        for event in &part.events {
            self.records.insert(event.id, record);
            self.events.push((event.event_type.clone(), event.tags.clone()));
        }
        if let Some(last) = part.first_revision.plus(part.event_count()).previous() {
            self.streams.insert(part.stream.clone(), last);
        }
    }
}

impl Past for MemoryPast {
    fn next_position(&self) -> EventPosition {
        EventPosition::new(u64::try_from(self.events.len()).unwrap_or(u64::MAX))
    }

    fn record_of(&self, id: EventId) -> Result<Option<Position>, Unreadable> {
        Ok(self.records.get(&id).copied())
    }

    fn last_revision(&self, stream: &StreamName) -> Result<Option<Revision>, Unreadable> {
        Ok(self.streams.get(stream).copied())
    }

    fn find(
        &self,
        criterion: &Criterion,
        from: EventPosition,
    ) -> Result<Option<EventPosition>, Unreadable> {
        let events = (0..).map(EventPosition::new).zip(&self.events);
        let mut later = events.skip_while(|(position, _)| *position < from);
        let found = later.find(|(_, (event_type, tags))| criterion.is_met_by(event_type, tags));
        Ok(found.map(|(position, _)| position))
    }

    fn document(&self, key: &DocumentKey) -> Result<Option<Revision>, Unreadable> {
        Ok(self.documents.get(key).copied())
    }
}
