//! What the client itself may do (RFC 6749 section 4.4). Writes nothing, unless the client wants opaque tokens.

use lombard_auth_core::{Authority, Request};
use lombard_token::ScopeSet;
use lombard_types::Timestamp;

use super::{
    TokenRequest,
    issue::{Issued, Said, access_token},
    requested_details,
};
use crate::oauth::error::{Code, OAuthError};

pub(super) async fn grant(request: &TokenRequest<'_>) -> Result<Issued, OAuthError> {
    let TokenRequest { api, client, form, now, .. } = request;
    let requested: Option<ScopeSet> = form
        .get("scope")
        .map(str::parse)
        .transpose()
        .map_err(|error| OAuthError::new(Code::InvalidScope, format!("{error}")))?;
    let authorization_details = requested_details(form)?;
    let asked = Request {
        scope: requested.as_ref(),
        authorization_details: &authorization_details,
        resource: form.get("resource"),
    };
    let granted = lombard_auth_core::grant(client, Authority::Client, asked, &api.issuer)?;
    let said = Said {
        subject: client.id.as_str().into(),
        granted,
        grant: None,
        actor: None,
        until: Timestamp::MAX,
    };
    access_token(request, said, *now).await
}
