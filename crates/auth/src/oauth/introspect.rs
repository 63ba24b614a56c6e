//! `POST /oauth/introspect`: whether a token is good, and what it says (RFC 7662).

use std::time::SystemTime;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use lombard_auth_core::UserGrant;
use lombard_chassis::{Json, Problem, RawBody};
use lombard_token::{Claims, Confirmation};
use lombard_types::Timestamp;
use serde_json::{Value, json};

use super::{
    error::OAuthError,
    presented_token::{GoodToken, Presented},
    sender::Sender,
};
use crate::service::Api;

pub(super) async fn introspect(
    State(api): State<Api>,
    sender: Sender,
    body: Result<RawBody, Problem>,
) -> Response {
    let now = Timestamp::from_system_time(SystemTime::now());
    let presented = body
        .map_err(|problem| OAuthError::invalid_request(problem.kind().title))
        .and_then(|RawBody(body)| Presented::read(&api, &sender, &body, now));
    match presented {
        Ok(presented) => {
            // Nothing is said of a token that is not good, nor of one that the client must not know of.
            let answer = match presented.visible("read") {
                Some(GoodToken::Access(claims)) => show(claims),
                Some(GoodToken::Refresh(grant)) => show_refresh(&api, grant),
                None => json!({ "active": false }),
            };
            let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            (no_store, Json(answer)).into_response()
        }
        Err(error) => error.into_response(),
    }
}

fn show_refresh(api: &Api, grant: &UserGrant) -> Value {
    json!({
        "active": true,
        "iss": &*api.issuer,
        "sub": grant.user.subject(),
        "client_id": grant.client.as_str(),
        "scope": grant.scope.to_string(),
        "iat": grant.started_at.unix_seconds(),
        "exp": grant.expires_at.unix_seconds(),
    })
}

/// RFC 7662 section 2.2, RFC 9396 section 9.2.
fn show(claims: &Claims) -> Value {
    let mut answer = json!({
        "active": true,
        "token_type": claims.confirmation.as_ref().map_or("Bearer", Confirmation::token_type),
        "iss": &*claims.issuer,
        "sub": &*claims.subject,
        "aud": &*claims.audience,
        "client_id": &*claims.client_id,
        "jti": &*claims.token_id,
        "iat": claims.issued_at.unix_seconds(),
        "exp": claims.expires_at.unix_seconds(),
    });
    if let Value::Object(members) = &mut answer {
        if let Some(confirmation) = &claims.confirmation {
            members.insert("cnf".to_owned(), confirmation.to_value());
        }
        if let Some(actor) = &claims.actor {
            members.insert("act".to_owned(), actor.to_value());
        }
        if !claims.scope.is_empty() {
            members.insert("scope".to_owned(), claims.scope.to_string().into());
        }
        if let Some(grant) = &claims.grant {
            // RFC 9470 section 6.2.
            members.insert("acr".to_owned(), (*grant.acr).into());
            members.insert("amr".to_owned(), grant.methods.iter().map(|it| &**it).collect());
            members.insert("auth_time".to_owned(), grant.authenticated_at.unix_seconds().into());
        }
        if !claims.authorization_details.is_empty() {
            let details = claims.authorization_details.to_value();
            members.insert("authorization_details".to_owned(), details);
        }
    }
    answer
}
