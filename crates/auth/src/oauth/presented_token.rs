//! The token that introspection and revocation are about.

use std::sync::Arc;

use lombard_auth_core::{Client, UserGrant};
use lombard_token::Claims;
use lombard_types::Timestamp;

use super::{client_authentication::authenticate, error::OAuthError, form::Form, sender::Sender};
use crate::{opaque_token, refresh_token::RefreshToken, service::Api};

/// Who asks, and about what.
pub(super) struct Presented {
    pub(super) client: Arc<Client>,
    /// `None` where the token is none of ours, has expired or was taken back.
    token: Option<GoodToken>,
}

/// A token that is good now.
pub(super) enum GoodToken {
    Access(Arc<Claims>),
    /// The newest refresh token of this grant.
    Refresh(Arc<UserGrant>),
}

impl Presented {
    pub(super) fn read(
        api: &Api,
        sender: &Sender,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Self, OAuthError> {
        let form = Form::posted(&sender.headers, body)?;
        let client = authenticate(api, sender, &form, now)?;
        let token =
            form.get("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
        let token = if RefreshToken::is_one(token) {
            good_grant(api, token, now).map(GoodToken::Refresh)
        } else {
            good_claims(api, token, now).map(GoodToken::Access)
        };
        Ok(Self { client, token })
    }

    pub(super) fn token(&self) -> Option<&GoodToken> {
        self.token.as_ref()
    }

    /// The token, if the client may know of it: it is its own, or the client administers.
    pub(super) fn visible(&self, operation: &str) -> Option<&GoodToken> {
        self.token.as_ref().filter(|token| {
            token.client_id() == self.client.id.as_str()
                || self.client.scope.permits("auth", operation, None)
        })
    }
}

impl GoodToken {
    fn client_id(&self) -> &str {
        match self {
            Self::Access(claims) => &claims.client_id,
            Self::Refresh(grant) => grant.client.as_str(),
        }
    }
}

/// What an access token says or stands for, of whatever resource, if it is good now.
pub(super) fn good_claims(api: &Api, token: &str, now: Timestamp) -> Option<Arc<Claims>> {
    let claims = if opaque_token::is_one(token) {
        opaque_token::look_up(api, token, now)?
    } else {
        api.verifier.inspect_any(token).ok()?
    };
    let is_revoked = api.view.read(|view| view.state.revocations.contains(&claims));
    (!is_revoked).then_some(claims)
}

fn good_grant(api: &Api, token: &str, now: Timestamp) -> Option<Arc<UserGrant>> {
    let token = RefreshToken::decode(token, &api.keys)?;
    let grant = api.view.read(|view| view.state.grants.get(token.grant, now).cloned())?;
    let is_newest = grant.refresh.is_some_and(|newest| newest.generation == token.generation);
    is_newest.then_some(grant)
}
