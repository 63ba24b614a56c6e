//! The server's own secret: 256 random bits in a file that only its owner can read, from which keys for each purpose follow.
//!
//! Nothing that is made with them is stored: CSRF tokens, marks of known browsers, refresh tokens. So a restart changes none.

use std::{fmt, io, path::Path};

use aws_lc_rs::{constant_time, hmac, rand};
use zeroize::Zeroizing;

use crate::private_file;

/// Keys that follow from the server's secret. Never shown by `Debug`.
pub(crate) struct ServerKeys {
    csrf: hmac::Key,
    browser: hmac::Key,
    refresh: hmac::Key,
}

impl fmt::Debug for ServerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerKeys").finish_non_exhaustive()
    }
}

/// What a tag is for: one made for one purpose is worth nothing for another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// A form that was shown to the browser that sends it.
    Csrf,
    /// A browser in which this person has logged in before.
    KnownBrowser,
    /// A refresh token.
    Refresh,
}

impl ServerKeys {
    /// Reads the secret in `path`, or makes one there.
    pub(crate) fn read_or_create(path: &Path) -> io::Result<Self> {
        let secret = match private_file::read(path) {
            Ok(secret) => secret,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut secret = Zeroizing::new(vec![0; 32]);
                rand::fill(&mut secret).map_err(|_| io::Error::other("no randomness"))?;
                private_file::write(path, &secret)?;
                secret
            }
            Err(error) => return Err(error),
        };
        if secret.len() != 32 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a secret of 32 bytes"));
        }
        let root = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        // One step of HKDF-Expand (RFC 5869 section 2.3): the secret is uniformly random, so it needs no extraction.
        let derive = |label: &str| {
            let key = hmac::sign(&root, &[label.as_bytes(), &[1]].concat());
            hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
        };
        Ok(Self {
            csrf: derive("lombard csrf"),
            browser: derive("lombard known browser"),
            refresh: derive("lombard refresh token"),
        })
    }

    /// The tag of these parts, whose borders count.
    pub(crate) fn tag(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; 32] {
        let key = match purpose {
            Purpose::Csrf => &self.csrf,
            Purpose::KnownBrowser => &self.browser,
            Purpose::Refresh => &self.refresh,
        };
        let mut context = hmac::Context::with_key(key);
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Whether a tag is that of these parts, in a time that does not depend on where it differs.
    pub(crate) fn fits(&self, purpose: Purpose, parts: &[&[u8]], tag: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.tag(purpose, parts), tag).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_for_one_purpose_and_outlive_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("server.secret");
        let keys = ServerKeys::read_or_create(&path).unwrap();
        let tag = keys.tag(Purpose::Csrf, &[b"ab", b"c"]);
        let again = ServerKeys::read_or_create(&path).unwrap();
        assert!(again.fits(Purpose::Csrf, &[b"ab", b"c"], &tag));
        assert!(!again.fits(Purpose::Csrf, &[b"a", b"bc"], &tag), "borders count");
        assert!(!again.fits(Purpose::Refresh, &[b"ab", b"c"], &tag));
        std::fs::write(&path, b"short").unwrap();
        assert!(ServerKeys::read_or_create(&path).is_err());
    }
}
