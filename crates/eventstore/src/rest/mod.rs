//! The HTTP interface, `/v1/eventstore/...`.
//!
//! Appends go to the writer, reads to the read side. Every answer says in `Lombard-Position` the record of the log that
//! it depends on; given back as `?at_least=`, a read waits for it.

mod all;
mod answer;
mod append;
mod authority;
mod events;
mod paging;
mod precondition;
mod streams;

use std::sync::Arc;

use axum::{Extension, Router, routing::get};
use lombard_chassis::{Problem, extract::BodyLimit, problems};
use lombard_engine::{Follower, Handle};
use lombard_types::{Position, Revision, StreamName};

use crate::{
    Config,
    machine::EventStoreMachine,
    metrics::EventStoreMetrics,
    problem,
    query::{EventIndex, EventPage, Located, read_page},
};

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) writer: Handle<EventStoreMachine>,
    pub(crate) index: Follower<EventIndex>,
    pub(crate) metrics: EventStoreMetrics,
    pub(crate) config: Arc<Config>,
}

/// All routes. Each needs a token for this role; which scope is said at each handler.
pub(crate) fn router(api: Api) -> Router {
    let body_limit = BodyLimit(api.config.body_bytes_max);
    let routes = Router::new()
        .route("/streams", get(streams::list))
        .route("/streams/{stream}/events", get(events::list).post(append::append))
        .route("/events", get(all::list))
        .with_state(api);
    Router::new().nest("/v1/eventstore", routes).layer(Extension(body_limit))
}

impl Api {
    /// Waits until the read side has applied the record at `at_least`.
    async fn reach(&self, at_least: Option<Position>) -> Result<(), Problem> {
        let Some(wanted) = at_least else {
            return Ok(());
        };
        let wait = self.config.wait();
        self.index.wait_for(wanted.next(), wait).await.map_err(|lagging| {
            let problem = Problem::new(&problems::POSITION_NOT_REACHED)
                .detail(format!("record {wanted} was not reached in {} ms", wait.as_millis()))
                .retry_after(std::time::Duration::from_secs(1));
            problem::with_position(problem, lagging.reached.previous())
        })
    }

    /// A stream's last revision. That it does not exist is said only after everything that was answered to anybody
    /// before now has been looked at.
    async fn last_revision(&self, stream: &StreamName) -> Result<Revision, Problem> {
        let look = || self.index.read(|index| index.last_revision(stream));
        if let Some(revision) = look() {
            return Ok(revision);
        }
        let asked = self.writer.query(|_| ()).await;
        let ((), position) = asked.map_err(problem::from_query_error)?;
        self.reach(position).await?;
        look().ok_or_else(|| problem::stream_not_found(stream))
    }

    /// Reads the index, and says the last record that it includes.
    fn read<R>(&self, read: impl FnOnce(&EventIndex) -> R) -> (R, Option<Position>) {
        let (result, end) = self.index.read_at(read);
        (result, end.previous())
    }

    async fn page(&self, events: &[Located]) -> Result<EventPage, Problem> {
        let page = read_page(&**self.writer.log(), events, self.config.page_bytes_max).await;
        let page = page.map_err(|error| problem::from_page_error(&error))?;
        self.metrics.events_read(page.count);
        Ok(page)
    }
}
