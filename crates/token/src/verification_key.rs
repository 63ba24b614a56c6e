//! A public key in the form that verifies fastest.

use aws_lc_rs::{
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PSS_2048_8192_SHA256},
};

use crate::{Algorithm, JwsError, ParseJwkError, jwk::Material};

/// Verifies signatures of one key with its one algorithm.
pub(crate) struct VerificationKey {
    algorithm: Algorithm,
    parsed: ParsedPublicKey,
    signature_bytes: usize,
}

impl VerificationKey {
    /// Parses a key; one that is no point of its curve, or too weak, is malformed.
    pub(crate) fn new(material: &Material) -> Result<Self, ParseJwkError> {
        let (algorithm, parsed, signature_bytes) = match material {
            Material::P256(point) => {
                (Algorithm::Es256, ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point), 64)
            }
            Material::Ed25519(point) => {
                if is_of_small_order(point) {
                    return Err(ParseJwkError::Malformed);
                }
                (Algorithm::EdDsa, ParsedPublicKey::new(&ED25519, point), 64)
            }
            Material::Rsa { n, e } => {
                let key = rsa::PublicKeyComponents { n, e };
                (Algorithm::Ps256, key.to_parsed_public_key(&RSA_PSS_2048_8192_SHA256), n.len())
            }
        };
        let parsed = parsed.map_err(|_| ParseJwkError::Malformed)?;
        Ok(Self { algorithm, parsed, signature_bytes })
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JwsError> {
        if signature.len() != self.signature_bytes {
            return Err(JwsError::Signature);
        }
        self.parsed.verify_sig(message, signature).map_err(|_| JwsError::Signature)
    }
}

/// Whether an Ed25519 key is one of the points of order 1, 2, 4 or 8, for which one signature fits many messages. Some
/// have several encodings; the sign of x makes no difference.
fn is_of_small_order(point: &[u8; 32]) -> bool {
    const P_MINUS_1: [u8; 32] = with_ends(0xec, 0xff, 0x7f);
    const P: [u8; 32] = with_ends(0xed, 0xff, 0x7f);
    const P_PLUS_1: [u8; 32] = with_ends(0xee, 0xff, 0x7f);
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut y = *point;
    let [.., last] = &mut y;
    *last &= 0x7f;
    let [order_8, other_order_8] = ORDER_8;
    let small =
        [with_ends(0, 0, 0), with_ends(1, 0, 0), P_MINUS_1, P, P_PLUS_1, order_8, other_order_8];
    small.contains(&y)
}

/// A number in little endian whose first and last bytes are these, and all between `middle`.
const fn with_ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    let [head, .., tail] = &mut bytes;
    *head = first;
    *tail = last;
    bytes
}

#[cfg(test)]
mod tests;
