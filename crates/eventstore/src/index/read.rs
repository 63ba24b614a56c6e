//! The readers' side: where to look in the log.
//!
//! The writer is ahead of what is durable, and so is the index. Readers therefore say up to which record they read:
//! `end` is the first that they leave out.

use lombard_eventstore_core::{DocumentKey, DocumentKind, EventPosition};
use lombard_index::ReadError;
use lombard_types::{Position, Revision, StreamName};

use super::{
    EventIndex,
    key::{
        Hash, NAME_BYTES, NameKey, StreamKey, StreamValue, catalog_key, document_key, hash, join,
        name_key, name_start, part, position, record, six, stream_key,
    },
};

/// What one append added to one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The record that holds it.
    pub(crate) record: Position,
    /// The revision of the first event.
    pub(crate) first_revision: Revision,
    /// The position of the first event.
    pub(crate) first_position: EventPosition,
    /// How many events, at least one.
    pub(crate) count: u64,
}

impl Chunk {
    fn read((key, value): (StreamKey, StreamValue)) -> Self {
        Self {
            record: record(part(&value, 0)),
            first_revision: Revision::new(u64::from_be_bytes(part(&key, 16))),
            first_position: position(part(&value, 6)),
            count: u32::from_be_bytes(part(&value, 12)).into(),
        }
    }

    pub(crate) fn last_revision(&self) -> Revision {
        self.first_revision.plus(self.count.saturating_sub(1))
    }

    pub(crate) fn last_position(&self) -> EventPosition {
        self.first_position.plus(self.count.saturating_sub(1))
    }
}

/// A stream in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    key: NameKey,
    /// The beginning of its name; all of it where it is short enough.
    pub(crate) name_start: Box<str>,
    /// The record of its first append, which has the whole name.
    pub(crate) first_record: Position,
    /// What was last added.
    pub(crate) last: Chunk,
}

impl Listed {
    /// Whether the beginning of the name is all of it.
    pub(crate) fn is_whole(&self) -> bool {
        self.name_start.len() < NAME_BYTES
    }

    /// Whether this is the stream's name.
    pub(crate) fn is_named(&self, name: &StreamName) -> bool {
        part::<16>(&self.key, NAME_BYTES) == hash(name.as_str())
    }
}

impl EventIndex {
    /// The last append to a stream before record `end`.
    pub(crate) fn last_chunk(
        &self,
        stream: &StreamName,
        end: Position,
    ) -> Result<Option<Chunk>, ReadError> {
        self.last_of(hash(stream.as_str()), end)
    }

    fn last_of(&self, stream: Hash, end: Position) -> Result<Option<Chunk>, ReadError> {
        let first = stream_key(stream, Revision::START);
        let last = stream_key(stream, Revision::new(u64::MAX));
        self.maps
            .streams
            .range_back(&first, &last)
            .map(|entry| entry.map(Chunk::read))
            // Almost always the first: few appends are under way.
            .find(|chunk| chunk.as_ref().map_or(true, |chunk| chunk.record < end))
            .transpose()
    }

    /// The appends to a stream that hold the revision `from` and those after it, up to `limit` events or a few more.
    pub(crate) fn forwards(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
        end: Position,
    ) -> Result<Vec<Chunk>, ReadError> {
        let stream = hash(stream.as_str());
        let start = stream_key(stream, Revision::START);
        let holding = self.maps.streams.last_in(&start, &stream_key(stream, from))?;
        let first = holding.map_or(start, |(key, _)| key);
        let last = stream_key(stream, Revision::new(u64::MAX));
        let chunks = self.maps.streams.range(&first, &last).map(|entry| entry.map(Chunk::read));
        let chunks = chunks
            .skip_while(|chunk| chunk.as_ref().is_ok_and(|chunk| chunk.last_revision() < from));
        take(
            chunks,
            limit,
            |chunk| chunk.last_revision().since(from.max(chunk.first_revision)),
            end,
        )
    }

