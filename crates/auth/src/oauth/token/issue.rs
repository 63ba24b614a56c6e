//! Access tokens (RFC 9068), and what comes with them.

use lombard_auth_core::{AccessTokenFormat, Granted, UserGrant};
use lombard_token::{Actor, AuthorizationDetails, Claims, Confirmation};
use lombard_types::Timestamp;
use serde::Serialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::TokenRequest;
use crate::{
    audit::Facts,
    oauth::{
        error::{Code, OAuthError},
        id_token::id_token,
    },
    opaque_token,
    service::Api,
};

/// RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3.
#[derive(Serialize)]
pub(super) struct Issued {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    /// As granted, with the ids that were made for payments (RFC 9396 section 7).
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_details: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    /// Of an exchange (RFC 8693 section 2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issued_token_type: Option<&'static str>,
    /// What the audit is told.
    #[serde(skip)]
    claims: Claims,
}

impl Issued {
    /// What was issued, without the token.
    pub(super) fn facts(&self) -> Facts {
        let Claims { client_id, subject, audience, scope, token_id, grant, actor, .. } =
            &self.claims;
        let mut detail = format!("jti={token_id} aud={audience} scope={scope}");
        if let Some(grant) = grant {
            detail.push_str(&format!(" gid={}", grant.id));
        }
        if actor.is_some() {
            detail.push_str(" exchanged");
        }
        let payments = self.claims.authorization_details.iter().count();
        if payments > 0 {
            detail.push_str(&format!(" details={payments}"));
        }
        let (client, subject) = (client_id.to_string(), subject.to_string());
        Facts { client, subject, detail, refused: None }
    }
}

/// What an access token says beyond what all say.
pub(super) struct Said {
    pub(super) subject: Box<str>,
    pub(super) granted: Granted,
    /// The person's grant behind it.
    pub(super) grant: Option<Box<lombard_token::UserGrant>>,
    /// Who acts for the subject.
    pub(super) actor: Option<Box<Actor>>,
    /// When it expires at the latest.
    pub(super) until: Timestamp,
}

pub(super) async fn access_token(
    request: &TokenRequest<'_>,
    said: Said,
    now: Timestamp,
) -> Result<Issued, OAuthError> {
    let (api, client) = (request.api, &request.client);
    let Said { subject, granted, grant, actor, until } = said;
    let Granted { audience, scope, authorization_details } = granted;
    let expires_at = now.plus(api.config.access_token_life()).min(until);
    let claims = Claims {
        issuer: (*api.issuer).into(),
        subject,
        audience: audience.into(),
        client_id: client.id.as_str().into(),
        scope,
        authorization_details,
        token_id: Uuid::new_v4().simple().to_string().into(),
        issued_at: now,
        expires_at,
        actor,
        grant,
        confirmation: request.confirmation.clone(),
        signed_by: Box::default(),
    };
    let access_token = match client.options.access_token_format {
        AccessTokenFormat::Jwt => {
            let resource = claims.audience.strip_prefix(&*api.issuer).unwrap_or_default();
            let algorithm = api.config.access_token_algorithm(client, resource);
            let key = api.keyring.active(algorithm).map_err(unsigned)?;
            claims.sign(&key).map_err(unsigned)?
        }
        AccessTokenFormat::Opaque => opaque(api, &claims).await?,
    };
    Ok(Issued {
        access_token,
        token_type: claims.confirmation.as_ref().map_or("Bearer", Confirmation::token_type),
        expires_in: expires_at.since(now).as_secs(),
        scope: claims.scope.to_string(),
        authorization_details: Some(&claims.authorization_details)
            .filter(|details| !details.is_empty())
            .map(AuthorizationDetails::to_value),
        refresh_token: None,
        id_token: None,
        issued_token_type: None,
        claims,
    })
}

/// The tokens of a person's grant; with an ID token where the client asked who the person is.
pub(super) async fn tokens_of(
    request: &TokenRequest<'_>,
    grant: &UserGrant,
    granted: Granted,
    nonce: Option<&str>,
) -> Result<Issued, OAuthError> {
    let wants_id_token = granted.scope.contains("openid");
    let subject = grant.user.subject().into();
    let user_grant = lombard_token::UserGrant {
        id: grant.id.to_string().into(),
        session_id: grant.ends_with().map(|id| id.to_string().into()),
        authenticated_at: grant.authenticated_at,
        acr: grant.acr.name().into(),
        methods: grant.acr.methods().iter().map(|method| (*method).into()).collect(),
    };
    let said = Said {
        subject,
        granted,
        grant: Some(Box::new(user_grant)),
        actor: None,
        until: Timestamp::MAX,
    };
    let mut issued = access_token(request, said, request.now).await?;
    if wants_id_token {
        let token = id_token(
            request.api,
            (grant, request.client.options.id_token_algorithm),
            &issued.access_token,
            nonce,
            request.now,
        );
        issued.id_token = Some(token.map_err(unsigned)?);
    }
    Ok(issued)
}

/// Its times are kept as a JWT says them.
async fn opaque(api: &Api, claims: &Claims) -> Result<String, OAuthError> {
    let whole = |time: Timestamp| Timestamp::from_unix_seconds(time.unix_seconds());
    let (issued_at, expires_at) = (whole(claims.issued_at), whole(claims.expires_at));
    let claims = Claims { issued_at, expires_at, ..claims.clone() };
    opaque_token::issue(api, claims).await.map_err(|problem| {
        tracing::warn!(cause = problem.kind().slug, "failed to keep an opaque token");
        OAuthError::new(Code::TemporarilyUnavailable, "the token could not be kept: try again")
    })
}

fn unsigned(error: lombard_token::KeyError) -> OAuthError {
    tracing::error!(%error, "failed to sign a token");
    OAuthError::new(Code::ServerError, "the token could not be signed")
}
