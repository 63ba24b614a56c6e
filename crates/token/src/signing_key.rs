//! The private half: signs with ES256 or EdDSA.

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{Algorithm, PublicJwk, jwk::Material};

/// A private key. Never shown by `Debug`.
pub struct SigningKey {
    pair: Pair,
    public: PublicJwk,
    random: SystemRandom,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key could not be made, read or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system gave no randomness, or the library refused.
    #[error("failed to generate a key")]
    Generate,
    /// No keys of this algorithm are made here.
    #[error("no signing keys are made for {0}")]
    Unsupported(Algorithm),
    /// Not a PKCS#8 private key on P-256 or Ed25519.
    #[error("not a PKCS#8 private key on P-256 or Ed25519")]
    Malformed,
    /// Signing failed.
    #[error("failed to sign")]
    Sign,
}

impl SigningKey {
    /// A new random key for ES256.
    pub fn generate() -> Result<Self, KeyError> {
        Self::generate_for(Algorithm::Es256)
    }

    /// A new random key. RSA keys are not made: one signature costs as much as sixteen of ES256.
    pub fn generate_for(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::P256)
            }
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Pair::Ed25519),
            Algorithm::Ps256 => return Err(KeyError::Unsupported(algorithm)),
        };
        Self::from_pair(pair.map_err(|_| KeyError::Generate)?)
    }

    /// Reads a PKCS#8 document (DER). What kind of key it is, the document says.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes)
            .map(Pair::P256)
            .or_else(|_| Ed25519KeyPair::from_pkcs8(bytes).map(Pair::Ed25519));
        Self::from_pair(pair.map_err(|_| KeyError::Malformed)?)
    }

    fn from_pair(pair: Pair) -> Result<Self, KeyError> {
        let malformed = |_| KeyError::Malformed;
        let public = match &pair {
            Pair::P256(pair) => {
                PublicJwk::from_point(pair.public_key().as_ref().try_into().map_err(malformed)?)
            }
            Pair::Ed25519(pair) => {
                let point = pair.public_key().as_ref().try_into().map_err(malformed)?;
                PublicJwk::from_material(Material::Ed25519(point))
            }
        };
        Ok(Self { pair, public, random: SystemRandom::new() })
    }

    /// The key as a PKCS#8 document (DER): keep it as secret as what it signs is worth.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = match &self.pair {
            Pair::P256(pair) => pair.to_pkcs8v1(),
            Pair::Ed25519(pair) => pair.to_pkcs8(),
        };
        Ok(Zeroizing::new(document.map_err(|_| KeyError::Generate)?.as_ref().to_vec()))
    }

    /// The public half; its `kid` is its thumbprint.
    pub fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    /// A compact JWS of these claims (a JSON object) with this `typ`.
    pub fn sign(&self, typ: &str, claims: &[u8]) -> Result<String, KeyError> {
        let alg = self.public.algorithm();
        let header = format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":"{}"}}"#, self.public.kid());
        self.sign_with_header(&header, claims)
    }

    /// A compact JWS with this header, which must name the key's algorithm.
    pub(crate) fn sign_with_header(&self, header: &str, claims: &[u8]) -> Result<String, KeyError> {
        let mut token = String::with_capacity((header.len() + claims.len()) * 4 / 3 + 96);
        URL_SAFE_NO_PAD.encode_string(header, &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let message = token.as_bytes();
        let signature = match &self.pair {
            Pair::P256(pair) => pair.sign(&self.random, message),
            Pair::Ed25519(pair) => pair.try_sign(message),
        };
        let signature = signature.map_err(|_| KeyError::Sign)?;
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
