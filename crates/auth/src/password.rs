//! Passwords: hashed with Argon2id (RFC 9106), a few at a time, beside the threads that answer requests.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHash as Phc, PasswordHasher as _, PasswordVerifier as _,
    Version, password_hash::SaltString,
};
use aws_lc_rs::rand;
use lombard_auth_core::PasswordHash;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::Config;

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    /// Those that are hashed now.
    hashing: Arc<Semaphore>,
    /// Those, and those that wait.
    admitted: Arc<Semaphore>,
    /// What is checked where there is no password, so that it takes as long.
    nobody: PasswordHash,
    characters_min: usize,
    bytes_max: usize,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

/// Why a password is neither hashed nor checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Nobody should have this one.
    #[error(
        "a password has at least {characters_min} characters, which are not all the same, and at most {bytes_max} bytes"
    )]
    Refused { characters_min: usize, bytes_max: usize },
    /// Too many are waiting.
    #[error("too many passwords are being checked")]
    Busy,
    /// The library or the system failed.
    #[error("failed to hash a password")]
    Failed,
}

impl Passwords {
    pub(crate) fn new(config: &Config) -> Result<Self, PasswordError> {
        let params = Params::new(config.password_memory_kib, config.password_passes, 1, None)
            .map_err(|_| PasswordError::Failed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, b"nobody has this password")?;
        let admitted = config.password_hashes_max + config.password_queue_max;
        Ok(Self {
            argon2,
            nobody,
            hashing: Arc::new(Semaphore::new(config.password_hashes_max)),
            admitted: Arc::new(Semaphore::new(admitted)),
            characters_min: config.password_characters_min,
            bytes_max: config.password_bytes_max,
        })
    }

    /// The hash of a new password.
    pub(crate) async fn hash(
        &self,
        password: Zeroizing<String>,
    ) -> Result<PasswordHash, PasswordError> {
        let first = password.chars().next();
        let is_varied = password.chars().any(|c| Some(c) != first);
        let is_long = password.chars().count() >= self.characters_min;
        if !is_long || !is_varied || password.len() > self.bytes_max {
            let (characters_min, bytes_max) = (self.characters_min, self.bytes_max);
            return Err(PasswordError::Refused { characters_min, bytes_max });
        }
        self.run(move |argon2| hash(argon2, password.as_bytes())).await?
    }

    /// Whether a password is the one that was hashed. Without a hash it is not, which takes as long.
    pub(crate) async fn check(
        &self,
        password: Zeroizing<String>,
        kept: Option<PasswordHash>,
    ) -> Result<bool, PasswordError> {
        if password.len() > self.bytes_max {
            return Ok(false);
        }
        let (kept, is_there) = match kept {
            Some(kept) => (kept, true),
            None => (self.nobody.clone(), false),
        };
        self.run(move |argon2| {
            let kept = Phc::new(kept.as_str()).map_err(|_| PasswordError::Failed)?;
            // How much work it is stands in the hash: older ones stay good when the configuration changes.
            Ok(argon2.verify_password(password.as_bytes(), &kept).is_ok() && is_there)
        })
        .await?
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _admitted = self.admitted.try_acquire().map_err(|_| PasswordError::Busy)?;
        let turn = Arc::clone(&self.hashing).acquire_owned().await;
        let turn = turn.map_err(|_| PasswordError::Failed)?;
        let argon2 = self.argon2.clone();
        // The turn goes with the work, which is not stopped where its caller goes away.
        let result = tokio::task::spawn_blocking(move || {
            let result = work(&argon2);
            drop(turn);
            result
        });
        result.await.map_err(|_| PasswordError::Failed)
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8]) -> Result<PasswordHash, PasswordError> {
    let mut salt = [0; 16];
    rand::fill(&mut salt).map_err(|_| PasswordError::Failed)?;
    let salt = SaltString::encode_b64(&salt).map_err(|_| PasswordError::Failed)?;
    let phc = argon2.hash_password(password, &salt).map_err(|_| PasswordError::Failed)?;
    phc.to_string().parse().map_err(|_| PasswordError::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config { password_memory_kib: 64, password_passes: 1, ..Config::default() }
    }

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_fits_its_hash_and_no_other() {
        let passwords = Passwords::new(&config()).unwrap();
        let hash = passwords.hash(secret("correct horse battery")).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert_ne!(hash, passwords.hash(secret("correct horse battery")).await.unwrap());
        let check = async |password, kept| passwords.check(secret(password), kept).await;
        assert_eq!(check("correct horse battery", Some(hash.clone())).await, Ok(true));
        assert_eq!(check("correct horse batterx", Some(hash)).await, Ok(false));
        assert_eq!(check("nobody has this password", None).await, Ok(false));
    }

    #[tokio::test]
    async fn weak_and_endless_passwords_are_refused() {
        let passwords = Passwords::new(&config()).unwrap();
        let (characters_min, bytes_max) = (12, 256);
        let refused = Err(PasswordError::Refused { characters_min, bytes_max });
        for password in ["", "short", "aaaaaaaaaaaaaaaaaaaa", &"ab".repeat(129)] {
            assert_eq!(passwords.hash(secret(password)).await, refused, "{password}");
        }
    }

    #[tokio::test]
    async fn no_more_wait_than_may() {
        let config = Config { password_hashes_max: 1, password_queue_max: 1, ..config() };
        let passwords = Passwords::new(&config).unwrap();
        let turn = passwords.hashing.clone().acquire_owned().await.unwrap();
        let waits = passwords.check(secret("x"), None);
        let waits_too = passwords.check(secret("x"), None);
        tokio::pin!(waits, waits_too);
        assert!(futures_util::poll!(&mut waits).is_pending());
        assert!(futures_util::poll!(&mut waits_too).is_pending());
        assert_eq!(passwords.check(secret("x"), None).await, Err(PasswordError::Busy));
        drop(turn);
        assert_eq!((waits.await, waits_too.await), (Ok(false), Ok(false)));
    }
}
