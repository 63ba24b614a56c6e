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
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let metadata = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth/token"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "jwks_uri": format!("{issuer}/oauth/jwks"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "authorization_details_types_supported": details_types,
    });
    let caching = [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))];
    (caching, Json(metadata)).into_response()
}
