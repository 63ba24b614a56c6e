//! The signature algorithms that are accepted (RFC 7518, RFC 8037): a closed set without `none`, HMAC and PKCS#1 v1.5.

use std::fmt;

/// A signature algorithm. A key has exactly one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 section 3.4): the default.
    #[default]
    Es256,
    /// Ed25519 (RFC 8037 section 3.1).
    EdDsa,
    /// RSASSA-PSS with SHA-256 (RFC 7518 section 3.5): for partners that take nothing newer. A signature costs as much as
    /// sixteen of ES256.
    Ps256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Ps256];

    /// The value of `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
        }
    }

    /// The algorithm of this `alg`, whose case counts.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
