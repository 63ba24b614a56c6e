//! Finds the records that hold events of some types and tags, so that a reader need not go through all.

use std::collections::BTreeMap;

use lombard_eventstore_core::{Criterion, EventPosition, Query};
use lombard_index::ReadError;
use lombard_types::Position;

use super::{
    EventIndex,
    key::{
        Hash, POSITIONS_MAX, TypeHash, hash, part, position, record, tag_key, type_hash, type_key,
    },
};
use crate::query::Direction;

/// Types of one tag's events that are looked through. A tag with more is read past like any other event.
const TYPES_MAX: usize = 1000;

/// Records that hold wanted events, in the order of reading.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) records: Vec<Position>,
    /// Whether there are no others.
    pub(crate) is_all: bool,
}

/// Records by the position of an event that they hold.
type Entries = Vec<(u64, Position)>;

impl EventIndex {
    /// The records that hold the next events of a query from `from` on: about `limit`, or all. They may hold others too.
    /// `None` where the index does not help.
    pub(crate) fn records_of(
        &self,
        query: &Query,
        from: EventPosition,
        direction: Direction,
        limit: usize,
    ) -> Result<Option<Selected>, ReadError> {
        let mut found: BTreeMap<u64, Position> = BTreeMap::new();
        // Where the first list ends that has more entries than were taken.
        let mut bound = None;
        for criterion in &query.0 {
            let Some(lists) = self.lists(criterion, from.get(), direction, limit)? else {
                return Ok(None);
            };
            for list in lists {
                if list.len() >= limit
                    && let Some((last, _)) = list.last()
                {
                    bound = Some(match (bound, direction) {
                        (None, _) => *last,
                        (Some(bound), Direction::Forwards) => (*last).min(bound),
                        (Some(bound), Direction::Backwards) => (*last).max(bound),
                    });
                }
                found.extend(list);
            }
        }
        let mut records: Vec<Position> = match (direction, bound) {
            (_, None) => found.into_values().collect(),
            (Direction::Forwards, Some(bound)) => {
                found.range(..=bound).map(|(_, record)| *record).collect()
            }
            (Direction::Backwards, Some(bound)) => {
                found.range(bound..).map(|(_, record)| *record).collect()
            }
        };
        records.dedup();
        if direction == Direction::Backwards {
            records.reverse();
        }
        Ok(Some(Selected { records, is_all: bound.is_none() }))
    }

    /// For each type of the criterion up to `limit` entries; every event that meets the criterion is in a record of
    /// theirs.
    fn lists(
        &self,
        criterion: &Criterion,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Option<Vec<Entries>>, ReadError> {
        let types: Vec<Hash> = criterion.types.iter().map(|name| hash(name.as_str())).collect();
        let Some(tag) = criterion.tags.first() else {
            if types.is_empty() {
                return Ok(None);
            }
            let lists = types.into_iter().map(|of| self.of_type(of, from, direction, limit));
            return lists.collect::<Result<_, _>>().map(Some);
        };
        let tag = hash(tag.as_str());
        let types: Vec<TypeHash> = if types.is_empty() {
            let Some(types) = self.types_of(tag)? else {
                return Ok(None);
            };
            types
        } else {
            types.into_iter().map(type_hash).collect()
        };
        let lists = types.into_iter().map(|of| self.of_tag(tag, of, from, direction, limit));
        lists.collect::<Result<_, _>>().map(Some)
    }

    fn of_type(
        &self,
        event_type: Hash,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Entries, ReadError> {
        let entry =
            |(key, value): ([u8; 22], [u8; 6])| (position(part(&key, 16)).get(), record(value));
        let (first, last) = (type_key(event_type, 0), type_key(event_type, POSITIONS_MAX - 1));
        let types = &self.maps.types;
        match direction {
            Direction::Forwards => types
                .range(&type_key(event_type, from), &last)
                .take(limit)
                .map(|found| found.map(entry))
                .collect(),
            Direction::Backwards => {
                // Only the last event of a record is noted: the first one after `from` may follow others before it.
                let after =
                    types.range(&type_key(event_type, from.saturating_add(1)), &last).take(1);
                let before = types.range_back(&first, &type_key(event_type, from)).take(limit);
                after.chain(before).map(|found| found.map(entry)).collect()
            }
        }
    }

    fn of_tag(
        &self,
        tag: Hash,
        event_type: TypeHash,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Entries, ReadError> {
        let entry =
            |(key, value): ([u8; 30], [u8; 6])| (position(part(&key, 24)).get(), record(value));
        let at = tag_key(tag, event_type, from);
        let last = tag_key(tag, event_type, POSITIONS_MAX - 1);
        let tags = &self.maps.tags;
        match direction {
            Direction::Forwards => {
                tags.range(&at, &last).take(limit).map(|found| found.map(entry)).collect()
            }
            Direction::Backwards => {
                // Only the last of events that are alike is noted, as it is of a type's.
                let next = tag_key(tag, event_type, from.saturating_add(1));
                let after = tags.range(&next, &last).take(1);
                let before = tags.range_back(&tag_key(tag, event_type, 0), &at).take(limit);
                after.chain(before).map(|found| found.map(entry)).collect()
            }
        }
    }

    /// The types of a tag's events, unless they are very many.
    fn types_of(&self, tag: Hash) -> Result<Option<Vec<TypeHash>>, ReadError> {
        let last = tag_key(tag, [u8::MAX; 8], POSITIONS_MAX - 1);
        let mut types = Vec::new();
        let mut from = tag_key(tag, [0; 8], 0);
        while let Some(found) = self.maps.tags.range(&from, &last).next() {
            let (key, _) = found?;
            let event_type: TypeHash = part(&key, 16);
            if types.len() == TYPES_MAX {
                return Ok(None);
            }
            types.push(event_type);
            let Some(next) = u64::from_be_bytes(event_type).checked_add(1) else {
                break;
            };
            from = tag_key(tag, next.to_be_bytes(), 0);
        }
        Ok(Some(types))
    }
}
