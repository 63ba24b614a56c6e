//! `GET /oauth/jwks`: the public keys (RFC 7517), cacheable.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lombard_chassis::Json;
use lombard_token::Jwks;

use crate::service::Api;

/// How long verifiers may keep the keys: a new key is published longer than this before it is used.
const CACHE: HeaderValue =
    HeaderValue::from_static("public, max-age=300, stale-while-revalidate=3600");

pub(super) async fn get(State(api): State<Api>, headers: HeaderMap) -> Response {
    let key = api.signing_key.public_jwk();
    // A set of one key is told apart by its key's thumbprint.
    let etag = format!("\"{}\"", key.thumbprint());
    let is_known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == etag.as_bytes());
    let caching = [
        (header::CACHE_CONTROL, CACHE),
        (
            header::ETAG,
            HeaderValue::from_str(&etag).unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
        ),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, Json(Jwks { keys: vec![key.clone()] })).into_response()
}
