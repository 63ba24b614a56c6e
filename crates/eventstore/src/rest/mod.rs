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

use self::{answer::Answer, page::Page};
use crate::{api::Api, problem, query::Horizon};

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
        .merge(groups::router())
        .route("/schemas", get(schemas::list))
        .route("/schemas/{type}", get(schemas::read).put(schemas::put))
        .route("/subjects/{subject}", get(subjects::read).delete(subjects::erase))
        .with_state(api);
    Router::new().nest("/v1/eventstore", routes).layer(Extension(body_limit))
}

/// A page, and the last record that it depends on.
fn answer(page: Page, horizon: Horizon) -> Result<Answer, Problem> {
    let json = page.into_json().map_err(problem::from_open_error)?;
    Ok(Answer::events(json).position(horizon.end.previous()))
}
