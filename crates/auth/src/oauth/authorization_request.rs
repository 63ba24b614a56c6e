//! What a client asks a person for (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1).

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_auth_core::{Acr, Authority, Client, GrantType, Request};
use lombard_token::{AuthorizationDetails, ScopeSet};

use super::{
    error::{Code, OAuthError},
    form::Form,
    token::requested_details,
};
use crate::device::UserCode;

/// A request that was found to be in order.
#[derive(Debug)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client: Arc<Client>,
    /// How the client hears of the decision.
    pub(crate) answer_to: AnswerTo,
    /// What is asked for, before it is known who may allow what of it.
    pub(crate) scope: Option<ScopeSet>,
    pub(crate) authorization_details: AuthorizationDetails,
    pub(crate) resource: Option<Box<str>>,
    pub(crate) key_thumbprint: Option<Box<str>>,
    pub(crate) nonce: Option<Box<str>>,
    pub(crate) prompt: Prompt,
    /// The oldest login that is good enough.
    pub(crate) max_age: Option<Duration>,
    /// The weakest way to log in that is good enough.
    pub(crate) acr: Option<Acr>,
    /// Whom the client expects: what the form is filled in with.
    pub(crate) login_hint: Option<Box<str>>,
}

/// How a client hears of a decision.
#[derive(Debug)]
pub(crate) enum AnswerTo {
    /// The browser is sent there, with a code.
    Browser {
        return_to: ReturnTo,
        /// SHA-256 of the verifier (RFC 7636).
        challenge: [u8; 32],
    },
    /// The device asks again and again (RFC 8628).
    Device {
        /// SHA-256 of the device code.
        code_sha256: [u8; 32],
        /// What is redeemed with it.
        challenge: [u8; 32],
        user_code: UserCode,
    },
}

/// Where a browser is sent with an answer.
#[derive(Clone, Debug)]
pub(crate) struct ReturnTo {
    /// The redirect URI, which was found to be the client's.
    pub(crate) redirect_uri: Box<str>,
    pub(crate) state: Option<Box<str>>,
    /// The client, where it wants its answers signed (JARM).
    pub(crate) signed_for: Option<Box<str>>,
    /// Whether the browser posts the signed answer in place of bringing it in the URL.
    pub(crate) is_posted: bool,
}

/// What the person must, or must not, be asked (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// Nothing may be asked.
    pub(crate) is_none: bool,
    /// The password must be asked for.
    pub(crate) login: bool,
    /// Consent must be asked for.
    pub(crate) consent: bool,
}

/// What is wrong with a request, and whether the client may be told by way of the browser.
#[derive(Debug)]
pub(super) struct RequestError {
    pub(super) error: OAuthError,
    pub(super) tell: Option<Box<ReturnTo>>,
}

/// Longest `state`, `nonce` and others that are only passed on, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

impl AuthorizationRequest {
    /// Checks a request of `client`.
    pub(super) fn read(
        client: Arc<Client>,
        form: &Form<'_>,
        issuer: &str,
    ) -> Result<Self, RequestError> {
        let redirect_uri = redirect_uri(&client, form).map_err(RequestError::untold)?;
        let state = passed_on(form, "state").map_err(RequestError::untold)?;
        // JARM section 2.3: for a code `jwt` means `query.jwt`.
        let mode = form.get("response_mode");
        let is_posted = mode == Some("form_post.jwt");
        let is_signed = is_posted || matches!(mode, Some("jwt" | "query.jwt"));
        let signed_for = is_signed.then(|| client.id.as_str().into());
        let return_to = ReturnTo { redirect_uri, state, signed_for, is_posted };
        let result = Self::read_rest(client, form, issuer, return_to.clone());
        result.map_err(|error| RequestError { error, tell: Some(Box::new(return_to)) })
    }

