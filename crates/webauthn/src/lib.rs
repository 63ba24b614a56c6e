//! Passkeys: what a person's authenticator says when one is made and when one is used, checked as WebAuthn Level 2 sections
//! 7.1 and 7.2 say.
//!
//! It knows no person, no session and no HTTP, and keeps nothing: challenges are the caller's, and so is what is known of a
//! passkey from before.
//!
//! **Invariants**
//! - What is accepted was made for this challenge, this origin and this relying party, by an authenticator that has verified
//!   its user (by PIN, finger or face): one passkey is two factors.
//! - Keys are of P-256 (ES256) or Ed25519 (EdDSA). No statement about the maker of an authenticator is asked for or read.
//! - CBOR is read strictly: definite lengths in their shortest form, no key twice, nothing after the end.
//!
//! Start reading at [`RelyingParty`].
#![warn(missing_docs)]

mod authenticator_data;
mod cbor;
mod client_data;
mod key;
mod relying_party;

pub use key::{CredentialKey, ParseKeyError};
pub use relying_party::{
    Assertion, CREDENTIAL_ID_BYTES_MAX, Challenge, Refusal, Registered, RelyingParty, Used,
};
