//! The HTTP interface, `/v1/eventstore/...`.
//!
//! Appends go to the writer, reads to the read side. Every answer says in `Lombard-Position` the record of the log that
//! it depends on; given back as `?at_least=`, a read waits for it.

mod all;
mod answer;
mod append;
mod appends;
mod documents;
mod events;
mod groups;
mod page;
mod paging;
mod precondition;
mod schemas;
mod selection;
mod streams;
mod subjects;
mod subscribe;

#[cfg(fuzzing)]
pub(crate) use selection::Selection;

use axum::{
    Extension, Router,
    routing::{get, post},
};
use lombard_chassis::{Problem, extract::BodyLimit};
use lombard_token::Verifier;

use self::{answer::Answer, page::Page};
use crate::{api::Api, problem, query::Horizon};

/// All routes. Each needs a token for this role; which scope is said at each handler.
///
/// Whole paths and few layers: each nesting and each layer keeps every route in one more box, which is made again for each
/// request.
pub(crate) fn router(api: Api, verifier: Verifier) -> Router {
    let body_limit = BodyLimit(api.config.body_bytes_max);
    Router::new()
        .route("/v1/eventstore/streams", get(streams::list))
        .route("/v1/eventstore/streams/{stream}/events", get(events::list).post(append::append))
        .route(
            "/v1/eventstore/streams/{stream}/snapshot",
            get(documents::read_snapshot).put(documents::write_snapshot),
        )
        .route(
            "/v1/eventstore/streams/{stream}/metadata",
            get(documents::read_metadata).put(documents::write_metadata),
        )
        .route("/v1/eventstore/events", get(all::list))
        .route("/v1/eventstore/appends", post(appends::append))
        .merge(groups::router())
        .route("/v1/eventstore/schemas", get(schemas::list))
        .route("/v1/eventstore/schemas/{type}", get(schemas::read).put(schemas::put))
        .route("/v1/eventstore/subjects/{subject}", get(subjects::read).delete(subjects::erase))
        .with_state(api)
        .layer((Extension(verifier), Extension(body_limit)))
}

/// A page, and the last record that it depends on.
fn answer(page: Page, horizon: Horizon) -> Result<Answer, Problem> {
    let json = page.into_json().map_err(problem::from_open_error)?;
    Ok(Answer::events(json).position(horizon.end.previous()))
}
