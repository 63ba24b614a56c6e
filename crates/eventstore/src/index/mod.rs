//! What the store knows of the past: where each event, stream, tag and type stands in the log.
//!
//! The writer makes every append part of the index before the append is durable, and decides on it ([`Past`]); readers
//! share the same maps, and leave out what the log does not give yet. The maps are larger than memory: what is older
//! than a few hundred thousand appends is in sealed files, which hold nothing that is not durable in the log. All of it
//! can be thrown away and is then made again from the log.
//!
//! | map       | from                                   | to                          | bytes, before sealing |
//! |-----------|----------------------------------------|-----------------------------|-----------------------|
//! | ids       | event id                               | record                      | 22 an event           |
//! | streams   | stream, first revision                 | record, position, count     | 40 a stream's append  |
//! | names     | the name's beginning, stream           | record of the first append  | 54 a stream           |
//! | types     | type, last position of it in a record  | record                      | 28 a type in an append|
//! | tags      | tag, type, last position alike         | record                      | 36 a tag in an append |
//! | starts    | first position of every 64th record    | record                      | next to nothing       |
//! | documents | kind and name                          | record, revision            | 30 a document         |
//! | catalog   | kind, record, of schemas and erasures  | nothing                     | 8 a document          |

pub(crate) mod blocking;
mod find;
mod hashes;
mod key;
mod learn;
mod past;
mod read;
mod select;

use std::{fmt, path::Path, sync::Arc};

use lombard_eventstore_core::{Event, EventPosition};
use lombard_index::{FilterOn, Index, Map, MapSpec, Opening, Reads};
use lombard_log::{ReadError, SharedLog};
use lombard_types::Position;
use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) use self::read::{Chunk, Listed};

use self::{
    hashes::Hashes,
    key::{
        CatalogKey, CatalogValue, DocumentHash, DocumentValue, IdKey, IdValue, NameKey, NameValue,
        StartKey, StartValue, StreamKey, StreamValue, TagKey, TagValue, TypeKey, TypeValue,
    },
    learn::Learning,
};
use crate::codec;

/// The index. Cheap to clone; one writer, many readers.
#[derive(Clone)]
pub(crate) struct EventIndex {
    maps: Arc<Maps>,
}

struct Maps {
    index: Index,
    ids: Map<{ size_of::<IdKey>() }, { size_of::<IdValue>() }>,
    streams: Map<{ size_of::<StreamKey>() }, { size_of::<StreamValue>() }>,
    names: Map<{ size_of::<NameKey>() }, { size_of::<NameValue>() }>,
    types: Map<{ size_of::<TypeKey>() }, { size_of::<TypeValue>() }>,
    tags: Map<{ size_of::<TagKey>() }, { size_of::<TagValue>() }>,
    starts: Map<{ size_of::<StartKey>() }, { size_of::<StartValue>() }>,
    documents: Map<{ size_of::<DocumentHash>() }, { size_of::<DocumentValue>() }>,
    catalog: Map<{ size_of::<CatalogKey>() }, { size_of::<CatalogValue>() }>,
    /// The position that the next event gets.
    next_position: watch::Sender<EventPosition>,
    learning: Mutex<Learning>,
    /// Of what the writer looks up.
    hashes: Mutex<Hashes>,
}

impl fmt::Debug for EventIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventIndex")
            .field("next_position", &*self.maps.next_position.borrow())
            .finish_non_exhaustive()
    }
}

/// How far a log is durable.
type Durable = watch::Receiver<Position>;

/// Ids are looked up before anything is known of them, so most are absent; streams and tags are often new.
const IDS: MapSpec = MapSpec { name: "ids", filter: FilterOn::First(16), reads: Reads::Keys };
const STREAMS: MapSpec =
    MapSpec { name: "streams", filter: FilterOn::First(16), reads: Reads::Ranges };
const NAMES: MapSpec = MapSpec { name: "names", filter: FilterOn::Nothing, reads: Reads::Ranges };
const TYPES: MapSpec = MapSpec { name: "types", filter: FilterOn::First(16), reads: Reads::Ranges };
/// Conditions are on a tag's events of one type, of which there most often is none, or on those of any type.
const TAGS: MapSpec =
    MapSpec { name: "tags", filter: FilterOn::Firsts(16, 24), reads: Reads::Ranges };
const STARTS: MapSpec = MapSpec { name: "starts", filter: FilterOn::Nothing, reads: Reads::Ranges };
const CATALOG: MapSpec =
    MapSpec { name: "catalog", filter: FilterOn::Nothing, reads: Reads::Ranges };
