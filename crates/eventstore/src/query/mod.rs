//! The read side: which events a reader wants, and reading them from the log.
//!
//! The index says in which records to look; the records say everything else. So a reader sees what is durable and
//! nothing else, whatever the index holds.

mod all;
mod cursor;
mod filter;
mod records;
mod stream;
mod time;

use std::ops::ControlFlow;

use lombard_engine::DecodeError;
use lombard_eventstore_core::{EventPosition, Evidence, Placed};
use lombard_log::{ReadError, SharedLog};
use lombard_types::Position;

pub(crate) use self::{
    all::AllReading,
    cursor::{Cursor, Place},
    filter::Filter,
    records::Records,
    stream::StreamReading,
};
use crate::{codec::Recorded, index::EventIndex, subjects::OpenError};

/// Which way to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    #[default]
    Forwards,
    Backwards,
}

/// Up to where a reader looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Horizon {
    /// The first record that is left out: not durable, or later than the reader wants to know.
    pub(crate) end: Position,
    /// The last event of those.
    pub(crate) until: Option<EventPosition>,
}

impl Horizon {
    fn includes(&self, position: EventPosition) -> bool {
        self.until.is_none_or(|until| position <= until)
    }
}

/// A stored event, where it stands, and who wrote it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) placed: Placed<'a>,
    pub(crate) recorded: Recorded,
    pub(crate) evidence: &'a Evidence,
}

/// Told of each event; breaks off when it has enough, without having taken that event.
pub(crate) trait Taking: FnMut(Stored<'_>) -> ControlFlow<()> + Send {}

impl<T: FnMut(Stored<'_>) -> ControlFlow<()> + Send> Taking for T {}

/// Events could not be read. All of these are for the log of the role, not for the caller.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("failed to read events from the log")]
    Log(#[from] ReadError),
    #[error("failed to read the index")]
    Index(#[from] lombard_index::ReadError),
    #[error("failed to decode record {record}")]
    Decode { record: Position, source: DecodeError },
    #[error("failed to open what is sealed in record {record}")]
    Show { record: Position, source: OpenError },
    #[error("record {record} is not where the index has it")]
    Missing { record: Position },
}

/// Reads events. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) index: EventIndex,
    pub(crate) log: SharedLog,
}

impl Reader {
    /// The first record that is not durable yet.
    pub(crate) fn durable(&self) -> Position {
        *self.log.durable().borrow()
    }
}
