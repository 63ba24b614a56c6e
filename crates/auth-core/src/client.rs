//! A registered client.

use std::{collections::BTreeSet, fmt};

use lombard_token::{Algorithm, DetailType, PublicJwk, ScopeSet};
use lombard_types::{ClientId, Timestamp};

use crate::{CertificateSubject, Profile, RedirectUri};

/// An OAuth client (RFC 6749 section 2): a program that may ask for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// What people call it.
    pub name: ClientName,
    /// The widest scope that it may ask for.
    pub scope: ScopeSet,
    /// The types of authorization details that it may ask for (RFC 9396 section 10).
    pub authorization_details_types: BTreeSet<DetailType>,
    /// What it is held to.
    pub profile: Profile,
    /// How it proves who it is.
    pub authentication: Authentication,
    /// How it may ask for tokens.
    pub grant_types: BTreeSet<GrantType>,
    /// Where people's browsers may be sent with an answer for it: compared as they stand.
    pub redirect_uris: Vec<RedirectUri>,
    /// Where they may be sent after they logged out.
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// Where it is told that a person has left (OpenID Connect Back-Channel Logout 1.0); http or https.
    pub backchannel_logout_uri: Option<RedirectUri>,
    /// What it asked for beyond that.
    pub options: ClientOptions,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// The client that registered it; `bootstrap` for those of the first start.
    pub registered_by: Box<str>,
}

impl Client {
    /// Whether it keeps a secret or a key (RFC 6749 section 2.1): one that does not runs where its user can read it.
    pub fn is_confidential(&self) -> bool {
        self.authentication != Authentication::Nothing
    }

    /// Whether its tokens are bound to the certificate that it shows: always where it authenticates with one.
    pub fn binds_to_certificates(&self) -> bool {
        let by_certificate = matches!(
            self.authentication,
            Authentication::Certificate(_) | Authentication::SelfSignedCertificate { .. }
        );
        by_certificate || self.options.certificate_bound_tokens
    }

    /// Whether it may ask for tokens in this way.
    pub fn may_use(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// What is said now in the place of all that was said of it, but for what nobody says: when and by whom it was registered,
    /// and its secrets.
    pub(crate) fn with_what_stays(&self, said: Self) -> Self {
        let both = (&self.authentication, &said.authentication);
        let authentication = match both {
            (Authentication::Secret { .. }, Authentication::Secret { .. }) => &self.authentication,
            (_, said) => said,
        };
        Self {
            authentication: authentication.clone(),
            registered_at: self.registered_at,
            registered_by: self.registered_by.clone(),
            options: ClientOptions {
                registration_sha256: self.options.registration_sha256.clone(),
                ..said.options
            },
            ..said
        }
    }

    /// The key that its authorization requests are signed with (RFC 9101): that it authenticates with, or one that is
    /// registered for this.
    pub fn request_object_key(&self) -> Option<&PublicJwk> {
        match &self.authentication {
            Authentication::Key(key) => Some(key),
            _ => self.options.request_object_key.as_deref(),
        }
    }

    /// Whether all but the secret of `other` is the same.
    pub(crate) fn is_same_but_for_the_secret(&self, other: &Self) -> bool {
        *self == Self { authentication: self.authentication.clone(), ..other.clone() }
    }

    /// A client for tests, which authenticates with a secret.
    #[cfg(test)]
    pub(crate) fn of_secret(sha256: [u8; 32]) -> Self {
        Self {
            id: "shop".parse().unwrap(),
            name: ClientName::new("Shop").unwrap(),
            scope: ScopeSet::default(),
            authorization_details_types: BTreeSet::new(),
            profile: Profile::OAuth21,
            authentication: Authentication::Secret { sha256 },
            grant_types: [GrantType::ClientCredentials].into(),
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            options: ClientOptions::default(),
            registered_at: Timestamp::EPOCH,
            registered_by: "admin".into(),
        }
    }
}

/// What a client may ask for at its registration, and what else is so without that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientOptions {
    /// Whether its tokens are bound to the certificate that it shows, however it authenticates
    /// (`tls_client_certificate_bound_access_tokens`, RFC 8705 section 3.4).
    pub certificate_bound_tokens: bool,
    /// Whether its authorization requests must be signed (`require_signed_request_object`, RFC 9101 section 10.5).
    pub signed_requests_only: bool,
    /// The key that they are signed with, where it authenticates with a certificate and not with that key.
    pub request_object_key: Option<Box<PublicJwk>>,
    /// What its access tokens look like.
    pub access_token_format: AccessTokenFormat,
    /// What its access tokens are signed with, where their resource does not say.
    pub access_token_algorithm: Option<Algorithm>,
    /// What its ID tokens and logout tokens are signed with (`id_token_signed_response_alg`, OpenID Connect Registration section 2).
    pub id_token_algorithm: Algorithm,
    /// SHA-256 of the secret by which it looks after its own registration (RFC 7592); none where an administrator does.
    pub registration_sha256: Option<Box<[u8; 32]>>,
}

