//! The log into one set of tables.

use lombard_engine::Codec;
use lombard_ledger_core::Event;
use lombard_types::Position;

use super::source::{Log, LogError};
use crate::{
    books::Books,
    config::Settings,
    rows::Rows,
    target::{Place, Target, TargetError},
};

/// Why tables do not follow the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(
        "the tables are of {found}, the log is {expected}: use another schema or file, or rebuild the projection"
    )]
    OtherLog { found: String, expected: String },
    #[error(
        "the tables are at record {position} and the log ends at {records}: they are of another history; rebuild the projection"
    )]
    Ahead { position: u64, records: u64 },
    #[error(
        "record {0} of the log is not the one that the tables were made from: they are of another history; rebuild the projection"
    )]
    OtherHistory(Position),
}

impl FollowError {
    /// Whether trying again may help, without anybody doing anything about it.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Target(error) => error.is_passing(),
            Self::Log(LogError::Read(_)) => true,
            Self::Log(_) | Self::OtherLog { .. } | Self::Ahead { .. } | Self::OtherHistory(_) => {
                false
            }
        }
    }
}

/// Tables that follow the log. Where a write fails, what is in memory is ahead of them: begin anew.
pub(crate) struct Follow {
    target: Box<dyn Target>,
    place: Place,
    books: Books,
    rows: Rows,
    /// Accounts and balances are written at the end only, as they stand then.
    defers: bool,
}

impl Follow {
    /// Goes on with the live tables, and makes them where there are none.
    pub(crate) fn live(mut target: Box<dyn Target>, origin: &str) -> Result<Self, FollowError> {
        let found = match target.load(Place::Live)? {
            Some(found) => found,
            None => {
                target.create(Place::Live, origin, true)?;
                let unreadable = TargetError::Unreadable("what was made");
                target.load(Place::Live)?.ok_or(unreadable)?
            }
        };
        if found.source != origin {
            let (found, expected) = (found.source, origin.to_owned());
            return Err(FollowError::OtherLog { found, expected });
        }
        let (books, rows) = (found.books, found.unwritten);
        Ok(Self { target, place: Place::Live, books, rows, defers: false })
    }

    /// Begins anew, beside the live tables.
    pub(crate) fn beside(mut target: Box<dyn Target>, origin: &str) -> Result<Self, FollowError> {
        target.create(Place::Beside, origin, false)?;
        let (books, rows) = (Books::new(), Rows::default());
        Ok(Self { target, place: Place::Beside, books, rows, defers: true })
    }

    /// The next record.
    pub(crate) fn position(&self) -> Position {
        self.books.position
    }

    /// Writes what is next in the log, in one transaction. Answers whether there was anything.
    pub(crate) fn step<C: Codec<Event = Event>>(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        log: &Log<C>,
        settings: &Settings,
    ) -> Result<bool, FollowError> {
        let before = self.books.position;
        let (rows_max, bytes_max) = (settings.batch_transfers, settings.batch_bytes);
        let learned = log.learn(&mut self.books, &mut self.rows, rows_max, bytes_max);
        if !runtime.block_on(learned)? {
            return Ok(false);
        }
        self.write(before)?;
        Ok(true)
    }

    fn write(&mut self, before: Position) -> Result<(), FollowError> {
        let before = i64::try_from(before.get()).unwrap_or(i64::MAX);
        let deferred = if self.defers { Some(self.rows.take_standing()) } else { None };
        self.target.write(self.place, before, &self.books, &self.rows)?;
        self.rows.clear();
        if let Some(deferred) = deferred {
            self.rows.put_standing(deferred);
        }
        Ok(())
    }

    /// Writes what was left for the end, and makes the keys.
    pub(crate) fn complete(&mut self) -> Result<(), FollowError> {
        self.defers = false;
        self.write(self.books.position)?;
        Ok(self.target.add_keys(self.place)?)
    }

    /// Puts these tables in place of the live ones.
    pub(crate) fn swap(&mut self) -> Result<(), FollowError> {
        self.target.swap()?;
        self.place = Place::Live;
        Ok(())
    }

    /// Removes what a rebuilding left behind.
    pub(crate) fn clean(&mut self) -> Result<(), FollowError> {
        Ok(self.target.clean()?)
    }

    /// Compares the tables with the log: they must be of this log's history.
    pub(crate) fn check<C: Codec<Event = Event>>(
        &self,
        runtime: &tokio::runtime::Runtime,
        log: &Log<C>,
    ) -> Result<(), FollowError> {
        let Some(last) = self.books.position.previous() else { return Ok(()) };
        let time = runtime.block_on(log.time_of(last))?;
        if time == Some(self.books.recorded_at) {
            return Ok(());
        }
        Err(FollowError::OtherHistory(last))
    }
}
