//! `GET /oauth/jwks`: the public keys (RFC 7517), cacheable.

use aws_lc_rs::digest;
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_chassis::Json;
use lombard_token::Jwks;

use crate::{service::Api, signing_keys};

pub(super) async fn get(State(api): State<Api>, headers: HeaderMap) -> Response {
    let keys = api.view.read(signing_keys::published);
    let etag = etag(&keys);
    let is_known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == etag.as_bytes());
    let seconds = api.config.key_set_seconds();
    let caching = format!("public, max-age={seconds}, stale-while-revalidate={seconds}");
    let value = |text: &str| {
        HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("no-store"))
    };
    let caching = [(header::CACHE_CONTROL, value(&caching)), (header::ETAG, value(&etag))];
    if is_known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, Json(keys)).into_response()
}

/// A set is told apart by the thumbprints of its keys.
fn etag(keys: &Jwks) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    keys.keys.iter().for_each(|key| context.update(key.thumbprint().as_bytes()));
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(context.finish()))
}
