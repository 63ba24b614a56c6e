//! `POST /oauth/token`: the client credentials grant (RFC 6749 section 4.4, RFC 9068).

use std::time::SystemTime;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use lombard_auth_core::{Authority, Client, Granted, Request};
use lombard_chassis::{Json, RawBody, extract::require_media_type};
use lombard_token::{AuthorizationDetails, Claims, PaymentId, ScopeSet};
use lombard_types::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{
    client_authentication::authenticate,
    error::{Code, OAuthError},
    form::Form,
};
use crate::service::Api;

/// RFC 6749 section 5.1.
#[derive(Serialize)]
struct Issued {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    /// As granted, with the ids that were made for payments (RFC 9396 section 7).
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_details: Option<serde_json::Value>,
}

pub(super) async fn issue(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<RawBody, lombard_chassis::Problem>,
) -> Response {
    let result = body
        .map_err(|problem| OAuthError::invalid_request(problem.kind().title))
        .and_then(|RawBody(body)| grant(&api, &headers, &body));
    match result {
        Ok(issued) => {
            api.metrics.token_request("issued");
            let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            (no_store, Json(issued)).into_response()
        }
        Err(error) => {
            api.metrics.token_request(error.code.name());
            error.into_response()
        }
    }
}

fn grant(api: &Api, headers: &HeaderMap, body: &[u8]) -> Result<Issued, OAuthError> {
    require_media_type(headers, "application/x-www-form-urlencoded").map_err(|_| {
        OAuthError::invalid_request("the body must be application/x-www-form-urlencoded")
    })?;
    let form = Form::parse(body)?;
    let now = Timestamp::from_system_time(SystemTime::now());
    match form.get("grant_type") {
        Some("client_credentials") => {}
        Some(_) => {
            return Err(OAuthError::new(
                Code::UnsupportedGrantType,
                "only client_credentials is supported",
            ));
        }
        None => return Err(OAuthError::invalid_request("grant_type is missing")),
    }
    let client = authenticate(api, headers, &form, now)?;
    let requested: Option<ScopeSet> = form
        .get("scope")
        .map(str::parse)
        .transpose()
        .map_err(|error| OAuthError::new(Code::InvalidScope, format!("{error}")))?;
    let authorization_details = requested_details(&form)?;
    let request = Request {
        scope: requested.as_ref(),
        authorization_details: &authorization_details,
        resource: form.get("resource"),
    };
    let granted = lombard_auth_core::grant(&client, Authority::Client, request, &api.issuer)?;
    sign(api, &client, granted, now)
}

/// The parameter `authorization_details` (RFC 9396 section 2).
fn requested_details(form: &Form<'_>) -> Result<AuthorizationDetails, OAuthError> {
    let Some(text) = form.get("authorization_details") else {
        return Ok(AuthorizationDetails::default());
    };
    let new_id = || PaymentId::from_bytes(Uuid::new_v4().into_bytes());
    AuthorizationDetails::parse_request(text, new_id)
        .map_err(|error| OAuthError::new(Code::InvalidAuthorizationDetails, error.to_string()))
}

fn sign(
    api: &Api,
    client: &Client,
    granted: Granted,
    now: Timestamp,
) -> Result<Issued, OAuthError> {
    let Granted { audience, scope, authorization_details } = granted;
    let claims = Claims {
        issuer: (*api.issuer).into(),
        subject: client.id.as_str().into(),
        audience: audience.into(),
        client_id: client.id.as_str().into(),
        scope,
        authorization_details,
        token_id: Uuid::new_v4().simple().to_string().into(),
        issued_at: now,
        expires_at: now.plus(api.config.access_token_life()),
        grant: None,
        key_thumbprint: None,
    };
    let access_token = claims.sign(&api.signing_key).map_err(|error| {
        tracing::error!(%error, "failed to sign a token");
        OAuthError::new(Code::ServerError, "the token could not be signed")
    })?;
    Ok(Issued {
        access_token,
        token_type: "Bearer",
        expires_in: api.config.access_token_seconds,
        scope: claims.scope.to_string(),
        authorization_details: Some(&claims.authorization_details)
            .filter(|details| !details.is_empty())
            .map(AuthorizationDetails::to_value),
    })
}
