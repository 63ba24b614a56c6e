//! `POST /oauth/revoke`: a token is good no more (RFC 7009). It works for JWTs, since verifiers hear of it.

use std::time::SystemTime;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lombard_auth_core::{Command, Target, grants};
use lombard_chassis::{Problem, RawBody};
use lombard_types::Timestamp;

use super::{
    error::{Code, OAuthError},
    presented_token::{GoodToken, Presented},
    sender::Sender,
};
use crate::{audit::Facts, service::Api, submit::submit};

pub(super) async fn revoke(
    State(api): State<Api>,
    sender: Sender,
    body: Result<RawBody, Problem>,
) -> Response {
    match handle(&api, &sender, body).await {
        Ok(facts) => {
            let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            facts.with((StatusCode::OK, no_store).into_response())
        }
        Err(error) => error.into_response(),
    }
}

async fn handle(
    api: &Api,
    sender: &Sender,
    body: Result<RawBody, Problem>,
) -> Result<Facts, OAuthError> {
    let RawBody(body) =
        body.map_err(|problem| OAuthError::invalid_request(problem.kind().title))?;
    let now = Timestamp::from_system_time(SystemTime::now());
    let presented = Presented::read(api, sender, &body, now)?;
    // A token that is good for nothing already is no error (section 2.2).
    let client = presented.client.id.to_string();
    if presented.token().is_none() {
        return Ok(Facts { client, ..Facts::default() });
    }
    let (command, subject, detail) = match presented.visible("write") {
        Some(GoodToken::Access(claims)) => {
            let command = Command::Revoke {
                target: Target::Token(claims.token_id.clone()),
                until: claims.expires_at.plus(api.config.revocation_margin()),
                revocations_max: api.config.revocations_max,
            };
            (command, claims.subject.to_string(), format!("jti={}", claims.token_id))
        }
        // What came of the same grant goes with it (section 2.1).
        Some(GoodToken::Refresh(grant)) => {
            let end = grants::Command::End { id: grant.id };
            let command = Command::Grant(end, api.config.lives());
            (command, grant.user.subject(), format!("gid={}", grant.id))
        }
        None => {
            let client_id = presented.client.id.as_str();
            tracing::warn!(client_id, "refused to revoke another client's token");
            let refused =
                OAuthError::new(Code::UnauthorizedClient, "the token is another client's");
            return Err(refused.of(client_id));
        }
    };
    submit(api, command).await.map_err(|problem| {
        tracing::error!(cause = problem.kind().slug, "failed to revoke a token");
        OAuthError::new(Code::TemporarilyUnavailable, "the token could not be revoked: try again")
    })?;
    tracing::info!(by = %presented.client.id, "revoked a token");
    Ok(Facts { client, subject, detail, refused: None })
}
