//! `/v1/eventstore/groups/...`: what consumers share of the events.

mod dead_letters;
mod deliveries;
mod manage;
mod push;
mod settings;
mod settle;
mod view;

use axum::{
    Router,
    routing::{get, post},
};
use lombard_chassis::Problem;
use lombard_types::GroupName;

use crate::{api::Api, problem};

/// The routes below `/v1/eventstore/groups`.
pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/v1/eventstore/groups", get(manage::list))
        .route(
            "/v1/eventstore/groups/{group}",
            get(manage::show).put(manage::create).delete(manage::delete),
        )
        .route(
            "/v1/eventstore/groups/{group}/deliveries",
            get(push::subscribe).post(deliveries::pull),
        )
        .route("/v1/eventstore/groups/{group}/acks", post(settle::ack))
        .route("/v1/eventstore/groups/{group}/nacks", post(settle::nack))
        .route("/v1/eventstore/groups/{group}/extensions", post(settle::extend))
        .route("/v1/eventstore/groups/{group}/dead-letters", get(dead_letters::list))
        .route("/v1/eventstore/groups/{group}/dead-letters/replay", post(dead_letters::replay))
        .route("/v1/eventstore/groups/{group}/dead-letters/discard", post(dead_letters::discard))
}

fn group_of(text: &str) -> Result<GroupName, Problem> {
    text.parse().map_err(problem::invalid_path)
}
