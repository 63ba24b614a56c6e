//! What a person allowed, for the code that came of it (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

use lombard_auth_core::{
    Authority, Command, GrantType, Granted, Rejection, Reply, Request, UserGrant,
    grants::{self, Redemption, Reply as GrantReply},
};
use lombard_engine::SubmitError;

use super::{
    TokenRequest, invalid_grant,
    issue::{Issued, tokens_of},
};
use crate::{
    oauth::error::{Code, OAuthError},
    refresh_token::RefreshToken,
    secret,
    service::Api,
};

pub(super) async fn grant(request: &TokenRequest<'_>) -> Result<Issued, OAuthError> {
    let TokenRequest { client, form, .. } = request;
    let code = form.get("code").ok_or_else(|| OAuthError::invalid_request("code is missing"))?;
    let verifier = form.get("code_verifier");
    let verifier =
        verifier.ok_or_else(|| OAuthError::invalid_request("code_verifier is missing"))?;
    // RFC 7636 section 4.1.
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_fit) {
        return Err(OAuthError::invalid_request(
            "code_verifier is not 43 to 128 unreserved characters",
        ));
    }
    let redemption = Redemption {
        code_sha256: secret::sha256(code.as_bytes()),
        client: client.id.clone(),
        redirect_uri: form.get("redirect_uri").map(Into::into),
        challenge: secret::sha256(verifier.as_bytes()),
        key_thumbprint: request.key_thumbprint.clone(),
        // A confidential client's refresh tokens are bound to the client (RFC 9449 section 5).
        binds_refresh: !client.is_confidential(),
        may_refresh: client.may_use(GrantType::RefreshToken),
    };
    redeem(request, redemption, Code::InvalidGrant).await
}

/// The tokens for a code, once. `unknown`: what is said of a code that is not known.
pub(super) async fn redeem(
    request: &TokenRequest<'_>,
    redemption: Redemption,
    unknown: Code,
) -> Result<Issued, OAuthError> {
    let TokenRequest { api, client, .. } = request;
    let redeemed = match submit(api, grants::Command::Redeem(redemption)).await {
        Err(error) if error.code == Code::InvalidGrant => {
            return Err(OAuthError { code: unknown, ..error });
        }
        redeemed => redeemed?,
    };
    let grant = match redeemed {
        GrantReply::Redeemed(grant) => grant,
        GrantReply::CodeReplayed(id) => {
            tracing::warn!(client_id = %client.id, grant = %id, "a code was shown a second time: what it gave is revoked");
            return Err(invalid_grant("the code was used before; what it gave is revoked"));
        }
        _ => return Err(OAuthError::new(Code::ServerError, "an unexpected outcome")),
    };
    let granted = still_granted(request, &grant)?;
    let nonce = grant.code.as_ref().and_then(|code| code.nonce.as_deref());
    let mut issued = tokens_of(request, &grant, granted, nonce).await?;
    if let Some(refresh) = grant.refresh {
        let token = RefreshToken { grant: grant.id, generation: refresh.generation };
        issued.refresh_token = Some(token.encode(&api.keys));
    }
    Ok(issued)
}

/// What of a grant is good now: what the client may ask for and the person may do may have become less since.
pub(super) fn still_granted(
    request: &TokenRequest<'_>,
    grant: &UserGrant,
) -> Result<Granted, OAuthError> {
    let api = request.api;
    let rights = api.view.read(|view| {
        let users = &view.state.users;
        users.get(grant.user).filter(|user| !user.is_disabled).map(|user| users.rights_of(user))
    });
    let rights = rights.ok_or_else(|| invalid_grant("the person may not log in any more"))?;
    let asked = Request {
        scope: Some(&grant.scope).filter(|scope| !scope.is_empty()),
        authorization_details: &grant.authorization_details,
        resource: Some(&grant.audience),
    };
    let authority = Authority::User(&rights);
    lombard_auth_core::grant(&request.client, authority, asked, &api.issuer)
        .map_err(|error| OAuthError::new(Code::InvalidGrant, error.to_string()))
}

/// Decided by the one writer, and durable before it is answered.
pub(super) async fn submit(api: &Api, command: grants::Command) -> Result<GrantReply, OAuthError> {
    let command = Command::Grant(command, api.config.lives());
    match api.writer.submit(command).await {
        Ok(committed) => {
            let Reply::Grant(reply) = committed.reply else {
                return Err(OAuthError::new(Code::ServerError, "an unexpected outcome"));
            };
            // What has begun or ended is so for whoever reads the copy, before it is answered. A successor is needed by
            // nobody but the writer.
            if !matches!(reply, GrantReply::Refreshed(..)) {
                let timeout = api.config.submit_timeout();
                if api.view.wait_for(committed.position.next(), timeout).await.is_err() {
                    tracing::warn!("the copy of the grants lags behind");
                }
            }
            Ok(reply)
        }
        Err(SubmitError::Rejected { rejection: Rejection::Grant(rejection), .. }) => {
            Err(refused(rejection))
        }
        Err(error) => {
            tracing::warn!(%error, "failed to record a grant");
            Err(OAuthError::new(Code::TemporarilyUnavailable, "try again"))
        }
    }
}

fn refused(rejection: grants::Rejection) -> OAuthError {
    use grants::Rejection;
    tracing::info!(?rejection, "refused a code or a refresh token");
    invalid_grant(match rejection {
        Rejection::CodeUnknown => "the code is not known, or has expired",
        Rejection::RefreshUnknown => "the refresh token is not known, was revoked, or has expired",
        Rejection::OtherClient => "it is another client's",
        Rejection::OtherRedirectUri => "the redirect_uri is not the one of the request",
        Rejection::OtherVerifier => "the code_verifier is not the one of the request",
        Rejection::OtherKey => "it is bound to another key",
        Rejection::LoggedOut | Rejection::TooManyGrants => "the grant is over",
    })
}
