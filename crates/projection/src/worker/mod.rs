//! One projection at work, on a thread of its own: it follows the log into the live tables, and now and then another
//! thread builds them anew beside.

mod follow;
mod live;
mod rebuild;
mod source;
mod status;

#[cfg(test)]
pub(crate) use self::follow::{Follow, FollowError};
pub use self::status::Rebuilding;
pub(crate) use self::{
    live::{Request, Worker, run},
    source::Log,
    status::{SharedStatus, Status},
};
use crate::{
    postgres::Database,
    sqlite,
    target::{Target, TargetError},
};

/// Where the tables of a projection are.
#[derive(Clone, Debug)]
pub(crate) enum Opener {
    Sqlite(sqlite::File),
    Postgres(Database),
}

impl Opener {
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    pub(crate) fn open(&self) -> Result<Box<dyn Target>, TargetError> {
        Ok(match self {
            Self::Sqlite(file) => Box::new(file.open()?),
            Self::Postgres(database) => Box::new(database.open()?),
        })
    }
}
