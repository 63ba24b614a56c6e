//! Secrets of clients, codes and sessions: 256 random bits, shown once, kept as SHA-256.

use aws_lc_rs::{constant_time, digest, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// Begins every secret, so that scanners for leaked secrets can find it.
const PREFIX: &str = "lombard_";

/// A new secret, whose text says what it is for after the common beginning.
pub(crate) fn generate(kind: &str) -> Result<Zeroizing<String>, aws_lc_rs::error::Unspecified> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    rand::fill(bytes.as_mut())?;
    let mut secret = Zeroizing::new(String::with_capacity(PREFIX.len() + kind.len() + 43));
    secret.push_str(PREFIX);
    secret.push_str(kind);
    URL_SAFE_NO_PAD.encode_string(bytes.as_ref(), &mut secret);
    Ok(secret)
}

/// What is kept of a secret.
pub(crate) fn sha256(secret: &[u8]) -> [u8; 32] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest::digest(&digest::SHA256, secret).as_ref());
    sha256
}

/// Whether a secret is the one that was kept, in a time that does not depend on where they differ.
pub(crate) fn fits(secret: &[u8], kept: &[u8; 32]) -> bool {
    constant_time::verify_slices_are_equal(&sha256(secret), kept).is_ok()
}
