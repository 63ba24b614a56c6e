//! A device asks whether a person has allowed it something (RFC 8628 section 3.4).

use lombard_auth_core::{GrantType, grants::Redemption};

use super::{TokenRequest, authorization_code::redeem, issue::Issued};
use crate::{
    device::Poll,
    oauth::{
        device_authorization::challenge,
        error::{Code, OAuthError},
    },
    secret,
};

pub(super) async fn grant(request: &TokenRequest<'_>) -> Result<Issued, OAuthError> {
    let TokenRequest { api, client, form, now, .. } = request;
    let code = form
        .get("device_code")
        .ok_or_else(|| OAuthError::invalid_request("device_code is missing"))?;
    let code_sha256 = secret::sha256(code.as_bytes());
    match api.devices.poll(&code_sha256, client.id.as_str(), *now) {
        Poll::Waiting => {
            let cause = "nobody has decided yet";
            return Err(OAuthError::new(Code::AuthorizationPending, cause));
        }
        Poll::TooOften => {
            let cause = "from now on wait for 5 seconds more between two requests";
            return Err(OAuthError::new(Code::SlowDown, cause));
        }
        Poll::Denied => return Err(OAuthError::new(Code::AccessDenied, "the person said no")),
        // What was allowed is in the log, also after a restart.
        Poll::Allowed | Poll::Unknown => {}
    }
    let redemption = Redemption {
        code_sha256,
        client: client.id.clone(),
        redirect_uri: None,
        challenge: challenge(code),
        key_thumbprint: request.key_thumbprint.clone(),
        binds_refresh: !client.is_confidential(),
        may_refresh: client.may_use(GrantType::RefreshToken),
    };
    redeem(request, redemption, Code::ExpiredToken).await
}
