//! The key that wraps the subjects' keys.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};

use super::source::MasterKeyError;

pub(super) const NONCE_BYTES: usize = 12;
pub(super) const TAG_BYTES: usize = 16;
pub(super) const KEY_BYTES: usize = 32;

/// Wraps the subjects' keys.
#[derive(Debug)]
pub(crate) struct MasterKey(RandomizedNonceKey);

impl MasterKey {
    pub(crate) fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self, MasterKeyError> {
        RandomizedNonceKey::new(&AES_256_GCM, bytes).map(Self).map_err(|_| MasterKeyError::Provider)
    }

    /// The nonce, then the key encrypted.
    pub(super) fn wrap(&self, key: &[u8], binding: &[u8]) -> Result<Vec<u8>, MasterKeyError> {
        seal(&self.0, key, binding).map_err(|_| MasterKeyError::Provider)
    }

    /// `None` where it was not wrapped with this key, or for something else.
    pub(super) fn unwrap(&self, wrapped: &[u8], binding: &[u8]) -> Option<Vec<u8>> {
        open(&self.0, wrapped, binding)
    }
}

/// A random nonce, the ciphertext and the tag.
pub(super) fn seal(
    key: &RandomizedNonceKey,
    plain: &[u8],
    binding: &[u8],
) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
    let mut sealed = plain.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(binding), &mut sealed)?;
    Ok([&nonce.as_ref()[..], &sealed].concat())
}

pub(super) fn open(key: &RandomizedNonceKey, sealed: &[u8], binding: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let mut plain = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = key.open_in_place(nonce, Aad::from(binding), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}
