//! What Consul's clients speak: the part of its HTTP interface that registers, checks and finds services.
//!
//! Lenient where Consul is: keys without regard to case, any media type, unknown parameters ignored. One node and one
//! datacenter. A service's id is an instance of ours, so it is unique within the service; a check belongs to an instance
//! and is its lease. What is not served answers in words.

mod active;
mod agent;
pub(crate) mod answer;
pub(crate) mod authority;
mod catalog;
mod checks;
pub(crate) mod definition;
pub(crate) mod duration;
mod external;
pub(crate) mod fields;
mod find;
mod query;

use axum::{
    Router,
    routing::{any, get, put},
};
use lombard_chassis::Problem;

use self::answer::Refused;
use crate::{problem, rest::Api};

/// All routes. Who may call them is said in `authority.rs`.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/agent/self", get(agent::about))
        .route("/v1/agent/services", get(agent::services))
        .route("/v1/agent/checks", get(agent::checks))
        .route("/v1/agent/service/register", put(agent::register))
        .route("/v1/agent/service/deregister/{id}", put(agent::deregister))
        .route("/v1/agent/service/maintenance/{id}", put(agent::maintenance))
        .route("/v1/agent/check/register", put(checks::register))
        .route("/v1/agent/check/deregister/{id}", put(checks::deregister))
        .route("/v1/agent/check/pass/{id}", put(checks::pass))
        .route("/v1/agent/check/warn/{id}", put(checks::warn))
        .route("/v1/agent/check/fail/{id}", put(checks::fail))
        .route("/v1/agent/check/update/{id}", put(checks::update))
        .route("/v1/catalog/register", put(external::register))
        .route("/v1/catalog/deregister", put(external::deregister))
        .route("/v1/catalog/services", get(catalog::names))
        .route("/v1/catalog/service/{service}", get(catalog::service))
        .route("/v1/catalog/nodes", get(catalog::nodes))
        .route("/v1/catalog/datacenters", get(catalog::datacenters))
        .route("/v1/health/service/{service}", get(catalog::health))
        .route("/v1/health/checks/{service}", get(catalog::checks))
        .route("/v1/health/state/{state}", get(catalog::state))
        .route("/v1/status/leader", get(catalog::leader))
        .route("/v1/status/peers", get(catalog::peers))
        .route("/v1/registry/prometheus-sd", get(catalog::prometheus))
        // Not a fallback: those are the server's.
        .route("/v1/{*rest}", any(async || Refused::from(not_served())))
        .with_state(api)
}

fn not_served() -> Problem {
    Problem::new(&problem::NOT_SERVED).detail(
        "of Consul's interface this is not served: only services, their checks and finding them are. Configuration, locks \
         and sessions belong elsewhere",
    )
}
