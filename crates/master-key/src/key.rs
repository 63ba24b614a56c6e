//! Wrapping and unwrapping with AES-256-GCM.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    error::Unspecified,
};
use zeroize::Zeroizing;

use crate::MasterKeyError;

/// Bytes before what is encrypted.
pub const NONCE_BYTES: usize = 12;
/// Bytes behind what is encrypted.
pub const TAG_BYTES: usize = 16;
/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Wraps other keys.
#[derive(Debug)]
pub struct MasterKey(RandomizedNonceKey);

impl MasterKey {
    /// The key of these bytes.
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self, MasterKeyError> {
        RandomizedNonceKey::new(&AES_256_GCM, bytes).map(Self).map_err(|_| MasterKeyError::Provider)
    }

    /// The nonce, then the key encrypted, then the tag. `binding` says what it is for, and is not in it.
    pub fn wrap(&self, key: &[u8], binding: &[u8]) -> Result<Vec<u8>, MasterKeyError> {
        seal(&self.0, key, binding).map_err(|_| MasterKeyError::Provider)
    }

    /// `None` where it was not wrapped with this key, or for something else.
    pub fn unwrap(&self, wrapped: &[u8], binding: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        open(&self.0, wrapped, binding)
    }
}

/// A random nonce, the ciphertext and the tag.
pub fn seal(
    key: &RandomizedNonceKey,
    plain: &[u8],
    binding: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    // With room for the tag from the beginning: what grows would leave a copy of the plain text behind.
    let mut sealed = Vec::with_capacity(plain.len() + TAG_BYTES);
    sealed.extend_from_slice(plain);
    let nonce = key.seal_in_place_append_tag(Aad::from(binding), &mut sealed)?;
    Ok([&nonce.as_ref()[..], &sealed].concat())
}

/// What [`seal`] was given; `None` where it was sealed with another key or for something else.
pub fn open(key: &RandomizedNonceKey, sealed: &[u8], binding: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = key.open_in_place(nonce, Aad::from(binding), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}