const DOCUMENTS: MapSpec =
    MapSpec { name: "documents", filter: FilterOn::First(16), reads: Reads::Ranges };

impl EventIndex {
    /// Opens the index of a log in a directory, and says from where on the log must be read into it. One that does not
    /// fit the log is thrown away: the log is the truth. Blocks.
    pub(crate) fn open(
        directory: &Path,
        log: &SharedLog,
        freeze_events: u64,
    ) -> Result<(Self, Position), OpenError> {
        let start = |opening: Opening, durable| Ok((opening.start(durable)?, ()));
        let (index, position, ()) = Self::open_with(directory, log, freeze_events, start)?;
        Ok((index, position))
    }

    /// The same, where it is the caller who seals: by polling the future.
    #[cfg(test)]
    pub(crate) fn unthreaded(
        directory: &Path,
        log: &SharedLog,
        freeze_events: u64,
    ) -> Result<(Self, Position, impl Future<Output = ()> + use<>), OpenError> {
        Self::open_with(directory, log, freeze_events, Opening::unthreaded)
    }

    fn open_with<S>(
        directory: &Path,
        log: &SharedLog,
        freeze_events: u64,
        start: impl Fn(Opening, Durable) -> Result<(Index, S), lombard_index::OpenError>,
    ) -> Result<(Self, Position, S), OpenError> {
        match Self::open_as_it_is(directory, log, freeze_events, &start) {
            Ok(opened) => return Ok(opened),
            Err(reason) => {
                let cause = std::error::Error::source(&reason).map(ToString::to_string);
                tracing::warn!(%reason, cause, "the index is made again from the log");
            }
        }
        Opening::discard(directory)?;
        Self::open_as_it_is(directory, log, freeze_events, &start)
    }

    fn open_as_it_is<S>(
        directory: &Path,
        log: &SharedLog,
        freeze_events: u64,
        start: impl Fn(Opening, Durable) -> Result<(Index, S), lombard_index::OpenError>,
    ) -> Result<(Self, Position, S), OpenError> {
        let mut opening = Opening::new(directory)?;
        let position = opening.position();
        let next_position = match position.previous() {
            None => EventPosition::START,
            Some(last) => next_after(log, last, opening.mark())?,
        };
        let (ids, streams, names) = (opening.map(IDS)?, opening.map(STREAMS)?, opening.map(NAMES)?);
        let (types, tags) = (opening.map(TYPES)?, opening.map(TAGS)?);
        let (starts, documents) = (opening.map(STARTS)?, opening.map(DOCUMENTS)?);
        let catalog = opening.map(CATALOG)?;
        let (index, sealing) = start(opening, log.durable())?;
        let maps = Maps {
            index,
            ids,
            streams,
            names,
            types,
            tags,
            starts,
            documents,
            catalog,
            next_position: watch::Sender::new(next_position),
            learning: Mutex::new(Learning::new(freeze_events)),
            hashes: Mutex::default(),
        };
        Ok((Self { maps: Arc::new(maps) }, position, sealing))
    }

    /// Everything before this record is sealed: what is after it is read again at a restart.
    pub(crate) fn sealed(&self) -> Position {
        self.maps.index.sealed()
    }

    /// Why nothing can be sealed at the moment.
    pub(crate) fn obstacle(&self) -> Option<Arc<str>> {
        self.maps.index.obstacle()
    }
}

/// An index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its files.
    #[error(transparent)]
    Files(#[from] lombard_index::OpenError),
    /// The log under it.
    #[error("failed to read the last record that is in the index")]
    Log(#[from] ReadError),
    /// It was made from another log, or from a part of this log that is gone.
    #[error("the index was not made from this log, or the log lost its end")]
    OtherLog,
}

/// The position after the last event at or before a record, whose time is `mark`.
fn next_after(log: &SharedLog, last: Position, mark: u64) -> Result<EventPosition, OpenError> {
    let read = |position| {
        let record = blocking::read(log, position)?.ok_or(OpenError::OtherLog)?;
        codec::decode_record(&record).map_err(|_| OpenError::OtherLog)
    };
    let mut stored = read(last)?;
    if stored.recorded.time.unix_nanos() != mark {
        return Err(OpenError::OtherLog);
    }
    // A few documents may stand after it.
    loop {
        if let Event::Appended(appended) = &stored.event {
            return Ok(appended.end());
        }
        match stored.recorded.position.previous() {
            Some(before) => stored = read(before)?,
            None => return Ok(EventPosition::START),
        }
    }
}

#[cfg(test)]
mod tests;
