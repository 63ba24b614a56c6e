//! Again, without the person (RFC 6749 section 6, RFC 9700 section 4.14).
//!
//! A refresh token is followed by another one, durably before the answer. A retry within a short time gets the same
//! successor, since its first answer may have been lost; after that it is a theft, and the whole family is good no more.
//! Where the profile says so, the token stays the same.

use lombard_auth_core::grants::{self, Refreshing, Reply as GrantReply};
use lombard_token::ScopeSet;

use super::{
    TokenRequest,
    authorization_code::{still_granted, submit},
    invalid_grant,
    issue::{Issued, tokens_of},
    requested_details,
};
use crate::{
    oauth::error::{Code, OAuthError},
    refresh_token::RefreshToken,
};

pub(super) async fn grant(request: &TokenRequest<'_>) -> Result<Issued, OAuthError> {
    let TokenRequest { api, client, form, .. } = request;
    let text = form.get("refresh_token");
    let text = text.ok_or_else(|| OAuthError::invalid_request("refresh_token is missing"))?;
    let unknown = || invalid_grant("the refresh token is not known, was revoked, or has expired");
    let token = RefreshToken::decode(text, &api.keys).ok_or_else(unknown)?;
    let narrower = narrower(request, token)?;
    let refreshing = Refreshing {
        id: token.grant,
        generation: token.generation,
        client: client.id.clone(),
        key_thumbprint: request.key_thumbprint.clone(),
        rotates: client.profile.rotates_refresh_tokens(),
        grace: api.config.refresh_grace(client),
    };
    let (grant, generation) = match submit(api, grants::Command::Refresh(refreshing)).await? {
        GrantReply::Refreshed(grant, generation) => (grant, generation),
        GrantReply::RefreshReused(id) => {
            tracing::warn!(client_id = %client.id, grant = %id, "a refresh token was used again: its family is revoked");
            return Err(invalid_grant(
                "the refresh token was used before; all that came of it is revoked",
            ));
        }
        _ => return Err(OAuthError::new(Code::ServerError, "an unexpected outcome")),
    };
    let mut granted = still_granted(request, &grant)?;
    if let Some(narrower) = narrower {
        granted.scope = narrower.within(&granted.scope);
        if granted.scope.is_empty() && granted.authorization_details.is_empty() {
            return Err(OAuthError::new(Code::InvalidScope, "nothing of it is left"));
        }
    }
    let mut issued = tokens_of(request, &grant, granted, None).await?;
    let successor = RefreshToken { grant: grant.id, generation };
    issued.refresh_token = Some(successor.encode(&api.keys));
    Ok(issued)
}

/// Less than was granted, where less is asked for (RFC 6749 section 6). Checked before anything is written: a mistake in the
/// request does not cost the token.
fn narrower(
    request: &TokenRequest<'_>,
    token: RefreshToken,
) -> Result<Option<ScopeSet>, OAuthError> {
    if !requested_details(request.form)?.is_empty() {
        let cause = "a refresh token is for the details that were granted: leave them out";
        return Err(OAuthError::new(Code::InvalidAuthorizationDetails, cause));
    }
    let api = request.api;
    let grant = api.view.read(|view| view.state.grants.get(token.grant, request.now).cloned());
    let wanted = request.form.get("resource");
    if grant.as_ref().zip(wanted).is_some_and(|(grant, wanted)| *grant.audience != *wanted) {
        return Err(OAuthError::new(Code::InvalidTarget, "the grant is for another resource"));
    }
    let Some(scope) = request.form.get("scope") else { return Ok(None) };
    let scope: ScopeSet =
        scope.parse().map_err(|error| OAuthError::new(Code::InvalidScope, format!("{error}")))?;
    let is_within =
        |own: &ScopeSet| scope.iter().all(|scope| own.iter().any(|own| own.covers(scope)));
    if grant.is_some_and(|grant| !is_within(&grant.scope)) {
        return Err(OAuthError::new(Code::InvalidScope, "more than was granted"));
    }
    Ok(Some(scope))
}
