//! What is kept on disk: ordered maps from which every question about the past is answered by a seek or a short scan.
//!
//! | map          | from                                  | to                                         | bytes, each          |
//! |--------------|---------------------------------------|--------------------------------------------|----------------------|
//! | entries      | account, place                        | version, kind, side, posted totals         | 52, 2 a transfer     |
//! | reserved     | account, place                        | pending totals, where they changed         | 45                   |
//! | transfers    | id of a posting set                   | place of its first transfer                | 25 a set             |
//! | pendings     | place of a pending transfer           | accounts, amount, when and how it ended    | 74                   |
//! | holds        | account, place of a pending transfer  | side                                       | 14                   |
//! | lapsed       | account, time, place of the ending    | place of the pending transfer              | 30                   |
//! | reversals    | place reversed, place of the reversal | nothing                                    | 19                   |
//! | externals    | hash of the external id               | place                                      | 25                   |
//! | dated        | account, place                        | effective time, sums of the dated so far   | 53                   |
//! | effective    | account, level, span of time          | sums of the dated in it                    | 45, up to 10         |
//! | times        | time of a record                      | its position                               | 14 a record          |
//! | sums         | asset, position                       | totals of all its accounts, their number   | 112 a record's asset |
//! | codes        | code, asset, position                 | count and sum of what was moved            | 42, where coded      |
//! | accounts     | number                                | place of its opening, whether it is closed | 14 an account        |
//! | closings     | account, place                        | 1 closed, 0 opened again                   | 14 a change          |
//! | dates        | account, effective time, place        | nothing                                    | 22, where dated      |
//! | statements   | account, number                       | its head, where and when it was sealed     | 122 a statement      |
//! | assets       | number                                | place of its creation                      | 13 an asset          |
//!
//! Keys that begin with a place or a position only grow, so what was true at a position is a bounded lookup: later
//! entries are beyond the bound. The maps `pendings`, `effective` and `accounts` are written over; they are read under
//! the lock under which they are written.

mod codes;
mod effective;
mod entries;
mod names;
mod pendings;
mod statements;
mod sums;

use std::{fmt, path::Path, sync::Arc};

use lombard_index::{FilterOn, Index, Map, MapSpec, OpenError, Opening, Reads};
use lombard_log::SharedLog;
use lombard_types::{Position, Timestamp};

pub(crate) use self::{
    entries::{Effect, StoredEntry},
    names::Opened,
    pendings::{Ended, StoredPending},
};
pub use self::{
    entries::{EntryKind, ParseEntryKindError},
    statements::StatementRow,
    sums::{AssetSums, CodeSums},
};
use crate::place::{PLACE_BYTES, Place};

/// The maps, and what seals them.
pub(crate) struct Store {
    index: Index,
    entries: Map<{ entries::KEY }, { entries::VALUE }>,
    reserved: Map<{ entries::KEY }, 32>,
    transfers: Map<16, PLACE_BYTES>,
    pendings: Map<PLACE_BYTES, { pendings::VALUE }>,
    holds: Map<{ entries::KEY }, 1>,
    lapsed: Map<{ pendings::LAPSED_KEY }, PLACE_BYTES>,
    reversals: Map<{ 2 * PLACE_BYTES }, 1>,
    externals: Map<16, PLACE_BYTES>,
    dated: Map<{ entries::KEY }, { effective::DATED_VALUE }>,
    effective: Map<{ effective::SPAN_KEY }, 32>,
    times: Map<8, 6>,
    sums: Map<{ sums::KEY }, { sums::VALUE }>,
    codes: Map<{ codes::KEY }, { codes::VALUE }>,
    accounts: Map<4, 10>,
    closings: Map<{ entries::KEY }, 1>,
    dates: Map<{ statements::DATES_KEY }, 1>,
    statements: Map<{ statements::KEY }, { statements::VALUE }>,
    assets: Map<4, PLACE_BYTES>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("index", &self.index).finish_non_exhaustive()
    }
}

/// Only what is looked up without being there, or in an account that may not have any.
const fn filtered(name: &'static str, bytes: usize) -> MapSpec {
    MapSpec { name, filter: FilterOn::First(bytes), reads: Reads::Ranges }
}

const fn plain(name: &'static str) -> MapSpec {
    MapSpec { name, filter: FilterOn::Nothing, reads: Reads::Ranges }
}

impl Store {
    /// Opens the maps in a directory. Answers also up to where they stand, and the mark of that position.
    pub(crate) fn open(
        directory: &Path,
        log: &SharedLog,
    ) -> Result<(Self, Position, u64), OpenError> {
        let mut opening = Opening::new(directory)?;
        let (position, mark) = (opening.position(), opening.mark());
        let entries = opening.map(filtered("entries", 4))?;
        let reserved = opening.map(filtered("reserved", 4))?;
        let transfers = opening.map(filtered("transfers", 16))?;
        let pendings = opening.map(plain("pendings"))?;
        let holds = opening.map(filtered("holds", 4))?;
        let lapsed = opening.map(filtered("lapsed", 4))?;
        let reversals = opening.map(filtered("reversals", PLACE_BYTES))?;
        let externals = opening.map(filtered("externals", 16))?;
        let dated = opening.map(filtered("dated", 4))?;
        let effective = opening.map(filtered("effective", effective::SPAN_KEY))?;
        let times = opening.map(plain("times"))?;
        let sums = opening.map(plain("sums"))?;
        let codes = opening.map(plain("codes"))?;
        let accounts = opening.map(plain("accounts"))?;
        let closings = opening.map(filtered("closings", 4))?;
        let dates = opening.map(filtered("dates", 4))?;
        let statements = opening.map(filtered("statements", 4))?;
        let assets = opening.map(plain("assets"))?;
        let index = opening.start(log.durable())?;
        let store = Self {
            index,
            entries,
            reserved,
            transfers,
            pendings,
            holds,
            lapsed,
            reversals,
            externals,
            dated,
            effective,
            times,
            sums,
            codes,
            accounts,
            closings,
            dates,
            statements,
            assets,
        };
        Ok((store, position, mark))
    }

    /// Has everything before `position` sealed; `time` is that of the record before it.
    pub(crate) fn freeze(&self, position: Position, time: Timestamp) {
        self.index.freeze(position, time.unix_nanos());
    }

    /// Says whether much of the log is applied and hardly anything read.
    pub(crate) fn set_loading(&self, is_loading: bool) {
        self.index.set_loading(is_loading);
    }

    /// Whether the disk has fallen behind.
    pub(crate) fn is_behind(&self) -> bool {
        self.index.is_behind()
    }

    pub(crate) fn sealed(&self) -> Position {
        self.index.sealed()
    }

    pub(crate) fn obstacle(&self) -> Option<Arc<str>> {
        self.index.obstacle()
    }

    pub(crate) fn put_time(&self, time: Timestamp, position: Position) {
        let position = Place::first_of(position).to_bytes();
        self.times.insert(time.unix_nanos().to_be_bytes(), crate::bytes::part(&position, 0));
    }
}
