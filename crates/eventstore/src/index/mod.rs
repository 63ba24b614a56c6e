//! What the store knows of the past: where each event, stream, tag and type stands in the log.
//!
//! The writer makes every append part of the index before the append is durable, and decides on it ([`Past`]); readers
//! share the same maps, and leave out what the log does not give yet. The maps are larger than memory: what is older
//! than a few hundred thousand appends is in sealed files, which hold nothing that is not durable in the log. All of it
//! can be thrown away and is then made again from the log.
//!
//! | map       | from                                   | to                          | bytes, each           |
//! |-----------|----------------------------------------|-----------------------------|-----------------------|
//! | ids       | event id                               | record                      | 22 an event           |
//! | streams   | stream, first revision                 | record, position, count     | 40 a stream's append  |
//! | names     | the name's beginning, stream           | record of the first append  | 54 a stream           |
//! | types     | type, last position of it in a record  | record                      | 28 a type in an append|
//! | tags      | tag, type, position                    | record                      | 36 a tag of an event  |
//! | starts    | first position of every 64th record    | record                      | next to nothing       |
//! | documents | kind and name                          | record, revision            | 30 a document         |

mod find;
mod key;
mod learn;
mod past;
mod read;
mod select;

use std::{fmt, path::Path, sync::Arc};

use lombard_eventstore_core::EventPosition;
use lombard_index::{Index, Map};
use lombard_log::{Log as _, ReadError, SharedLog};
use lombard_types::Position;
use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) use self::{key::NameKey, read::{Chunk, Listed}};

use self::{
    key::{
        DocumentHash, DocumentValue, IdKey, IdValue, NameKey, NameValue, StartKey, StartValue,
        StreamKey, StreamValue, TagKey, TagValue, TypeKey, TypeValue,
    },
    learn::Learning,
};

/// The index. Cheap to clone; one writer, many readers.
#[derive(Clone)]
pub struct EventIndex {
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
    /// The position that the next event gets.
    next_position: watch::Sender<EventPosition>,
    learning: Mutex<Learning>,
}

impl fmt::Debug for EventIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventIndex")
            .field("next_position", &*self.maps.next_position.borrow())
            .finish_non_exhaustive()
    }
}
