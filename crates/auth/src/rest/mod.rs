//! The administration, `/v1/auth/...`: for whoever has the scope `admin`, or `auth:read` and `auth:write`; and clients that register
//! themselves.

mod answer;
mod audit;
mod client_authentication;
mod clients;
mod groups;
mod idempotency;
mod page;
mod passkeys;
mod registration;
mod second_factor;
mod signing_keys;
mod users;

use axum::{
    Extension, Router,
    routing::{delete, get, post, put},
};
use lombard_chassis::extract::BodyLimit;

use crate::service::Api;

pub(crate) fn router(api: Api) -> Router {
    let body_limit = BodyLimit(api.config.body_bytes_max);
    let routes = Router::new()
        .route("/clients", get(clients::list).post(clients::register))
        .route("/clients/{id}", get(clients::get).delete(clients::remove))
        .route("/clients/{id}/secret", post(clients::rotate_secret))
        .route("/clients/{id}/revoke", post(clients::revoke_tokens))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{id}", get(users::get).put(users::put).delete(users::remove))
        .route("/users/{id}/password", put(users::set_password))
        .route(
            "/users/{id}/second-factor",
            post(second_factor::enrol).delete(second_factor::remove),
        )
        .route("/users/{id}/passkeys", get(passkeys::list))
        .route("/users/{id}/passkeys/{passkey}", delete(passkeys::remove))
        .route("/users/{id}/disable", post(users::disable))
        .route("/users/{id}/enable", post(users::enable))
        .route("/groups", get(groups::list))
        .route("/groups/{name}", put(groups::put).delete(groups::remove))
        .route("/audit", get(audit::list))
        .route("/keys", get(signing_keys::list))
        .route("/keys/rotate", post(signing_keys::rotate))
        .route("/keys/{kid}/compromise", post(signing_keys::compromise))
        .with_state(api.clone());
    let registration = Router::new()
        .route("/oauth/register", post(registration::register))
        .route(
            "/oauth/register/{id}",
            get(registration::get).put(registration::replace).delete(registration::remove),
        )
        .with_state(api);
    Router::new().nest("/v1/auth", routes).merge(registration).layer(Extension(body_limit))
}
