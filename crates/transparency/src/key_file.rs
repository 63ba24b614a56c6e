//! The key that signs checkpoints: made at the first start, kept in a file that only its owner can read.
//!
//! The file holds the 32 bytes from which an Ed25519 key follows (RFC 8032, section 5.1.5), unencrypted.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use lombard_log::checkpoint::{KeyError, SigningKey};
use zeroize::Zeroizing;

const SEED_BYTES: usize = 32;

/// The key could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refused.
    #[error("failed to read or write the checkpoint key {path}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there but holds no key.
    #[error("the checkpoint key {path} does not have {SEED_BYTES} bytes")]
    Length {
        /// The file.
        path: String,
    },
    /// The system gave no randomness.
    #[error("failed to generate a checkpoint key")]
    Generate,
    /// The key's name cannot be one.
    #[error("failed to use the checkpoint key")]
    Key(#[from] KeyError),
}

/// Reads the key in `path`, or makes one there. `name` is what it is called in signatures.
pub(crate) fn read_or_create(path: &Path, name: &str) -> Result<SigningKey, KeyFileError> {
    let io_error = |source| KeyFileError::Io { path: path.display().to_string(), source };
    match fs::read(path).map(Zeroizing::new) {
        Ok(bytes) => {
            let length_error = |_| KeyFileError::Length { path: path.display().to_string() };
            let seed = bytes.as_slice().try_into().map_err(length_error)?;
            Ok(SigningKey::from_seed(name, seed)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut seed = Zeroizing::new([0; SEED_BYTES]);
            SystemRandom::new().fill(seed.as_mut()).map_err(|_| KeyFileError::Generate)?;
            let key = SigningKey::from_seed(name, &seed)?;
            write(path, seed.as_slice(), 0o600).map_err(io_error)?;
            tracing::info!(key = %key.verifying_key(), "made a key for checkpoints");
            Ok(key)
        }
        Err(error) => Err(io_error(error)),
    }
}

/// Replaces a file durably, whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // A log that is opened removes what is left of this in its directory.
    let temporary = path.with_added_extension("tmp");
    let mut open = OpenOptions::new();
    let mut file = open.create(true).truncate(true).write(true).mode(mode).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_private() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("checkpoint.key");
        let first = read_or_create(&path, "lombard/ledger/1").unwrap();
        let again = read_or_create(&path, "lombard/ledger/1").unwrap();
        assert_eq!(first.verifying_key(), again.verifying_key());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, [1; 31]).unwrap();
        let refused = read_or_create(&path, "lombard/ledger/1").unwrap_err();
        assert!(matches!(refused, KeyFileError::Length { .. }), "{refused}");
    }
}
