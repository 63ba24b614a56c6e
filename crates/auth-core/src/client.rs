//! A registered client.

use std::{collections::BTreeSet, fmt};

use lombard_token::{DetailType, PublicJwk, ScopeSet};
use lombard_types::{ClientId, Timestamp};

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
    /// How it proves who it is.
    pub authentication: Authentication,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// The client that registered it; `bootstrap` for those of the first start.
    pub registered_by: Box<str>,
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
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { .. } => f.write_str("Secret(..)"),
            Self::Key(key) => f.debug_tuple("Key").field(&key.kid()).finish(),
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
