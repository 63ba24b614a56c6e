//! `POST /oauth/introspect`: whether a token is good, and what it says (RFC 7662).

use std::time::SystemTime;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use lombard_chassis::{Json, Problem, RawBody};
use lombard_token::Claims;
use lombard_types::Timestamp;
use serde_json::{Value, json};

use super::{error::OAuthError, presented_token::Presented};
use crate::service::Api;

pub(super) async fn introspect(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<RawBody, Problem>,
) -> Response {
    let now = Timestamp::from_system_time(SystemTime::now());
    let presented = body
        .map_err(|problem| OAuthError::invalid_request(problem.kind().title))
        .and_then(|RawBody(body)| Presented::read(&api, &headers, &body, now));
    match presented {
        Ok(presented) => {
            // Nothing is said of a token that is not good, nor of one that the client must not know of.
            let answer = presented.visible("read").map_or(json!({ "active": false }), |c| show(c));
            let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            (no_store, Json(answer)).into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// RFC 7662 section 2.2, RFC 9396 section 9.2.
fn show(claims: &Claims) -> Value {
    let mut answer = json!({
        "active": true,
        "token_type": "Bearer",
        "iss": &*claims.issuer,
        "sub": &*claims.subject,
        "aud": &*claims.audience,
        "client_id": &*claims.client_id,
        "jti": &*claims.token_id,
        "iat": claims.issued_at.unix_seconds(),
        "exp": claims.expires_at.unix_seconds(),
    });
    if let Value::Object(members) = &mut answer {
        if !claims.scope.is_empty() {
            members.insert("scope".to_owned(), claims.scope.to_string().into());
        }
        if !claims.authorization_details.is_empty() {
            let details = claims.authorization_details.to_value();
            members.insert("authorization_details".to_owned(), details);
        }
    }
    answer
}
