//! The key that wraps the subjects' keys.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    rand,
};

pub(super) const NONCE_BYTES: usize = 12;
pub(super) const TAG_BYTES: usize = 16;
pub(super) const KEY_BYTES: usize = 32;

/// The master key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The system refused.
    #[error("failed to read or write the master key {path}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there but holds no key.
    #[error("the master key {path} does not have {KEY_BYTES} bytes")]
    Length {
        /// The file.
        path: String,
    },
    /// The system gave no randomness, or the provider took no key.
    #[error("failed to make a key")]
    Provider,
}

/// Wraps the subjects' keys.
#[derive(Debug)]
pub(crate) struct MasterKey(RandomizedNonceKey);

impl MasterKey {
    pub(crate) fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self, MasterKeyError> {
        RandomizedNonceKey::new(&AES_256_GCM, bytes).map(Self).map_err(|_| MasterKeyError::Provider)
    }

    /// Reads the key in `path`; where there is none, makes one that only its owner can read. `may_make` is false where
    /// there are keys already, which no new one would open.
    pub(crate) fn read_or_create(path: &Path, may_make: bool) -> Result<Self, MasterKeyError> {
        let failed = |source| MasterKeyError::Io { path: path.display().to_string(), source };
        let mut bytes = [0; KEY_BYTES];
        match fs::File::open(path) {
            Ok(mut file) => {
                let length = file.metadata().map_err(failed)?.len();
                if length != u64::try_from(KEY_BYTES).unwrap_or_default() {
                    return Err(MasterKeyError::Length { path: path.display().to_string() });
                }
                file.read_exact(&mut bytes).map_err(failed)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_make => {
                rand::fill(&mut bytes).map_err(|_| MasterKeyError::Provider)?;
                write(path, &bytes).map_err(failed)?;
                tracing::info!(path = %path.display(), "made a master key for the keys of data subjects");
            }
            Err(error) => return Err(failed(error)),
        }
        Self::new(&bytes)
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

/// Writes a new file durably, whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
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
