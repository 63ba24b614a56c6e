//! A database that holds the tables.

use crate::{
    books::{Books, BooksError},
    rows::Rows,
};

/// Which of the two sets of tables: the one that is read, or the one that is built beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// What readers see.
    Live,
    /// What replaces it when it is complete.
    Beside,
}

/// What was found in a database.
#[derive(Debug)]
pub(crate) struct Found {
    /// The log that the tables are of.
    pub(crate) source: String,
    /// What they say.
    pub(crate) books: Books,
    /// What is known and does not stand in them: currencies that became built in since they were made.
    pub(crate) unwritten: Rows,
}

/// Tables of one projection in a database, through one connection. Everything blocks.
pub(crate) trait Target: Send {
    /// The tables as they are; `None` where there are none.
    fn load(&mut self, place: Place) -> Result<Option<Found>, TargetError>;

    /// Makes empty tables; those beside in place of any that are there. Without `keys`, only those that are needed while rows are
    /// added: the others are made at once by [`Target::add_keys`], which is much quicker for many rows.
    fn create(&mut self, place: Place, source: &str, keys: bool) -> Result<(), TargetError>;

    /// Writes rows, and that the tables are as far as the books, in one transaction. `before` is how far they were.
    fn write(
        &mut self,
        place: Place,
        before: i64,
        books: &Books,
        rows: &Rows,
    ) -> Result<(), TargetError>;

    /// Makes the keys and indexes that [`Target::create`] left out.
    fn add_keys(&mut self, place: Place) -> Result<(), TargetError>;

    /// Puts the tables beside in place of the live ones, for all readers at once.
    fn swap(&mut self) -> Result<(), TargetError>;

    /// Removes what a rebuilding left behind.
    fn clean(&mut self) -> Result<(), TargetError>;
}

/// Why a database was not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// SQLite says so.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL, or the way to it, says so.
    #[error("PostgreSQL: {}", describe(.0))]
    Postgres(#[from] postgres::Error),
    /// The tables were made by another version.
    #[error(
        "the tables are of format {found}, this version writes format {expected}: rebuild the projection"
    )]
    Format {
        /// Theirs.
        found: i64,
        /// Ours.
        expected: i64,
    },
    /// Somebody else writes to the same tables.
    #[error("another process writes to the same tables")]
    Contended,
    /// What stands in the tables cannot be understood.
    #[error("the tables are not what was written to them ({0}): rebuild the projection")]
    Unreadable(&'static str),
    /// What stands in the tables contradicts itself.
    #[error("the tables are not what was written to them ({0}): rebuild the projection")]
    Inconsistent(#[from] BooksError),
    /// It was told to stop, or could not begin.
    #[error("it was stopped before its end")]
    Stopped,
    /// The database's address cannot be used.
    #[error("the address of the database cannot be used: {0}")]
    Address(String),
}

impl TargetError {
    /// Whether trying again may help, without anybody doing anything about it.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Sqlite(_) | Self::Postgres(_) | Self::Contended => true,
            Self::Format { .. }
            | Self::Unreadable(_)
            | Self::Inconsistent(_)
            | Self::Stopped
            | Self::Address(_) => false,
        }
    }
}

/// What the server said, which the error itself only says through its source.
fn describe(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}
