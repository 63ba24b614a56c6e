//! What a person has allowed a client.

use std::{fmt, str::FromStr};

use lombard_token::{AuthorizationDetails, ScopeSet};
use lombard_types::{ClientId, Timestamp};

use crate::{Acr, ParseIdError, SessionId, UserId, user::parse_hex};

/// A person's grant to a client: what the code, the refresh tokens and the access tokens of one consent have in common.
#[derive(Clone, PartialEq, Eq)]
pub struct UserGrant {
    /// Its id (`gid`).
    pub id: GrantId,
    /// Who allowed it.
    pub user: UserId,
    /// To whom.
    pub client: ClientId,
    /// The session that it was made in.
    pub session: SessionId,
    /// Whether it goes on when that session is over (`offline_access`).
    pub is_offline: bool,
    /// The resource that it is about.
    pub audience: Box<str>,
    /// What is allowed there, and what the client may know.
    pub scope: ScopeSet,
    /// What is allowed beyond that.
    pub authorization_details: AuthorizationDetails,
    /// When the person had logged in.
    pub authenticated_at: Timestamp,
    /// How.
    pub acr: Acr,
    /// SHA-256 of the page that the person was shown; none where an earlier consent was enough.
    pub page_sha256: Option<[u8; 32]>,
    /// When it was made.
    pub started_at: Timestamp,
    /// From when on nothing of it is good: while the code was not redeemed, when that expires.
    pub expires_at: Timestamp,
    /// How long it goes on once the code was redeemed.
    pub lasts_until: Timestamp,
    /// Thumbprint of the key that its refresh tokens are bound to: those of a public client with such a key.
    pub key_thumbprint: Option<Box<str>>,
    /// Its code, for as long as it could be replayed.
    pub code: Option<Box<Code>>,
    /// Its refresh tokens, where there are some.
    pub refresh: Option<Refresh>,
}

impl fmt::Debug for UserGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserGrant")
            .field("id", &self.id)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl UserGrant {
    /// Whether its code was redeemed, so that there are tokens of it.
    pub fn is_active(&self) -> bool {
        self.code.as_ref().is_none_or(|code| code.redeemed_at.is_some())
    }

    /// The session that it ends with.
    pub fn ends_with(&self) -> Option<SessionId> {
        (!self.is_offline).then_some(self.session)
    }
}

/// An authorization code (RFC 6749 section 4.1.2), of which only the digest is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    /// SHA-256 of the code.
    pub sha256: [u8; 32],
    /// The redirect URI that it was sent to.
    pub redirect_uri: Box<str>,
    /// SHA-256 of the verifier that redeems it (RFC 7636).
    pub challenge: [u8; 32],
    /// Thumbprint of the key that must be proved to redeem it (`dpop_jkt`, RFC 9449 section 10).
    pub key_thumbprint: Option<Box<str>>,
    /// Goes into the ID token (OpenID Connect Core section 3.1.2.1).
    pub nonce: Option<Box<str>>,
    /// Until when it can be redeemed.
    pub expires_at: Timestamp,
    /// When it was.
    pub redeemed_at: Option<Timestamp>,
    /// Until when a replay is noticed.
    pub remembered_until: Timestamp,
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A family of refresh tokens: each follows from the one before, and only the newest is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Number of the newest, from 0.
    pub generation: u32,
    /// When it took the place of the one before.
    pub rotated_at: Timestamp,
}

/// The id of a grant: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantId(pub [u8; 16]);

impl FromStr for GrantId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
