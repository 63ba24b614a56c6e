//! What authenticators say, as somebody makes it up: it is read or refused, and nothing is taken without a signature.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lombard_webauthn::{Assertion, CredentialKey, RelyingParty};

static PARTY: LazyLock<RelyingParty> =
    LazyLock::new(|| RelyingParty::of_origin("https://bank.example").expect("a domain"));
const CHALLENGE: [u8; 32] = [0; 32];
const CREATE: &str = r#"{"type":"webauthn.create","challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","origin":"https://bank.example"}"#;
const GET: &str = r#"{"type":"webauthn.get","challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","origin":"https://bank.example"}"#;

fuzz_target!(|bytes: &[u8]| {
    let Ok(made) = PARTY.register(&CHALLENGE, CREATE.as_bytes(), bytes) else { return };
    assert_eq!(CredentialKey::from_bytes(&made.key.to_bytes()), Ok(made.key));
    let assertion =
        Assertion { client_data: GET.as_bytes(), authenticator_data: bytes, signature: bytes };
    assert!(PARTY.authenticate(&CHALLENGE, &made.key, assertion).is_err());
});
