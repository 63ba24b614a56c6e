//! Key sets as an issuer publishes them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lombard_token::{Jwks, PublicJwk};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(key) = PublicJwk::parse(bytes) {
        assert!(!key.thumbprint().is_empty());
    }
    drop(Jwks::parse(bytes));
});
