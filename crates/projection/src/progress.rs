//! What a projection says of itself to others.

use serde::Serialize;

use crate::{
    service::Projection,
    worker::{Rebuilding, Request},
};

/// A projection at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// Its name in the configuration.
    pub name: String,
    /// `sqlite` or `postgres`.
    pub database: &'static str,
    /// `starting`, `waiting`, `following`, `retrying` or `refused`.
    pub phase: &'static str,
    /// Why it does not follow.
    pub reason: Option<String>,
    /// Records that are in the tables.
    pub records: u64,
    /// Durable records that are not.
    pub lag_records: u64,
    /// How far it is with building the tables anew.
    pub rebuilding: Option<Rebuilding>,
    /// How often they were built anew.
    pub rebuilds: u64,
    /// Why that did not get to its end the last time.
    pub rebuild_error: Option<String>,
    /// Failures of the database, or of the tables.
    pub failures: u64,
}

impl Projection {
    /// How far it is, where the log has this many records.
    pub(crate) fn progress(&self, durable: u64) -> Progress {
        let status = self.status.lock().clone();
        Progress {
            name: self.name.clone(),
            database: self.kind,
            phase: status.phase.name(),
            reason: status.phase.reason().map(str::to_owned),
            records: status.position,
            lag_records: durable.saturating_sub(status.position),
            rebuilding: status.rebuilding,
            rebuilds: status.rebuilds,
            rebuild_error: status.last_rebuild.and_then(Result::err),
            failures: status.failures,
        }
    }

    /// Asks for the tables to be built anew. Where that is under way already, there is nothing more to ask for. Answers
    /// whether it was taken on.
    pub(crate) fn ask_rebuild(&self) -> bool {
        let mut status = self.status.lock();
        if status.rebuilding.is_some() {
            return true;
        }
        if self.requests.try_send(Request::Rebuild).is_err() {
            return false;
        }
        status.rebuilding = Some(Rebuilding::default());
        status.last_rebuild = None;
        true
    }
}
