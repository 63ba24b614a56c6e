//! Who the program is: an OAuth client with a secret, or with a private key.

use std::{fmt, sync::Arc};

use lombard_token::SigningKey;

/// An OAuth client's credentials. Never shown by `Debug`.
#[derive(Clone)]
pub struct Credentials {
    pub(crate) client_id: String,
    pub(crate) proof: Proof,
}

#[derive(Clone)]
pub(crate) enum Proof {
    /// `client_secret_basic`.
    Secret(Arc<str>),
    /// `private_key_jwt` (RFC 7523).
    Key(Arc<SigningKey>),
}

impl Credentials {
    /// A client that authenticates with its secret.
    pub fn secret(client_id: impl Into<String>, secret: &str) -> Self {
        Self { client_id: client_id.into(), proof: Proof::Secret(secret.into()) }
    }

    /// A client that authenticates with assertions signed by its private key.
    pub fn key(client_id: impl Into<String>, key: SigningKey) -> Self {
        Self { client_id: client_id.into(), proof: Proof::Key(Arc::new(key)) }
    }

    /// The client's id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
