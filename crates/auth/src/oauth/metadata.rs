//! `GET /.well-known/oauth-authorization-server`: what this server can do (RFC 8414), and nothing that it cannot.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use lombard_chassis::Json;
use lombard_token::Algorithm;
use serde_json::json;

use crate::service::Api;

pub(super) async fn get(State(api): State<Api>) -> Response {
    let issuer = &*api.issuer;
    let details_types: Vec<_> = api.config.details_types().collect();
    let algorithms = Algorithm::ALL.map(Algorithm::name);
    let metadata = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth/token"),
        "jwks_uri": format!("{issuer}/oauth/jwks"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "authorization_details_types_supported": details_types,
    });
    let caching = [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))];
    (caching, Json(metadata)).into_response()
}