    fn read_rest(
        client: Arc<Client>,
        form: &Form<'_>,
        issuer: &str,
        return_to: ReturnTo,
    ) -> Result<Self, OAuthError> {
        if form.get("response_type") != Some("code") {
            return Err(OAuthError::new(
                Code::UnsupportedResponseType,
                "response_type must be code",
            ));
        }
        if return_to.signed_for.is_none()
            && form.get("response_mode").is_some_and(|mode| mode != "query")
        {
            let cause = "response_mode must be query, query.jwt, form_post.jwt or jwt, or left out";
            return Err(OAuthError::invalid_request(cause));
        }
        if !client.may_use(GrantType::AuthorizationCode) {
            let cause = "the client is not registered for authorization_code";
            return Err(OAuthError::new(Code::UnauthorizedClient, cause));
        }
        let scope = form.get("scope").map(str::parse).transpose();
        let scope: Option<ScopeSet> =
            scope.map_err(|error| OAuthError::new(Code::InvalidScope, format!("{error}")))?;
        let prompt = Prompt::read(form.get("prompt").unwrap_or_default())?;
        let max_age = form.get("max_age").map(str::parse).transpose();
        let max_age = max_age.map_err(|_| OAuthError::invalid_request("max_age is no number"))?;
        let request = Self {
            answer_to: AnswerTo::Browser { return_to, challenge: challenge(form)? },
            key_thumbprint: key_thumbprint(form)?,
            nonce: passed_on(form, "nonce")?,
            login_hint: passed_on(form, "login_hint")?,
            authorization_details: requested_details(form)?,
            resource: form.get("resource").map(Into::into),
            max_age: max_age.map(Duration::from_secs),
            acr: acr(form)?,
            client,
            scope,
            prompt,
        };
        request.check_anybody_may(issuer)?;
        Ok(request)
    }

    /// A device's request (RFC 8628 section 3.1).
    pub(super) fn of_device(
        client: Arc<Client>,
        form: &Form<'_>,
        issuer: &str,
        answer_to: AnswerTo,
    ) -> Result<Self, OAuthError> {
        let scope = form.get("scope").map(str::parse).transpose();
        let scope: Option<ScopeSet> =
            scope.map_err(|error| OAuthError::new(Code::InvalidScope, format!("{error}")))?;
        let request = Self {
            client,
            answer_to,
            scope,
            authorization_details: requested_details(form)?,
            resource: form.get("resource").map(Into::into),
            key_thumbprint: None,
            nonce: None,
            prompt: Prompt::default(),
            max_age: None,
            acr: None,
            login_hint: None,
        };
        request.check_anybody_may(issuer)?;
        Ok(request)
    }

    /// What nobody could allow is refused before anybody is asked.
    fn check_anybody_may(&self, issuer: &str) -> Result<(), OAuthError> {
        let anybody: ScopeSet = "admin".parse().unwrap_or_default();
        let authority = Authority::User(&anybody);
        lombard_auth_core::grant(&self.client, authority, self.asked(), issuer)?;
        Ok(())
    }

    /// Where the browser is sent in the end; nowhere for a device.
    pub(crate) fn leads_to(&self) -> Option<&str> {
        match &self.answer_to {
            AnswerTo::Browser { return_to, .. } => Some(&return_to.redirect_uri),
            AnswerTo::Device { .. } => None,
        }
    }

    /// One of the client `shop`, which waits for nothing.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        let client = Client {
            id: "shop".parse().unwrap(),
            name: lombard_auth_core::ClientName::new("Shop").unwrap(),
            scope: ScopeSet::default(),
            authorization_details_types: Default::default(),
            profile: lombard_auth_core::Profile::OAuth21,
            authentication: lombard_auth_core::Authentication::Nothing,
            grant_types: Default::default(),
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            options: Default::default(),
            registered_at: lombard_types::Timestamp::EPOCH,
            registered_by: "admin".into(),
        };
        Self {
            client: Arc::new(client),
            answer_to: AnswerTo::Browser {
                return_to: ReturnTo {
                    redirect_uri: "https://shop.example/cb".into(),
                    state: None,
                    signed_for: None,
                    is_posted: false,
                },
                challenge: [0; 32],
            },
            scope: None,
            authorization_details: AuthorizationDetails::default(),
            resource: None,
            key_thumbprint: None,
            nonce: None,
            prompt: Prompt::default(),
            max_age: None,
            acr: None,
            login_hint: None,
        }
    }

    /// What is asked for.
    pub(crate) fn asked(&self) -> Request<'_> {
        Request {
            scope: self.scope.as_ref(),
            authorization_details: &self.authorization_details,
            resource: self.resource.as_deref(),
        }
    }
}

