//! What a projection says of itself.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

/// What it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It looks at the tables.
    Starting,
    /// It waits for what it needs from the log.
    Waiting(String),
    /// It follows the log.
    Following,
    /// The database failed, and is tried again.
    Retrying(String),
    /// It does not go on by itself.
    Refused(String),
}

impl Phase {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Waiting(_) => "waiting",
            Self::Following => "following",
            Self::Retrying(_) => "retrying",
            Self::Refused(_) => "refused",
        }
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Starting | Self::Following => None,
            Self::Waiting(reason) | Self::Retrying(reason) | Self::Refused(reason) => Some(reason),
        }
    }
}

/// How far a rebuilding is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rebuilding {
    /// Records that are in the new tables.
    pub done: u64,
    /// Records that are to be.
    pub total: u64,
    /// What is being done: `copying`, `indexing` or `swapping`.
    pub step: &'static str,
}

/// A projection at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) phase: Phase,
    /// Records that are in the tables.
    pub(crate) position: u64,
    pub(crate) rebuilding: Option<Rebuilding>,
    /// How the last rebuilding ended that was asked for; an error where it did not get to its end.
    pub(crate) last_rebuild: Option<Result<(), String>>,
    pub(crate) rebuilds: u64,
    pub(crate) failures: u64,
    pub(crate) transactions: u64,
}

/// Written by a projection's threads, read by whoever asks.
pub(crate) type SharedStatus = Arc<Mutex<Status>>;

impl Status {
    pub(crate) fn shared() -> SharedStatus {
        Arc::new(Mutex::new(Self {
            phase: Phase::Starting,
            position: 0,
            rebuilding: None,
            last_rebuild: None,
            rebuilds: 0,
            failures: 0,
            transactions: 0,
        }))
    }
}
