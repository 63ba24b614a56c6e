//! The private half: signs with ES256, EdDSA or PS256, as its kind says.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{self, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{
    Algorithm, PublicJwk,
    jwk::{Material, rsa_of_der},
};

/// A private key. Never shown by `Debug`.
pub struct SigningKey {
    pair: Pair,
    public: PublicJwk,
    random: SystemRandom,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(rsa::KeyPair),
}

/// A key could not be made, read or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system gave no randomness, or the library refused.
    #[error("failed to generate a key")]
    Generate,
    /// Not a PKCS#8 private key of a kind that signs.
    #[error("not a PKCS#8 private key on P-256 or Ed25519, or for RSA of 2048 to 4096 bits")]
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

    /// A new random key; one for RSA has 2048 bits, and takes some tenths of a second.
    pub fn generate_for(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::P256)
            }
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Pair::Ed25519),
            Algorithm::Ps256 => rsa::KeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa),
        };
        Self::from_pair(pair.map_err(|_| KeyError::Generate)?)
    }

    /// Reads a PKCS#8 document (DER). What kind of key it is, the document says.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes)
            .map(Pair::P256)
            .or_else(|_| Ed25519KeyPair::from_pkcs8(bytes).map(Pair::Ed25519))
            .or_else(|_| rsa::KeyPair::from_pkcs8(bytes).map(Pair::Rsa));
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
            Pair::Rsa(pair) => {
                let material = rsa_of_der(pair.public_key().as_ref());
                PublicJwk::from_material(material.ok_or(KeyError::Malformed)?)
            }
        };
        Ok(Self { pair, public, random: SystemRandom::new() })
    }

    /// The key as a PKCS#8 document (DER): keep it as secret as what it signs is worth.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = match &self.pair {
            Pair::P256(pair) => pair.to_pkcs8v1().map(|it| it.as_ref().to_vec()),
            Pair::Ed25519(pair) => pair.to_pkcs8().map(|it| it.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let document: Result<Pkcs8V1Der<'_>, _> = pair.as_der();
                document.map(|it| it.as_ref().to_vec())
            }
        };
        document.map(Zeroizing::new).map_err(|_| KeyError::Generate)
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
        let signature = self.signature(message)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = match &self.pair {
            Pair::P256(pair) => pair.sign(&self.random, message).map(|it| it.as_ref().to_vec()),
            Pair::Ed25519(pair) => pair.try_sign(message).map(|it| it.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(&RSA_PSS_SHA256, &self.random, message, &mut signature);
                signed.map(|()| signature)
            }
        };
        signature.map_err(|_| KeyError::Sign)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.public.kid()).finish_non_exhaustive()
    }
}
