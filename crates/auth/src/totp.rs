//! One-time codes of authenticator apps (RFC 6238): HMAC with SHA-1, six digits, thirty seconds, which every app can do.
//!
//! SHA-1 is no weakness here: HMAC needs no resistance to collisions (RFC 4226 appendix B.2).

use std::fmt;

use aws_lc_rs::{constant_time, error::Unspecified, hmac, rand};
use data_encoding::BASE32_NOPAD;
use lombard_types::Timestamp;
use zeroize::Zeroizing;

use crate::oauth::form_encode;

/// Seconds of a time step (section 5.2).
const STEP_SECONDS: u64 = 30;
/// Bytes of a secret: as long as the hash (RFC 4226 section 4, R6).
pub(crate) const SECRET_BYTES: usize = 20;
/// Digits of a code.
pub(crate) const DIGITS: usize = 6;

/// What the server and the app both know. Never shown by `Debug`.
pub(crate) struct TotpSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TotpSecret").finish_non_exhaustive()
    }
}

impl TotpSecret {
    /// A new one.
    pub(crate) fn generate() -> Result<Self, Unspecified> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        rand::fill(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    /// The one of these bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes: [u8; SECRET_BYTES]| Self(Zeroizing::new(bytes)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// The time step of which this is the code: the one that is now, or the one before or after, for clocks and people are
    /// slow (section 5.2). How long it takes does not depend on the code.
    pub(crate) fn step_of(&self, code: &str, now: Timestamp) -> Option<u64> {
        let current = now.unix_seconds() / STEP_SECONDS;
        let mut found = None;
        for step in current.saturating_sub(1)..=current.saturating_add(1) {
            let is_it =
                constant_time::verify_slices_are_equal(self.code(step).as_bytes(), code.as_bytes());
            found = if is_it.is_ok() { Some(step) } else { found };
        }
        found
    }

    /// The code of a step (RFC 4226 section 5.3).
    fn code(&self, step: u64) -> Zeroizing<String> {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.0.as_ref());
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag.last().copied().unwrap_or_default() & 0xf);
        let part = tag.get(offset..).and_then(|rest| rest.first_chunk::<4>());
        let number = u32::from_be_bytes(part.copied().unwrap_or_default()) & 0x7fff_ffff;
        Zeroizing::new(format!("{:06}", number % 1_000_000))
    }

    /// As people type it in.
    pub(crate) fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(self.0.as_ref()))
    }

    /// As apps read it from a picture: `otpauth:`, in the form that they all know.
    pub(crate) fn uri(&self, issuer: &str, account: &str) -> Zeroizing<String> {
        let encoded = |text| {
            let mut encoded = String::new();
            form_encode(text, &mut encoded);
            encoded
        };
        let (issuer, account) = (encoded(issuer), encoded(account));
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
            *self.base32(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    /// RFC 6238 appendix B, of whose eight digits the last six are these.
    #[test]
    fn the_rfcs_own_codes() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            assert_eq!(*secret.code(seconds / 30), code, "{seconds}");
            assert_eq!(secret.step_of(code, at(seconds)), Some(seconds / 30));
        }
        // Later than any time that is told here.
        assert_eq!(*secret.code(20_000_000_000 / 30), "353130");
    }

    #[test]
    fn a_code_is_good_for_its_step_and_the_ones_beside_it() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        let code = "081804";
        let step = 1_111_111_109 / 30;
        let now = step * 30;
        for (seconds, expected) in [
            (now - 31, None),
            (now - 30, Some(step)),
            (now, Some(step)),
            (now + 59, Some(step)),
            (now + 60, None),
        ] {
            assert_eq!(secret.step_of(code, at(seconds)), expected, "{seconds}");
        }
        for code in ["", "81804", "0818044", "081805", "\u{660}81804", " 081804"] {
            assert_eq!(secret.step_of(code, at(now)), None, "{code}");
        }
    }

    #[test]
    fn secrets_are_shown_as_apps_read_them() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        assert_eq!(*secret.base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            *secret.uri("bank.example", "ada+2@bank.example"),
            "otpauth://totp/bank.example:ada%2B2%40bank.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=bank.example&algorithm=SHA1&digits=6&period=30"
        );
        assert!(!format!("{secret:?}").contains("12345"));
        let (one, other) = (TotpSecret::generate().unwrap(), TotpSecret::generate().unwrap());
        assert_ne!(one.as_bytes(), other.as_bytes());
        assert!(TotpSecret::from_bytes(&[0; 19]).is_none());
    }
}