    /// The appends to a stream that hold the revision `from` and those before it, up to `limit` events or a few more.
    pub(crate) fn backwards(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
        end: Position,
    ) -> Result<Vec<Chunk>, ReadError> {
        let stream = hash(stream.as_str());
        let (first, last) = (stream_key(stream, Revision::START), stream_key(stream, from));
        let chunks = self.maps.streams.range_back(&first, &last);
        let chunks = chunks
            .map(|entry| entry.map(Chunk::read))
            .filter(|chunk| chunk.as_ref().map_or(true, |chunk| chunk.record < end));
        let count = |chunk: &Chunk| chunk.last_revision().min(from).since(chunk.first_revision);
        take(chunks, limit, count, end)
    }

    /// A record at or before the one that holds the event at `position`, by at most a few dozen.
    pub(crate) fn near(&self, position: EventPosition) -> Result<Position, ReadError> {
        let found = self.maps.starts.last_in(&six(0), &six(position.get()))?;
        Ok(found.map_or(Position::START, |(_, value)| record(value)))
    }

    /// The streams whose name begins with `prefix`, as far as [`NAME_BYTES`] of it tell, after `after`.
    pub(crate) fn streams(
        &self,
        prefix: &str,
        after: Option<&StreamName>,
        limit: usize,
        end: Position,
    ) -> Result<Vec<Listed>, ReadError> {
        let first: NameKey = join(&[&name_start(prefix), &[0; 16]]);
        let after = after.map(|name| name_key(name, hash(name.as_str())));
        let first = after.map_or(first, |after| first.max(after));
        let kept = prefix.as_bytes().get(..NAME_BYTES).unwrap_or(prefix.as_bytes());
        let mut listed = Vec::new();
        for entry in self.maps.names.range(&first, &[u8::MAX; NAME_BYTES + 16]) {
            let (key, value) = entry?;
            if listed.len() == limit || !key.starts_with(kept) {
                break;
            }
            if Some(key) == after || record(value) >= end {
                continue;
            }
            let Some(last) = self.last_of(part(&key, NAME_BYTES), end)? else {
                continue;
            };
            let name: Vec<u8> =
                key.iter().copied().take(NAME_BYTES).take_while(|byte| *byte != 0).collect();
            let name_start = String::from_utf8_lossy(&name).into();
            listed.push(Listed { key, name_start, first_record: record(value), last });
        }
        Ok(listed)
    }

    /// The records that hold schemas, or erasures, from a record on, in their order; up to `limit`.
    pub(crate) fn catalog(
        &self,
        kind: DocumentKind,
        from: Position,
        limit: usize,
    ) -> Result<Vec<Position>, ReadError> {
        let first = catalog_key(kind, from.get());
        let last = catalog_key(kind, u64::MAX);
        let entries = self.maps.catalog.range(&first, &last).take(limit);
        entries.map(|entry| entry.map(|(key, _)| record(part(&key, 1)))).collect()
    }

    /// The record that holds a document's newest form, which may not be durable yet.
    pub(crate) fn document_record(&self, key: &DocumentKey) -> Result<Option<Position>, ReadError> {
        let found = self.maps.documents.get(&document_key(key))?;
        Ok(found.map(|value| record(part(&value, 0))))
    }
}

/// Chunks before record `end` until they have `limit` events; `more` tells a chunk's wanted events but one.
fn take(
    chunks: impl Iterator<Item = Result<Chunk, ReadError>>,
    limit: usize,
    more: impl Fn(&Chunk) -> u64,
    end: Position,
) -> Result<Vec<Chunk>, ReadError> {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut taken = Vec::new();
    let mut count = 0;
    for chunk in chunks {
        let chunk = chunk?;
        if count >= limit || chunk.record >= end {
            break;
        }
        count += more(&chunk) + 1;
        taken.push(chunk);
    }
    Ok(taken)
}