impl Prompt {
    fn read(text: &str) -> Result<Self, OAuthError> {
        let mut prompt = Self::default();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            match word {
                "none" => prompt.is_none = true,
                // There is one account in a browser at a time: choosing one is logging in.
                "login" | "select_account" => prompt.login = true,
                "consent" => prompt.consent = true,
                _ => {
                    return Err(OAuthError::invalid_request("prompt has a word that is not known"));
                }
            }
        }
        if prompt.is_none && (prompt.login || prompt.consent) {
            return Err(OAuthError::invalid_request("prompt is none and something else"));
        }
        Ok(prompt)
    }
}

impl RequestError {
    fn untold(error: OAuthError) -> Self {
        Self { error, tell: None }
    }
}

/// The redirect URI must be named, and be one of the client's.
fn redirect_uri(client: &Client, form: &Form<'_>) -> Result<Box<str>, OAuthError> {
    let named = form
        .get("redirect_uri")
        .ok_or_else(|| OAuthError::invalid_request("redirect_uri is missing"))?;
    if !client.redirect_uris.iter().any(|own| own.accepts(named)) {
        return Err(OAuthError::invalid_request("the redirect_uri is none of the client's"));
    }
    Ok(named.into())
}

fn passed_on(form: &Form<'_>, name: &'static str) -> Result<Option<Box<str>>, OAuthError> {
    let text = form.get(name);
    if text.is_some_and(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(OAuthError::invalid_request(format!("{name} is over {TEXT_BYTES_MAX} bytes")));
    }
    Ok(text.map(Into::into))
}

/// RFC 7636 section 4.3, S256 and no other: a request without a method asks for `plain`, which is refused.
fn challenge(form: &Form<'_>) -> Result<[u8; 32], OAuthError> {
    let missing = || OAuthError::invalid_request("code_challenge is missing (PKCE)");
    let challenge = form.get("code_challenge").ok_or_else(missing)?;
    if form.get("code_challenge_method") != Some("S256") {
        return Err(OAuthError::invalid_request("code_challenge_method must be S256"));
    }
    let bytes = URL_SAFE_NO_PAD.decode(challenge).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| OAuthError::invalid_request("code_challenge is not a SHA-256 in base64url"))
}

/// RFC 9449 section 10.
fn key_thumbprint(form: &Form<'_>) -> Result<Option<Box<str>>, OAuthError> {
    let Some(thumbprint) = form.get("dpop_jkt") else { return Ok(None) };
    if URL_SAFE_NO_PAD.decode(thumbprint).is_ok_and(|bytes| bytes.len() == 32) {
        return Ok(Some(thumbprint.into()));
    }
    Err(OAuthError::invalid_request("dpop_jkt is not a SHA-256 thumbprint in base64url"))
}

/// What `acr_values` ask for. OpenID Connect Core section 5.5.1.1 lets any be answered with what there is; here, as RFC 9470
/// section 5 has it, one of them is met, or the request is refused.
fn acr(form: &Form<'_>) -> Result<Option<Acr>, OAuthError> {
    let Some(values) = form.get("acr_values") else { return Ok(None) };
    let weakest = values.split(' ').filter_map(Acr::from_name).min();
    let cause = "none of acr_values is supported";
    weakest.map(Some).ok_or_else(|| OAuthError::new(Code::UnmetAuthenticationRequirements, cause))
}
