//! Authorization details (RFC 9396): what was granted covers itself, and reads again as it was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lombard_token::AuthorizationDetails;

fuzz_target!(|text: &str| {
    let Ok(granted) = AuthorizationDetails::parse_granted(text) else { return };
    let written = granted.to_value().to_string();
    assert_eq!(AuthorizationDetails::parse_granted(&written), Ok(granted.clone()));
    assert_eq!(granted.narrow(&granted), Some(granted.clone()), "{written} does not cover itself");
});
