//! Scopes: what is read is written back, and covers itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lombard_token::ScopeSet;

fuzz_target!(|text: &str| {
    let Ok(scopes) = text.parse::<ScopeSet>() else { return };
    assert_eq!(scopes.to_string().parse::<ScopeSet>().as_ref(), Ok(&scopes));
    assert!(scopes.covers(&scopes), "{scopes} does not cover itself");
});