impl ClientOptions {
    /// What is signed for the client with.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.access_token_algorithm.into_iter().chain([self.id_token_algorithm])
    }
}

/// What a client's access tokens look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessTokenFormat {
    /// They say what they are good for (RFC 9068): resources need not ask.
    #[default]
    Jwt,
    /// They say nothing, and nothing of them can be read on their way: resources ask (RFC 7662).
    Opaque,
}

impl AccessTokenFormat {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Jwt, Self::Opaque];

    /// Its name, as registrations say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// A way to ask for tokens (RFC 6749 section 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantType {
    /// For what a person allows, by way of that person's browser.
    AuthorizationCode,
    /// Again, without the person.
    RefreshToken,
    /// For what the client itself may do.
    ClientCredentials,
    /// For what a person allows in a browser on another device (RFC 8628).
    DeviceCode,
    /// For less than a token that the client was given (RFC 8693).
    TokenExchange,
}

impl GrantType {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::DeviceCode,
        Self::TokenExchange,
    ];

    /// The value of `grant_type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant_type| grant_type.name() == name)
    }
}

/// How a client authenticates: by exactly one method.
#[derive(Clone, PartialEq, Eq)]
pub enum Authentication {
    /// A secret of 256 random bits, of which only the digest is kept (`client_secret_basic`, `client_secret_post`).
    Secret {
        /// SHA-256 of the secret.
        sha256: [u8; 32],
    },
    /// A private key, whose public half is known (`private_key_jwt`).
    Key(Box<PublicJwk>),
    /// A certificate that an authority has signed (`tls_client_auth`, RFC 8705 section 2.1).
    Certificate(Box<CertificateSubject>),
    /// A certificate that was registered itself (`self_signed_tls_client_auth`, RFC 8705 section 2.2): one of these.
    SelfSignedCertificate {
        /// SHA-256 of each, in DER.
        sha256s: BTreeSet<[u8; 32]>,
    },
    /// Not at all (`none`): a public client, such as a program on a person's own machine.
    Nothing,
}

impl Authentication {
    /// The value of `token_endpoint_auth_method`.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "client_secret_basic",
            Self::Key(_) => "private_key_jwt",
            Self::Certificate(_) => "tls_client_auth",
            Self::SelfSignedCertificate { .. } => "self_signed_tls_client_auth",
            Self::Nothing => "none",
        }
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { .. } => f.write_str("Secret(..)"),
            Self::Key(key) => f.debug_tuple("Key").field(&key.kid()).finish(),
            Self::Certificate(subject) => f.debug_tuple("Certificate").field(subject).finish(),
            Self::SelfSignedCertificate { .. } => f.write_str("SelfSignedCertificate(..)"),
            Self::Nothing => f.write_str("Nothing"),
        }
    }
}

/// What people call a client: 1 to 200 bytes without control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientName(Box<str>);

/// A text is not a client's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 200 bytes without control characters")]
pub struct InvalidClientName;

impl ClientName {
    const BYTES_MAX: usize = 200;

    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, InvalidClientName> {
        if name.trim().is_empty() || name.len() > Self::BYTES_MAX || name.contains(char::is_control)
        {
            return Err(InvalidClientName);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
