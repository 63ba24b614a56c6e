//! The protocol: authorization requests, pages, token endpoint, metadata, keys. Public: who calls proves itself in the
//! request, or needs not to.

mod authorization_request;
mod authorize;
mod client_authentication;
mod device_authorization;
mod error;
mod form;
mod id_token;
mod interaction;
mod introspect;
mod jwks;
mod metadata;
mod presented_token;
mod proof;
mod request_object;
mod revocations;
mod revoke;
mod sender;
mod token;
mod userinfo;

use axum::{
    Extension, Router,
    routing::{get, post},
};
use lombard_chassis::extract::BodyLimit;

pub(crate) use authorization_request::{AnswerTo, AuthorizationRequest, ReturnTo};
pub(crate) use form::encode as form_encode;

use crate::service::Api;

pub(crate) fn router(api: Api) -> Router {
    let body_limit = BodyLimit(api.config.form_bytes_max);
    Router::new()
        .route("/oauth/authorize", get(authorize::get).post(authorize::post))
        .route("/oauth/par", post(authorize::push))
        .route("/oauth/device_authorization", post(device_authorization::begin))
        .merge(interaction::router())
        .route("/oauth/token", post(token::issue))
        .route("/oauth/userinfo", get(userinfo::get).post(userinfo::get))
        .route("/oauth/introspect", post(introspect::introspect))
        .route("/oauth/revoke", post(revoke::revoke))
        .route("/oauth/revocations", get(revocations::get))
        .route("/oauth/jwks", get(jwks::get))
        .route("/.well-known/oauth-authorization-server", get(metadata::get))
        .route("/.well-known/openid-configuration", get(metadata::get))
        .with_state(api)
        .layer(Extension(body_limit))
}
