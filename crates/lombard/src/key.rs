//! Private keys of clients, in files.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use lombard_token::SigningKey;

use crate::data_directory::write_private;

/// The key in a file (PKCS#8), which is made if it is not there.
pub(crate) fn read_or_make(path: &Path) -> anyhow::Result<SigningKey> {
    let shown = path.display();
    match fs::read(path).map(zeroize::Zeroizing::new) {
        Ok(bytes) => {
            SigningKey::from_pkcs8(&bytes).with_context(|| format!("{shown} is not a key"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::generate()?;
            write_private(path, &key.to_pkcs8()?)
                .with_context(|| format!("failed to write {shown}"))?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("failed to read {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("client.key");
        let key = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap().public_jwk(), key.public_jwk());
        fs::write(&path, b"no key").unwrap();
        assert!(read_or_make(&path).is_err());
        assert!(read_or_make(&place.path().join("no/folder")).is_err());
    }
}
