//! What Eureka's clients speak (version 1 of its REST interface, in JSON or XML), beside Consul's on the same port.
//!
//! An application is a service of ours, in small letters; a lease is a lease. What only Eureka knows about an instance, such as
//! its status page, is kept with it and answered as it came. All applications together are encoded once a change.

mod applications;
pub(crate) mod definition;
mod instances;
pub(crate) mod profile;
pub(crate) mod xml;

use axum::{
    Router,
    routing::{get, post, put},
};

use crate::rest::Api;

/// All routes. Who may call them is said in `consul/authority.rs`.
pub(crate) fn router(api: Api) -> Router {
    // Clients write the same paths with and without a slash at the end.
    let routes = Router::new()
        .route("/apps", get(applications::all))
        .route("/apps/", get(applications::all))
        .route("/apps/delta", get(applications::delta))
        .route("/apps/delta/", get(applications::delta))
        .route("/apps/{app}", get(applications::one).merge(post(instances::register)))
        .route("/apps/{app}/", get(applications::one).merge(post(instances::register)))
        .route(
            "/apps/{app}/{id}",
            get(applications::instance).put(instances::renew).delete(instances::cancel),
        )
        .route(
            "/apps/{app}/{id}/status",
            put(instances::set_status).delete(instances::forget_status),
        )
        .route("/apps/{app}/{id}/metadata", put(instances::set_metadata))
        .route("/instances/{id}", get(applications::instance_by_id))
        .route("/vips/{vip}", get(applications::by_vip))
        .route("/svips/{vip}", get(applications::by_secure_vip))
        .with_state(api);
    Router::new().nest("/eureka/v2", routes.clone()).nest("/eureka", routes)
}
