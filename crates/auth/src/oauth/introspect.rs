//! `POST /oauth/introspect`: whether a token is good, and what it says (RFC 7662).

use std::time::SystemTime;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use lombard_auth_core::UserGrant;
use lombard_chassis::{Json, Problem, RawBody};
use lombard_token::{Algorithm, Claims, Confirmation};
use lombard_types::Timestamp;
use serde_json::{Value, json};

use super::{
    error::{Code, OAuthError},
    presented_token::{GoodToken, Presented},
    sender::Sender,
};
use crate::service::Api;

/// RFC 9701 section 5.
const SIGNED_TYPE: &str = "token-introspection+jwt";
const SIGNED_MEDIA_TYPE: &str = "application/token-introspection+jwt";

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
            answered(&api, &sender, presented.client.id.as_str(), answer, now)
        }
        Err(error) => error.into_response(),
    }
}

/// As JSON, or signed for who asks so that it can show it to others (RFC 9701).
fn answered(
    api: &Api,
    sender: &Sender,
    client_id: &str,
    answer: Value,
    now: Timestamp,
) -> Response {
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    if !wants_signed(&sender.headers) {
        return (no_store, Json(answer)).into_response();
    }
    // Section 5: nothing at the top says what an access token says, so that none is taken for one.
    let claims = json!({
        "iss": &*api.issuer, "aud": client_id, "iat": now.unix_seconds(), "token_introspection": answer,
    });
    let signed = api.keyring.active(Algorithm::default());
    match signed.and_then(|key| key.sign(SIGNED_TYPE, claims.to_string().as_bytes())) {
        Ok(signed) => {
            let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(SIGNED_MEDIA_TYPE))];
            (no_store, media_type, signed).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "failed to sign an introspection");
            OAuthError::new(Code::ServerError, "the answer could not be signed").into_response()
        }
    }
}

/// Whether the JWT is among what is accepted, by its name: `*/*` asks for JSON.
fn wants_signed(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(','));
    types.any(|each| {
        each.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(SIGNED_MEDIA_TYPE)
    })
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
