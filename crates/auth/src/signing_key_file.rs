//! The token signing key: made at the first start, kept in a file that only its owner can read.
//!
//! The file holds the key as PKCS#8, unencrypted: whoever can read the data directory can make tokens.

use std::{io, path::Path};

use lombard_token::{KeyError, SigningKey};

use crate::private_file;

/// The key could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The system refused.
    #[error("failed to read or write the signing key {path}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there but holds no key.
    #[error("the signing key {path} is not usable")]
    Key {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: KeyError,
    },
}

/// Reads the key in `path`, or makes one there.
pub(crate) fn read_or_create(path: &Path) -> Result<SigningKey, SigningKeyError> {
    let io_error = |source| SigningKeyError::Io { path: path.display().to_string(), source };
    let key_error = |source| SigningKeyError::Key { path: path.display().to_string(), source };
    match private_file::read(path) {
        Ok(bytes) => SigningKey::from_pkcs8(&bytes).map_err(key_error),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::generate().map_err(key_error)?;
            private_file::write(path, &key.to_pkcs8().map_err(key_error)?).map_err(io_error)?;
            tracing::info!(kid = key.public_jwk().kid(), "made a signing key");
            Ok(key)
        }
        Err(error) => Err(io_error(error)),
    }
}
