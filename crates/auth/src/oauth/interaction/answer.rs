//! The way back to the client: a code, or an error (RFC 6749 section 4.1.2, RFC 9207).

use std::sync::Arc;

use axum::{
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use lombard_auth_core::{
    Code, Command, GrantId, Granted, Reply, Session, UserGrant,
    grants::{self, Reply as GrantReply},
};
use lombard_types::Timestamp;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{no_store, page, signed_response::signed_response};
use crate::{
    audit::Facts,
    oauth::{
        AnswerTo, AuthorizationRequest, ReturnTo,
        error::{Code as ErrorCode, OAuthError},
        form,
    },
    secret,
    service::Api,
    submit::submit,
};

/// Sends the browser to the client with an error.
pub(in crate::oauth) fn redirect_with_error(
    api: &Api,
    return_to: &ReturnTo,
    error: &OAuthError,
) -> Response {
    let description = error.shown_description();
    let parameters = [
        ("error", Some(error.code.name())),
        ("error_description", Some(&*description)),
        ("state", return_to.state.as_deref()),
        ("iss", Some(&*api.issuer)),
    ];
    redirect(api, return_to, &parameters)
}

/// The same, for a request that was accepted.
pub(super) fn refuse(api: &Api, request: &AuthorizationRequest, error: &OAuthError) -> Response {
    match &request.answer_to {
        AnswerTo::Browser { return_to, .. } => redirect_with_error(api, return_to, error),
        AnswerTo::Device { code_sha256, .. } => {
            api.devices.decide(code_sha256, false, api.now());
            page::device_refused(error)
        }
    }
}

fn redirect(api: &Api, return_to: &ReturnTo, parameters: &[(&str, Option<&str>)]) -> Response {
    let Some(client_id) = &return_to.signed_for else {
        return redirect_with(&return_to.redirect_uri, parameters);
    };
    match signed_response(api, client_id, parameters, api.now()) {
        Ok(response) if return_to.is_posted => {
            page::posted_answer(&return_to.redirect_uri, &response)
        }
        Ok(response) => redirect_with(&return_to.redirect_uri, &[("response", Some(&response))]),
        Err(error) => {
            tracing::error!(%error, "failed to sign an answer");
            page::unavailable()
        }
    }
}

fn redirect_with(redirect_uri: &str, parameters: &[(&str, Option<&str>)]) -> Response {
    let mut location = Zeroizing::new(redirect_uri.to_owned());
    let mut separator = if redirect_uri.contains('?') { '&' } else { '?' };
    for (name, value) in parameters.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        location.push(separator);
        location.push_str(name);
        location.push('=');
        form::encode(value, &mut location);
        separator = '&';
    }
    match HeaderValue::from_str(&location) {
        // 303, so that no browser sends the password's form on (RFC 9700 section 4.12).
        Ok(location) => (StatusCode::SEE_OTHER, no_store(location)).into_response(),
        Err(_) => page::gone(),
    }
}

/// What a person allows, settled.
pub(super) struct Allowed {
    pub(super) session: Arc<Session>,
    pub(super) granted: Granted,
    /// SHA-256 of what was shown; none where an earlier consent was enough.
    pub(super) page_sha256: Option<[u8; 32]>,
}

/// Makes the grant and sends the browser back with its code. The request is answered with it, once.
pub(super) async fn grant(
    api: &Api,
    request_id: &str,
    request: &AuthorizationRequest,
    allowed: Allowed,
    now: Timestamp,
) -> Response {
    let Ok(code) = secret::generate("ac_") else { return page::unavailable() };
    let now_allowed = |code_sha256| api.devices.decide(code_sha256, true, api.now());
    if !api.pending.close(request_id) {
        return page::gone();
    }
    let Allowed { session, granted, page_sha256 } = allowed;
    let grant = new_grant(api, request, (&*session, page_sha256), granted, &code, now);
    let (id, config) = (grant.id, &api.config);
    let client = request.client.id.to_string();
    let detail = format!("gid={id} aud={} scope={}", grant.audience, grant.scope);
    let code_life = match request.answer_to {
        AnswerTo::Browser { .. } => config.code_life(),
        // It may ask as late as it may ask at all.
        AnswerTo::Device { .. } => config.device_code_life(),
    };
    let command = grants::Command::Start {
        grant: Box::new(grant),
        code_life,
        code_memory: config.lives().access_token,
        per_user_max: config.grants_per_user_max,
        grants_max: config.grants_max,
    };
    match submit(api, Command::Grant(command, config.lives())).await {
        Ok(committed) if matches!(committed.reply, Reply::Grant(GrantReply::Started(_))) => {
            tracing::info!(client_id = %request.client.id, user = %session.user, grant = %id, "a person allowed a client something");
            let response = match &request.answer_to {
                AnswerTo::Browser { return_to, .. } => {
                    let parameters = [
                        ("code", Some(code.as_str())),
                        ("state", return_to.state.as_deref()),
                        ("iss", Some(&*api.issuer)),
                    ];
                    redirect(api, return_to, &parameters)
                }
                AnswerTo::Device { code_sha256, .. } if now_allowed(code_sha256) => {
                    page::device_allowed()
                }
                // The device has given up, or somebody else has decided: nothing can be got for the grant.
                AnswerTo::Device { .. } => page::gone(),
            };
            Facts { client, subject: session.user.subject(), detail, refused: None }.with(response)
        }
        _ => {
            let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, "try again");
            refuse(api, request, &error)
        }
    }
}

fn new_grant(
    api: &Api,
    request: &AuthorizationRequest,
    (session, page_sha256): (&Session, Option<[u8; 32]>),
    granted: Granted,
    code: &str,
    now: Timestamp,
) -> UserGrant {
    let Granted { audience, scope, authorization_details } = granted;
    let is_offline = scope.contains("offline_access");
    let life = api.config.refresh_token_life();
    let (code_sha256, redirect_uri, challenge) = match &request.answer_to {
        AnswerTo::Browser { return_to, challenge } => {
            (secret::sha256(code.as_bytes()), return_to.redirect_uri.clone(), *challenge)
        }
        AnswerTo::Device { code_sha256, challenge, .. } => {
            (*code_sha256, Box::default(), *challenge)
        }
    };
    // The decision sets the other times.
    let none = Timestamp::EPOCH;
    UserGrant {
        id: GrantId(Uuid::new_v4().into_bytes()),
        user: session.user,
        client: request.client.id.clone(),
        session: session.id,
        is_offline,
        audience: audience.into(),
        scope,
        authorization_details,
        authenticated_at: session.authenticated_at,
        acr: session.acr,
        page_sha256,
        started_at: none,
        expires_at: none,
        lasts_until: if is_offline { now.plus(life) } else { session.expires_at },
        key_thumbprint: None,
        code: Some(Box::new(Code {
            sha256: code_sha256,
            redirect_uri,
            challenge,
            key_thumbprint: request.key_thumbprint.clone(),
            nonce: request.nonce.clone(),
            expires_at: none,
            redeemed_at: None,
            remembered_until: none,
        })),
        refresh: None,
    }
}
