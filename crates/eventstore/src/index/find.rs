//! Finds events by type and tags.

use lombard_eventstore_core::{Criterion, EventPosition};
use lombard_index::ReadError;

use super::{
    Maps,
    key::{Hash, POSITIONS_MAX, TagKey, TypeHash, part, position, tag_key, type_hash, type_key},
};

/// Entries of the index that one search looks at. At well under a microsecond each where they are in memory, the writer
/// is held up for milliseconds at most.
const STEPS_MAX: usize = 10_000;

/// The outcome of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    At(EventPosition),
    Nothing,
    TooCostly { steps_max: usize },
}

/// Looks for events that meet a criterion.
pub(super) struct Search<'a> {
    maps: &'a Maps,
    /// Empty: any.
    types: Vec<Hash>,
    /// Empty: any.
    tags: Vec<Hash>,
    steps: usize,
}

/// Out of steps, or out of order.
enum Stop {
    TooCostly,
    Read(ReadError),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl<'a> Search<'a> {
    pub(super) fn new(maps: &'a Maps, criterion: &Criterion) -> Self {
        let mut hashes = maps.hashes.lock();
        Self {
            maps,
            types: criterion.types.iter().map(|name| hashes.of(name.as_str())).collect(),
            tags: criterion.tags.iter().map(|tag| hashes.of(tag.as_str())).collect(),
            steps: 0,
        }
    }

    /// Any event of those from `from` to before `end`, which has at least one.
    pub(super) fn any(
        mut self,
        from: EventPosition,
        end: EventPosition,
    ) -> Result<Found, ReadError> {
        let range = (from.get(), end.get() - 1);
        let found = match (self.types.is_empty(), self.tags.as_slice()) {
            (true, []) => Ok(Some(range.1)),
            (false, []) => self.of_types(range),
            (_, _) => self.with_tags(range),
        };
        match found {
            Ok(Some(found)) => Ok(Found::At(EventPosition::new(found))),
            Ok(None) => Ok(Found::Nothing),
            Err(Stop::TooCostly) => Ok(Found::TooCostly { steps_max: STEPS_MAX }),
            Err(Stop::Read(error)) => Err(error),
        }
    }

    fn of_types(&self, (first, last): (u64, u64)) -> Result<Option<u64>, Stop> {
        for event_type in &self.types {
            // The last position of a record is noted: where any event of it is in the range, that one is.
            let found = self
                .maps
                .types
                .last_in(&type_key(*event_type, first), &type_key(*event_type, last))?;
            if let Some((key, _)) = found {
                return Ok(Some(position(part(&key, 16)).get()));
            }
        }
        Ok(None)
    }

    fn with_tags(&mut self, range: (u64, u64)) -> Result<Option<u64>, Stop> {
        let Some(&tag) = self.tags.first() else {
            return Ok(None);
        };
        if !self.types.is_empty() {
            let types: Vec<TypeHash> = self.types.iter().copied().map(type_hash).collect();
            for event_type in types {
                if let Some(found) = self.with_type(event_type, range)? {
                    return Ok(Some(found));
                }
            }
            return Ok(None);
        }
        // Any type: from each type of the tag's events to the next.
        let mut from = tag_key(tag, [0; 8], 0);
        while let Some(event_type) = self.next_type(tag, &from)? {
            if let Some(found) = self.with_type(event_type, range)? {
                return Ok(Some(found));
            }
            match next(event_type) {
                Some(event_type) => from = tag_key(tag, event_type, 0),
                None => break,
            }
        }
        Ok(None)
    }

    fn next_type(&mut self, tag: Hash, from: &TagKey) -> Result<Option<TypeHash>, Stop> {
        self.step()?;
        let last = tag_key(tag, [u8::MAX; 8], POSITIONS_MAX - 1);
        let found = self.maps.tags.first_in(from, &last)?;
        Ok(found.map(|(key, _)| part(&key, 16)))
    }

    /// An event of the type with all the tags: leaps from each tag's next event to the others'. Of events that are alike
    /// the last one is noted, under each of its tags: where any of them is in the range, that one is.
    fn with_type(
        &mut self,
        event_type: TypeHash,
        (first, last): (u64, u64),
    ) -> Result<Option<u64>, Stop> {
        let mut candidate = first;
        let mut agreeing = 0;
        for tag in self.tags.clone().into_iter().cycle() {
            self.step()?;
            let from = tag_key(tag, event_type, candidate);
            let to = tag_key(tag, event_type, last);
            let Some((key, _)) = self.maps.tags.first_in(&from, &to)? else {
                return Ok(None);
            };
            let found = position(part(&key, 24)).get();
            if found > candidate {
                candidate = found;
                agreeing = 0;
            }
            agreeing += 1;
            if agreeing == self.tags.len() {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    fn step(&mut self) -> Result<(), Stop> {
        self.steps += 1;
        if self.steps > STEPS_MAX { Err(Stop::TooCostly) } else { Ok(()) }
    }
}

fn next(event_type: TypeHash) -> Option<TypeHash> {
    u64::from_be_bytes(event_type).checked_add(1).map(u64::to_be_bytes)
}
