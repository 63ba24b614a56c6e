//! The private halves at rest: a file for each key, sealed with the master key.
//!
//! ```text
//!  <kid>.sealed   version u8, 1 | nonce, 12 bytes | PKCS#8 encrypted with AES-256-GCM, bound to the kid | tag, 16 bytes
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lombard_master_key::{MasterKey, MasterKeyError, MasterKeyPlaces};
use lombard_token::{KeyError, SigningKey};

use crate::private_file;

const VERSION: u8 = 1;
const EXTENSION: &str = "sealed";

/// The private halves cannot be read or written.
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
    /// The master key cannot be used.
    #[error("failed to open the master key of the signing keys")]
    MasterKey(#[from] MasterKeyError),
    /// The file is there, but the master key does not open it: it is another one, or the file is damaged.
    #[error("the master key does not open the signing key {path}")]
    Sealed {
        /// The file.
        path: String,
    },
    /// A key could not be made, or what was sealed is none.
    #[error("failed to make or to read a signing key")]
    Key(#[from] KeyError),
}

/// A directory of sealed keys.
#[derive(Debug)]
pub(super) struct KeyStore {
    directory: PathBuf,
    master: MasterKey,
}

impl KeyStore {
    /// Opens the keys in a directory. A master key is made only where there are none. Blocks.
    pub(super) fn open(
        directory: PathBuf,
        places: MasterKeyPlaces<'_>,
    ) -> Result<Self, SigningKeyError> {
        let failed = |source| SigningKeyError::Io { path: directory.display().to_string(), source };
        fs::create_dir_all(&directory).map_err(failed)?;
        let may_make = sealed_in(&directory).map_err(failed)?.is_empty();
        let master = places.source(&directory).read(may_make)?;
        Ok(Self { directory, master })
    }

    /// What seals the keys.
    pub(super) const fn master(&self) -> &MasterKey {
        &self.master
    }

    /// Keeps a key, durably. Blocks.
    pub(super) fn write(&self, key: &SigningKey) -> Result<(), SigningKeyError> {
        let kid = key.public_jwk().kid();
        let sealed = self.master.wrap(&key.to_pkcs8()?, &binding(kid))?;
        let path = self.path(kid);
        private_file::write(&path, &[&[VERSION], &*sealed].concat()).map_err(failed(&path))
    }

    /// The key with this `kid`; `None` where it is not there. Blocks.
    pub(super) fn read(&self, kid: &str) -> Result<Option<SigningKey>, SigningKeyError> {
        let path = self.path(kid);
        let bytes = match private_file::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path)(error)),
        };
        let sealed = bytes.strip_prefix(&[VERSION]);
        let plain = sealed.and_then(|sealed| self.master.unwrap(sealed, &binding(kid)));
        let shown = || path.display().to_string();
        let plain = plain.ok_or_else(|| SigningKeyError::Sealed { path: shown() })?;
        Ok(Some(SigningKey::from_pkcs8(&plain)?))
    }

    /// Destroys all keys but these. Blocks.
    pub(super) fn keep(&self, kids: &[&str]) -> Result<(), SigningKeyError> {
        let is_kept = |path: &Path| kids.iter().any(|kid| self.path(kid) == path);
        for path in sealed_in(&self.directory).map_err(failed(&self.directory))? {
            if !is_kept(&path) {
                fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }

    /// A `kid` is a thumbprint in base64url: always the name of a file.
    fn path(&self, kid: &str) -> PathBuf {
        self.directory.join(format!("{kid}.{EXTENSION}"))
    }
}

fn binding(kid: &str) -> Vec<u8> {
    format!("lombard signing key {kid}").into_bytes()
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SigningKeyError {
    let path = path.display().to_string();
    |source| SigningKeyError::Io { path, source }
}

fn sealed_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let is_sealed = |path: &PathBuf| path.extension().is_some_and(|it| it == EXTENSION);
    paths.filter(|path| path.as_ref().map_or(true, is_sealed)).collect()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, time::Duration};

    use super::*;

    fn open(directory: &Path) -> Result<KeyStore, SigningKeyError> {
        let patience = Duration::from_secs(1);
        let places = MasterKeyPlaces { file: None, variable: None, command: &[], patience };
        KeyStore::open(directory.to_owned(), places)
    }

    #[test]
    fn keys_are_sealed_at_rest_and_opened_with_the_master_key_only() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("keys");
        let store = open(&directory).unwrap();
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let kid = key.public_jwk().kid();
        assert!(store.read(kid).unwrap().is_none());
        store.write(&key).unwrap();
        store.write(&other).unwrap();
        let again = open(&directory).unwrap().read(kid).unwrap().unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
        let path = store.path(kid);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (bytes, plain) = (fs::read(&path).unwrap(), key.to_pkcs8().unwrap());
        // No part of the private key is there, in the clear.
        assert!(!plain.windows(16).any(|part| bytes.windows(16).any(|other| other == part)));
        // A file under another key's name, a damaged one, and one of another version.
        let other_path = store.path(other.public_jwk().kid());
        for content in [bytes.clone(), bytes[..40].to_vec(), [&[2], &bytes[1..]].concat(), vec![]] {
            fs::write(&other_path, content).unwrap();
            let refused = store.read(other.public_jwk().kid());
            assert!(matches!(refused, Err(SigningKeyError::Sealed { .. })), "{refused:?}");
        }
        store.keep(&[kid]).unwrap();
        assert!(!other_path.exists() && path.exists());
        // Where there are keys, no master key is made that opens none of them.
        let master = directory.join("master.key");
        fs::rename(&master, place.path().join("away")).unwrap();
        assert!(matches!(open(&directory), Err(SigningKeyError::MasterKey(_))));
        fs::write(&master, [1; 32]).unwrap();
        let refused = open(&directory).unwrap().read(kid);
        assert!(matches!(refused, Err(SigningKeyError::Sealed { .. })), "{refused:?}");
    }
}
