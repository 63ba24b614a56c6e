//! For less than a token that the client was given (RFC 8693): the subject stays the same, and the client acts for it.

use lombard_token::ScopeSet;

use super::{
    TokenRequest, invalid_grant,
    issue::{Issued, Said, access_token},
};
use crate::oauth::{
    error::{Code, OAuthError},
    presented_token::good_claims,
};

/// RFC 8693 section 3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

pub(super) async fn grant(request: &TokenRequest<'_>) -> Result<Issued, OAuthError> {
    let TokenRequest { api, client, form, now, .. } = request;
    let is_known = |name: &str| form.get(name).is_none_or(|it| it == ACCESS_TOKEN || it == JWT);
    if form.get("subject_token_type").is_none() || !is_known("subject_token_type") {
        return Err(OAuthError::invalid_request("subject_token_type must be an access token's"));
    }
    if !is_known("requested_token_type") {
        return Err(OAuthError::invalid_request("only access tokens are issued"));
    }
    if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
        return Err(OAuthError::invalid_request("the client itself acts: leave out actor_token"));
    }
    if form.get("authorization_details").is_some() {
        let cause = "details go along as they are: leave them out";
        return Err(OAuthError::new(Code::InvalidAuthorizationDetails, cause));
    }
    let token = form.get("subject_token");
    let token = token.ok_or_else(|| OAuthError::invalid_request("subject_token is missing"))?;
    let subject = good_claims(api, token, *now).ok_or_else(|| {
        invalid_grant("the subject_token is none of ours, has expired, or was revoked")
    })?;
    // Who was shown a bound token, and has not its key or certificate, must not make one of its own of it.
    if subject.confirmation.is_some() && subject.confirmation != request.confirmation {
        return Err(invalid_grant(
            "the subject_token is bound to a key or certificate that is not proved",
        ));
    }
    let scope = form.get("scope").map(str::parse).transpose();
    let scope: Option<ScopeSet> =
        scope.map_err(|error| OAuthError::new(Code::InvalidScope, format!("{error}")))?;
    let resource = match (form.get("resource"), form.get("audience")) {
        (Some(resource), Some(audience)) if resource != audience => {
            return Err(OAuthError::new(Code::InvalidTarget, "resource and audience differ"));
        }
        (resource, audience) => resource.or(audience),
    };
    let (granted, actor) = lombard_auth_core::exchange(client, &subject, scope.as_ref(), resource)?;
    let said = Said {
        subject: subject.subject.clone(),
        granted,
        grant: subject.grant.clone(),
        actor: Some(Box::new(actor)),
        until: subject.expires_at,
    };
    let mut issued = access_token(request, said, *now).await?;
    issued.issued_token_type = Some(ACCESS_TOKEN);
    Ok(issued)
}
