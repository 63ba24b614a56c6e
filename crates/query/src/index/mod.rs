//! The index: what is in memory and what is on disk, made from events.

mod apply;
mod read;
mod restore;
mod statements;

use lombard_index::ReadError;
use lombard_ledger_core::Event;
use lombard_types::{Position, Timestamp};

pub use self::{
    read::{Cut, EntryRow, HoldRow, PrefixTotals, Standing, TooMany},
    restore::OpenError,
    statements::{DrawError, StatementLine},
};
use crate::{books::Books, place::Place, store::Store};

/// What the events so far add up to. One writer, which follows the log; readers under its lock.
#[derive(Debug)]
pub struct LedgerIndex {
    pub(crate) books: Books,
    pub(crate) store: Store,
    /// The record that is being applied.
    record: Position,
    /// Which transfer of it comes next.
    next_ordinal: u32,
    /// When the last record was decided.
    last_time: Timestamp,
    /// Transfers since the maps were last handed to be sealed.
    unsealed_transfers: u64,
    freeze_transfers: u64,
    /// While the log is caught up with.
    loading: Option<Loading>,
    /// Why the index does not go on: a file of it cannot be read.
    failure: Option<ReadError>,
}

/// How the log is caught up with.
#[derive(Clone, Copy, Debug)]
struct Loading {
    /// From this position on it is followed as it grows.
    until: Position,
    /// Whether what is on disk is of this, and waits to be merged.
    has_frozen: bool,
}

impl lombard_engine::View for LedgerIndex {
    type Event = Event;

    fn apply(&mut self, event: &Event, at: lombard_engine::At) {
        self.apply_event(event, at);
    }

    fn is_ready(&self) -> bool {
        self.loading.is_none() || !self.store.is_behind()
    }
}

impl LedgerIndex {
    /// Everything before this position is on disk.
    pub fn sealed(&self) -> Position {
        self.store.sealed()
    }

    /// Why nothing can be sealed at the moment.
    pub fn obstacle(&self) -> Option<std::sync::Arc<str>> {
        self.store.obstacle()
    }

    /// How many reservations are open.
    pub fn open_count(&self) -> usize {
        self.books.open.len()
    }

    /// How many accounts there are.
    pub fn account_count(&self) -> usize {
        self.books.accounts.len()
    }

    fn place(&mut self) -> Place {
        let place = Place { position: self.record, ordinal: self.next_ordinal };
        self.next_ordinal += 1;
        place
    }
}
