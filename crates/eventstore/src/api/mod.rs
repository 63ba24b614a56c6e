//! What the store can be asked to do, whatever the protocol: REST and gRPC are edges of it.
//!
//! An edge reads a request, finds out what its token permits, calls [`Api`], and writes the answer. Everything else is
//! here: [`Api::append`] makes events out of what was sent ([`crate::prepare`]) and hands them to the writer; readers
//! pass what they find through [`Api::showing`] ([`crate::showing`]). What goes wrong is a row of the table in
//! [`crate::problem`], which each edge writes in its own form.

mod append;
mod documents;
mod schemas;
mod subjects;

use std::sync::Arc;

use lombard_chassis::{CancellationToken, Problem, problems};
use lombard_engine::{Feed, Handle};
use lombard_types::{Position, StreamName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::{
    append::{Draft, Outcome, Ready, StreamDraft},
    documents::Stored,
    schemas::SchemaStored,
    subjects::SubjectState,
};
use crate::{
    Config, groups::ConsumerGroups, index::Chunk, live::Live, machine::EventStoreMachine,
    metrics::EventStoreMetrics, prepare::Preparing, problem, query::Reader, schema::Schemas,
    showing::Showing, subjects::SubjectKeys,
};

/// What the edges share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) writer: Handle<EventStoreMachine>,
    pub(crate) reader: Reader,
    pub(crate) schemas: Schemas,
    pub(crate) keys: SubjectKeys,
    pub(crate) preparing: Preparing,
    pub(crate) showing: Showing,
    pub(crate) feed: Feed<Live>,
    /// A permit for each subscription.
    pub(crate) subscriptions: Arc<Semaphore>,
    /// Ends the subscriptions.
    pub(crate) drain: CancellationToken,
    pub(crate) metrics: EventStoreMetrics,
    pub(crate) config: Arc<Config>,
    /// What consumers share.
    pub(crate) groups: ConsumerGroups,
}

impl Api {
    /// A place among the subscriptions, for as long as it is held.
    pub(crate) fn subscription_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.subscriptions.clone().try_acquire_owned().map_err(|_| {
            Problem::new(&problems::OVERLOADED)
                .detail("there are as many subscriptions as the limit allows")
                .retry_after(std::time::Duration::from_secs(5))
        })
    }

    /// Waits until the record at `at_least` is durable.
    pub(crate) async fn reach(&self, at_least: Option<Position>) -> Result<(), Problem> {
        let Some(wanted) = at_least else {
            return Ok(());
        };
        let wait = self.config.wait();
        let mut durable = self.reader.log.durable();
        let reached = durable.wait_for(|durable| *durable > wanted);
        if matches!(tokio::time::timeout(wait, reached).await, Ok(Ok(_))) {
            return Ok(());
        }
        let problem = Problem::new(&problems::POSITION_NOT_REACHED)
            .detail(format!("record {wanted} was not reached in {} ms", wait.as_millis()))
            .retry_after(std::time::Duration::from_secs(1));
        Err(problem::with_position(problem, self.reader.durable().previous()))
    }

    /// What was last added to a stream before record `end`.
    pub(crate) fn last_chunk(&self, stream: &StreamName, end: Position) -> Result<Chunk, Problem> {
        let chunk = self.reader.index.last_chunk(stream, end);
        let chunk = chunk.map_err(|error| problem::from_query_error(&error.into()))?;
        chunk.ok_or_else(|| problem::stream_not_found(stream))
    }
}
