//! Nonces that a server has clients put into their proofs (RFC 9449 sections 8 and 9): a proof cannot be made in advance, and
//! the client's clock does not matter.
//!
//! A nonce is the number of a period and a tag over it: nothing is stored, and servers with one secret take each other's.

use std::{fmt, time::Duration};

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_types::Timestamp;

const TAG_BYTES: usize = 16;

/// Makes nonces and knows its own.
pub struct DpopNonces {
    key: hmac::Key,
    period_seconds: u64,
}

impl fmt::Debug for DpopNonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopNonces")
            .field("period_seconds", &self.period_seconds)
            .finish_non_exhaustive()
    }
}

impl DpopNonces {
    /// With a secret of random bytes. A nonce is good for `period` at least, and for less than two.
    pub fn new(secret: &[u8; 32], period: Duration) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        // One step of HKDF-Expand (RFC 5869 section 2.3).
        let derived = hmac::sign(&root, b"lombard dpop nonce\x01");
        let key = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
        Self { key, period_seconds: period.as_secs().max(1) }
    }

    /// The nonce of this period.
    pub fn fresh(&self, now: Timestamp) -> String {
        let period = self.period(now);
        URL_SAFE_NO_PAD.encode([&period.to_be_bytes()[..], &self.tag(period)].concat())
    }

    /// Whether a nonce is of this period or the one before; or of the next, since the servers' clocks may differ.
    pub fn is_good(&self, nonce: &str, now: Timestamp) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(nonce) else { return false };
        let Some((period, tag)) = bytes.split_first_chunk::<8>() else { return false };
        let (period, current) = (u64::from_be_bytes(*period), self.period(now));
        period.abs_diff(current) <= 1
            && constant_time::verify_slices_are_equal(&self.tag(period), tag).is_ok()
    }

    fn period(&self, now: Timestamp) -> u64 {
        now.unix_seconds() / self.period_seconds
    }

    fn tag(&self, period: u64) -> [u8; TAG_BYTES] {
        let tag = hmac::sign(&self.key, &period.to_be_bytes());
        let mut half = [0; TAG_BYTES];
        for (byte, computed) in half.iter_mut().zip(tag.as_ref()) {
            *byte = *computed;
        }
        half
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_a_period_and_less_than_two() {
        let nonces = DpopNonces::new(&[1; 32], Duration::from_secs(60));
        let at = Timestamp::from_unix_seconds;
        let nonce = nonces.fresh(at(600));
        for (seconds, expected) in [
            (539, false),
            (540, true),
            (600, true),
            (659, true),
            (719, true),
            (720, false),
            (100_000, false),
        ] {
            assert_eq!(nonces.is_good(&nonce, at(seconds)), expected, "{seconds}");
        }
        let elsewhere = DpopNonces::new(&[1; 32], Duration::from_secs(60));
        assert!(elsewhere.is_good(&nonce, at(600)), "servers with one secret take each other's");
        let other = DpopNonces::new(&[2; 32], Duration::from_secs(60));
        assert!(!other.is_good(&nonce, at(600)));
        let mut changed = nonce.clone().into_bytes();
        for index in 0..changed.len() {
            let kept = changed[index];
            changed[index] = if kept == b'A' { b'B' } else { b'A' };
            assert!(!nonces.is_good(std::str::from_utf8(&changed).unwrap(), at(600)), "{index}");
            changed[index] = kept;
        }
        for text in ["", "x", "%", &nonce[1..], &nonce[..nonce.len() - 4]] {
            assert!(!nonces.is_good(text, at(600)), "{text}");
        }
    }
}
