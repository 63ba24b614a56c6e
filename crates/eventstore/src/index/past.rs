//! What the writer decides on.

use lombard_eventstore_core::{Criterion, DocumentKey, EventPosition, Past, Unreadable};
use lombard_types::{EventId, Position, Revision, StreamName};

use super::{
    EventIndex,
    find::{Found, Search},
    key::{document_key, id_key, part, record, stream_key},
};

impl Past for EventIndex {
    fn next_position(&self) -> EventPosition {
        *self.maps.next_position.borrow()
    }

    fn record_of(&self, id: EventId) -> Result<Option<Position>, Unreadable> {
        Ok(self.maps.ids.get(&id_key(id)).map_err(unreadable)?.map(record))
    }

    fn last_revision(&self, stream: &StreamName) -> Result<Option<Revision>, Unreadable> {
        let stream = self.maps.hashes.lock().of(stream.as_str());
        let first = stream_key(stream, Revision::START);
        let last = stream_key(stream, Revision::new(u64::MAX));
        let found = self.maps.streams.newest_in(&first, &last).map_err(unreadable)?;
        Ok(found.map(|(key, value)| {
            let revision = Revision::new(u64::from_be_bytes(part(&key, 16)));
            let count = u32::from_be_bytes(part(&value, 12));
            revision.plus(u64::from(count).saturating_sub(1))
        }))
    }

    fn find(
        &self,
        criterion: &Criterion,
        from: EventPosition,
    ) -> Result<Option<EventPosition>, Unreadable> {
        let end = self.next_position();
        if from >= end {
            return Ok(None);
        }
        match Search::new(&self.maps, criterion).any(from, end).map_err(unreadable)? {
            Found::At(position) => Ok(Some(position)),
            Found::Nothing => Ok(None),
            Found::TooCostly { steps_max } => Err(Unreadable::TooCostly { steps_max }),
        }
    }

    fn document(&self, key: &DocumentKey) -> Result<Option<Revision>, Unreadable> {
        let found = self.maps.documents.get(&document_key(key)).map_err(unreadable)?;
        Ok(found.map(|value| Revision::new(u64::from_be_bytes(part(&value, 6)))))
    }
}

fn unreadable(error: lombard_index::ReadError) -> Unreadable {
    Unreadable::Storage { cause: error.to_string().into() }
}
