//! The protocol: token endpoint, metadata, keys. Public: who calls proves itself in the request, or needs not to.

mod client_authentication;
mod error;
mod form;
mod introspect;
mod jwks;
mod metadata;
mod presented_token;
mod revocations;
mod revoke;
mod token;

use axum::{
    Extension, Router,
    routing::{get, post},
};
use lombard_chassis::extract::BodyLimit;

use crate::service::Api;

pub(crate) fn router(api: Api) -> Router {
    let body_limit = BodyLimit(api.config.form_bytes_max);
    Router::new()
        .route("/oauth/token", post(token::issue))
        .route("/oauth/introspect", post(introspect::introspect))
        .route("/oauth/revoke", post(revoke::revoke))
        .route("/oauth/revocations", get(revocations::get))
        .route("/oauth/jwks", get(jwks::get))
        .route("/.well-known/oauth-authorization-server", get(metadata::get))
        .with_state(api)
        .layer(Extension(body_limit))
}
