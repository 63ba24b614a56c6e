//! The token that introspection and revocation are about.

use std::sync::Arc;

use axum::http::HeaderMap;
use lombard_auth_core::Client;
use lombard_chassis::extract::require_media_type;
use lombard_token::{Claims, claimed_audience};
use lombard_types::Timestamp;

use super::{client_authentication::authenticate, error::OAuthError, form::Form};
use crate::service::Api;

/// Who asks, and about what.
pub(super) struct Presented {
    pub(super) client: Arc<Client>,
    /// `None` where the token is none of ours, has expired or was taken back.
    pub(super) claims: Option<Arc<Claims>>,
}

impl Presented {
    pub(super) fn read(
        api: &Api,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Self, OAuthError> {
        require_media_type(headers, "application/x-www-form-urlencoded").map_err(|_| {
            OAuthError::invalid_request("the body must be application/x-www-form-urlencoded")
        })?;
        let form = Form::parse(body)?;
        let client = authenticate(api, headers, &form, now)?;
        let token =
            form.get("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
        Ok(Self { client, claims: good_claims(api, token) })
    }

    /// The claims, if the client may know of the token: it is its own, or the client administers.
    pub(super) fn visible(&self, operation: &str) -> Option<&Arc<Claims>> {
        self.claims.as_ref().filter(|claims| {
            *claims.client_id == *self.client.id.as_str()
                || self.client.scope.permits("auth", operation, None)
        })
    }
}

fn good_claims(api: &Api, token: &str) -> Option<Arc<Claims>> {
    let verifier = api.verifier.for_audience(claimed_audience(token)?);
    let claims = verifier.inspect(token).ok()?;
    let is_revoked = api.view.read(|view| view.state.revocations.contains(&claims));
    (!is_revoked).then_some(claims)
}
