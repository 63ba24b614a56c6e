//! `POST /oauth/token` (RFC 6749 section 3.2): one file for each grant type.

mod authorization_code;
mod client_credentials;
mod device_code;
mod issue;
mod refresh_token;
mod token_exchange;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use lombard_auth_core::{Client, GrantType};
use lombard_chassis::{DPOP_NONCE, Json, RawBody};
use lombard_token::{AuthorizationDetails, Confirmation, PaymentId};
use lombard_types::Timestamp;
use uuid::Uuid;

use super::{
    client_authentication::authenticate,
    error::{Code, OAuthError},
    form::Form,
    proof::proved_key,
    sender::Sender,
};
use crate::service::Api;
use issue::Issued;

/// A request at the token endpoint, whose client proved who it is.
struct TokenRequest<'a> {
    api: &'a Api,
    client: Arc<Client>,
    form: &'a Form<'a>,
    now: Timestamp,
    /// Thumbprint of the key that it proves to have.
    key_thumbprint: Option<Box<str>>,
    /// What its access tokens are bound to.
    confirmation: Option<Confirmation>,
}

pub(super) async fn issue(
    State(api): State<Api>,
    sender: Sender,
    body: Result<RawBody, lombard_chassis::Problem>,
) -> Response {
    let result = match body {
        Ok(RawBody(body)) => grant(&api, &sender, &body).await,
        Err(problem) => Err(OAuthError::invalid_request(problem.kind().title)),
    };
    match result {
        Ok(issued) => {
            api.metrics.token_request("issued");
            let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            let facts = issued.facts();
            let mut response = facts.with((no_store, Json(issued)).into_response());
            // The next one, before the last one is too old (RFC 9449 section 8.2).
            let nonce = api.dpop_nonces.as_ref().map(|nonces| nonces.fresh(api.now()));
            if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::from_str(&nonce).ok()) {
                response.headers_mut().insert(DPOP_NONCE, nonce);
            }
            response
        }
        Err(error) => {
            api.metrics.token_request(error.code.name());
            error.into_response()
        }
    }
}

async fn grant(api: &Api, sender: &Sender, body: &[u8]) -> Result<Issued, OAuthError> {
    let form = Form::posted(&sender.headers, body)?;
    let name = form
        .get("grant_type")
        .ok_or_else(|| OAuthError::invalid_request("grant_type is missing"))?;
    let grant_type = GrantType::from_name(name).ok_or_else(|| {
        let known = "the grant_type is none of those that the metadata names";
        OAuthError::new(Code::UnsupportedGrantType, known)
    })?;
    let now = api.now();
    let client = authenticate(api, sender, &form, now)?;
    let asking = client.id.clone();
    let granted = grant_to(api, sender, &form, (client, grant_type, now)).await;
    granted.map_err(|error| error.of(asking.as_str()))
}

async fn grant_to(
    api: &Api,
    sender: &Sender,
    form: &Form<'_>,
    (client, grant_type, now): (Arc<Client>, GrantType, Timestamp),
) -> Result<Issued, OAuthError> {
    let name = grant_type.name();
    if !client.may_use(grant_type) {
        let cause = format!("the client is not registered for {name}");
        return Err(OAuthError::new(Code::UnauthorizedClient, cause));
    }
    let key_thumbprint = proved_key(api, &sender.headers, "/oauth/token", now)?;
    let confirmation = confirmation(&client, key_thumbprint.as_deref(), sender)?;
    let request = TokenRequest { api, client, form, now, key_thumbprint, confirmation };
    match grant_type {
        GrantType::ClientCredentials => client_credentials::grant(&request).await,
        GrantType::AuthorizationCode => authorization_code::grant(&request).await,
        GrantType::RefreshToken => refresh_token::grant(&request).await,
        GrantType::DeviceCode => device_code::grant(&request).await,
        GrantType::TokenExchange => token_exchange::grant(&request).await,
    }
}

/// A key that is proved comes before a certificate that is shown: who sends a proof wants to be bound to it.
fn confirmation(
    client: &Client,
    key_thumbprint: Option<&str>,
    sender: &Sender,
) -> Result<Option<Confirmation>, OAuthError> {
    if let Some(thumbprint) = key_thumbprint {
        return Ok(Some(Confirmation::Key(thumbprint.into())));
    }
    if client.binds_to_certificates() {
        let cause =
            "the client's tokens are bound to its certificate: show that, at mtls_endpoint_aliases";
        let shown = sender.certificate.as_ref();
        let shown = shown.ok_or_else(|| OAuthError::invalid_request(cause))?;
        return Ok(Some(Confirmation::of_certificate_sha256(&shown.sha256)));
    }
    if client.profile.requires_bound_tokens() {
        let cause = "the client's tokens are bound to a key: send a DPoP proof";
        return Err(OAuthError::new(Code::InvalidDpopProof, cause));
    }
    Ok(None)
}

/// The parameter `authorization_details` (RFC 9396 section 2).
pub(super) fn requested_details(form: &Form<'_>) -> Result<AuthorizationDetails, OAuthError> {
    let Some(text) = form.get("authorization_details") else {
        return Ok(AuthorizationDetails::default());
    };
    let new_id = || PaymentId::from_bytes(Uuid::new_v4().into_bytes());
    AuthorizationDetails::parse_request(text, new_id)
        .map_err(|error| OAuthError::new(Code::InvalidAuthorizationDetails, error.to_string()))
}

fn invalid_grant(what: &'static str) -> OAuthError {
    OAuthError::new(Code::InvalidGrant, what)
}
