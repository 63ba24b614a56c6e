//! The private half: signs with ES256.

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::PublicJwk;

/// A P-256 private key. Never shown by `Debug`.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public: PublicJwk,
    random: SystemRandom,
}

/// A key could not be made, read or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system gave no randomness, or the library refused.
    #[error("failed to generate a key")]
    Generate,
    /// Not a PKCS#8 P-256 private key.
    #[error("not a PKCS#8 private key on P-256")]
    Malformed,
    /// Signing failed.
    #[error("failed to sign")]
    Sign,
}

impl SigningKey {
    /// A new random key.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| KeyError::Generate)?;
        Self::from_pair(pair)
    }

    /// Reads a PKCS#8 document (DER).
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes)
            .map_err(|_| KeyError::Malformed)?;
        Self::from_pair(pair)
    }

    fn from_pair(pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let point = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Malformed)?;
        Ok(Self { pair, public: PublicJwk::from_point(point), random: SystemRandom::new() })
    }

    /// The key as a PKCS#8 document (DER): keep it as secret as what it signs is worth.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = self.pair.to_pkcs8v1().map_err(|_| KeyError::Generate)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The public half; its `kid` is its thumbprint.
    pub fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    /// A compact JWS of these claims (a JSON object) with this `typ`.
    pub fn sign(&self, typ: &str, claims: &[u8]) -> Result<String, KeyError> {
        let header = format!(r#"{{"alg":"ES256","typ":"{typ}","kid":"{}"}}"#, self.public.kid());
        let mut token = String::with_capacity((header.len() + claims.len()) * 4 / 3 + 96);
        URL_SAFE_NO_PAD.encode_string(header, &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature =
            self.pair.sign(&self.random, token.as_bytes()).map_err(|_| KeyError::Sign)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.public.kid()).finish_non_exhaustive()
    }
}
