//! The HTTP interface, `/v1/eventstore/...`.
//!
//! Appends go to the writer, reads to the read side. Every answer says in `Lombard-Position` the record of the log that
//! it depends on; given back as `?at_least=`, a read waits for it.

mod all;
mod answer;
mod append;
mod appends;
mod authority;
mod documents;
mod events;
mod page;
mod paging;
mod precondition;
mod selection;
mod streams;
mod subscribe;

use std::sync::Arc;

use axum::{
    Extension, Router,
    routing::{get, post},
};
use lombard_chassis::{CancellationToken, Problem, extract::BodyLimit, problems};
use lombard_engine::{Feed, Handle};
use lombard_types::{Position, StreamName};
use tokio::sync::Semaphore;

use self::{answer::Answer, page::Page};
use crate::{
    Config,
    index::Chunk,
    live::Live,
    machine::EventStoreMachine,
    metrics::EventStoreMetrics,
    problem,
    query::{Horizon, Reader},
};

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) writer: Handle<EventStoreMachine>,
    pub(crate) reader: Reader,
    pub(crate) feed: Feed<Live>,
    /// A permit for each subscription.
    pub(crate) subscriptions: Arc<Semaphore>,
    /// Ends the subscriptions.
    pub(crate) drain: CancellationToken,
    pub(crate) metrics: EventStoreMetrics,
    pub(crate) config: Arc<Config>,
}

/// All routes. Each needs a token for this role; which scope is said at each handler.
pub(crate) fn router(api: Api) -> Router {
    let body_limit = BodyLimit(api.config.body_bytes_max);
    let routes = Router::new()
        .route("/streams", get(streams::list))
        .route("/streams/{stream}/events", get(events::list).post(append::append))
        .route(
            "/streams/{stream}/snapshot",
            get(documents::read_snapshot).put(documents::write_snapshot),
        )
        .route(
            "/streams/{stream}/metadata",
            get(documents::read_metadata).put(documents::write_metadata),
        )
        .route("/events", get(all::list))
        .route("/appends", post(appends::append))
        .with_state(api);
    Router::new().nest("/v1/eventstore", routes).layer(Extension(body_limit))
}

impl Api {
    /// Waits until the record at `at_least` is durable.
    async fn reach(&self, at_least: Option<Position>) -> Result<(), Problem> {
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
    fn last_chunk(&self, stream: &StreamName, end: Position) -> Result<Chunk, Problem> {
        let chunk = self.reader.index.last_chunk(stream, end);
        let chunk = chunk.map_err(|error| problem::from_query_error(&error.into()))?;
        chunk.ok_or_else(|| problem::stream_not_found(stream))
    }

    /// A page, and the last record that it depends on.
    #[expect(clippy::unused_self, reason = "an answer of this interface")]
    fn answer(&self, page: Page, horizon: Horizon) -> Result<Answer, Problem> {
        let json = page.into_json().map_err(problem::from_decode_error)?;
        Ok(Answer::events(json).position(horizon.end.previous()))
    }
}
