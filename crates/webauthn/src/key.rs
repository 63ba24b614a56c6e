//! The public key of a passkey.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey};

use crate::cbor::{Malformed, Reader};

/// Members of a COSE key (RFC 9052 section 7, RFC 9053 section 7).
const KTY: i64 = 1;
const ALG: i64 = 3;
const CRV: i64 = -1;
const X: i64 = -2;
const Y: i64 = -3;

/// The public key of a passkey: of an algorithm that its kind fixes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CredentialKey {
    /// A point of P-256, uncompressed; signs with ES256.
    P256([u8; 65]),
    /// A point of Ed25519; signs with EdDSA.
    Ed25519([u8; 32]),
}

/// Bytes are not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the public key of a passkey")]
pub struct ParseKeyError;

impl fmt::Debug for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm())
    }
}

impl CredentialKey {
    /// The algorithm's numbers in the registry of COSE, as a browser is asked for them, the first one preferred.
    pub const ALGORITHMS: [i64; 2] = [-7, -8];

    /// The algorithm's name.
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// Reads a COSE key: the members of its kind, each once, and no other.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let [mut kty, mut alg, mut crv] = [None; 3];
        let [mut x, mut y] = [None; 2];
        for _ in 0..reader.map()? {
            let label = reader.integer()?;
            let is_new = match label {
                KTY => kty.replace(reader.integer()?).is_none(),
                ALG => alg.replace(reader.integer()?).is_none(),
                CRV => crv.replace(reader.integer()?).is_none(),
                X => x.replace(reader.bytes()?).is_none(),
                Y => y.replace(reader.bytes()?).is_none(),
                _ => false,
            };
            if !is_new {
                return Err(Malformed);
            }
        }
        let point = |bytes: Option<&[u8]>| {
            let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            bytes.ok_or(Malformed)
        };
        let key = match (kty, alg, crv) {
            (Some(2), Some(-7), Some(1)) => {
                let mut uncompressed = [4; 65];
                let (head, tail) = uncompressed.split_at_mut(33);
                head.iter_mut().skip(1).zip(point(x)?).for_each(|(to, from)| *to = from);
                tail.copy_from_slice(&point(y)?);
                Self::P256(uncompressed)
            }
            (Some(1), Some(-8), Some(6)) if y.is_none() => Self::Ed25519(point(x)?),
            _ => return Err(Malformed),
        };
        // A point that is not on the curve is no key.
        key.parsed().map(|_| key).ok_or(Malformed)
    }

    /// As it is kept: a kind, then the point.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::P256(point) => [&[1], &point[..]].concat(),
            Self::Ed25519(point) => [&[2], &point[..]].concat(),
        }
    }

    /// Reads what was kept.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseKeyError> {
        let key = match bytes.split_first() {
            Some((1, point)) => point.try_into().ok().map(Self::P256),
            Some((2, point)) => point.try_into().ok().map(Self::Ed25519),
            _ => None,
        };
        key.filter(|key| key.parsed().is_some()).ok_or(ParseKeyError)
    }

    fn parsed(&self) -> Option<ParsedPublicKey> {
        match self {
            Self::P256(point) => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).ok(),
            Self::Ed25519(point) => ParsedPublicKey::new(&ED25519, point).ok(),
        }
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed().is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }
}
