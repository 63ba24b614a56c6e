//! Errors of the token endpoint, in the form of RFC 6749 section 5.2.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lombard_auth_core::{ExchangeError, GrantError};
use lombard_chassis::{DPOP_NONCE, Json};
use serde_json::json;

use crate::audit::Facts;

/// Why no token is issued: the code, and a description for whoever reads logs.
#[derive(Debug)]
pub(super) struct OAuthError {
    pub(super) code: Code,
    pub(super) description: Cow<'static, str>,
    /// Whether the client tried HTTP Basic: then a 401 must say so (RFC 6749 section 5.2).
    pub(super) used_basic: bool,
    /// The client that is refused, where it is known who it says it is.
    pub(super) client: Option<Box<str>>,
    /// A nonce for the next proof (RFC 9449 section 8).
    pub(super) dpop_nonce: Option<String>,
}

/// The error codes that are answered: a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    InvalidRequest,
    InvalidClient,
    InvalidScope,
    /// RFC 8707 section 2.
    InvalidTarget,
    /// RFC 9396 section 5.
    InvalidAuthorizationDetails,
    InvalidGrant,
    UnsupportedGrantType,
    /// RFC 8628 section 3.5.
    AuthorizationPending,
    SlowDown,
    ExpiredToken,
    UnsupportedResponseType,
    /// RFC 9449 section 5.
    InvalidDpopProof,
    /// RFC 9449 section 8.
    UseDpopNonce,
    /// RFC 9126 section 2.2.
    InvalidRequestUri,
    /// RFC 9101 section 7.
    InvalidRequestObject,
    LoginRequired,
    ConsentRequired,
    /// RFC 9470 section 5.
    UnmetAuthenticationRequirements,
    UnauthorizedClient,
    AccessDenied,
    TemporarilyUnavailable,
    ServerError,
}

impl Code {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidAuthorizationDetails => "invalid_authorization_details",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::InvalidRequestObject => "invalid_request_object",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl OAuthError {
    pub(super) fn new(code: Code, description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        Self { code, description, used_basic: false, client: None, dpop_nonce: None }
    }

    /// The same of a client.
    pub(super) fn of(self, client: &str) -> Self {
        Self { client: Some(client.into()), ..self }
    }

    /// RFC 6749 section 5.2: no quotes, backslashes or non-ASCII in a description.
    pub(super) fn shown_description(&self) -> String {
        let shown = |c| if (' '..='~').contains(&c) && c != '"' && c != '\\' { c } else { '\'' };
        self.description.chars().map(shown).collect()
    }

    pub(super) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, description)
    }
}

impl From<GrantError> for OAuthError {
    fn from(error: GrantError) -> Self {
        let code = match error {
            GrantError::InvalidTarget { .. } => Code::InvalidTarget,
            GrantError::NotAllowed(_)
            | GrantError::WrongResource { .. }
            | GrantError::SeveralResources { .. }
            | GrantError::NobodyThere(_)
            | GrantError::NothingAsked
            | GrantError::Nothing => Code::InvalidScope,
            GrantError::UserMayNot => Code::AccessDenied,
            GrantError::TypeNotAllowed(_)
            | GrantError::DebtorNotAllowed(_)
            | GrantError::DetailAtWrongResource { .. }
            | GrantError::DetailWithoutResource => Code::InvalidAuthorizationDetails,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ExchangeError> for OAuthError {
    fn from(error: ExchangeError) -> Self {
        let code = match error {
            ExchangeError::OtherResource { .. } => Code::InvalidTarget,
            ExchangeError::MoreThanTheToken
            | ExchangeError::NotAllowed
            | ExchangeError::Nothing => Code::InvalidScope,
            ExchangeError::TypeNotAllowed(_) => Code::InvalidAuthorizationDetails,
            ExchangeError::TooManyActors => Code::InvalidRequest,
        };
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body =
            json!({ "error": self.code.name(), "error_description": self.shown_description() });
        let mut response = (self.code.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.code == Code::InvalidClient && self.used_basic {
            let challenge =
                HeaderValue::from_static("Basic realm=\"token endpoint\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(nonce) = self.dpop_nonce.and_then(|nonce| HeaderValue::from_str(&nonce).ok()) {
            headers.insert(DPOP_NONCE, nonce);
        }
        if self.code == Code::TemporarilyUnavailable {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        let client = self.client.map(String::from).unwrap_or_default();
        let detail = self.description.into_owned();
        Facts { client, detail, refused: Some(self.code.name()), ..Facts::default() }.with(response)
    }
}
