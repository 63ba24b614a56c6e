//! The role in process. Persons in browsers: from a client's request over login and consent to tokens, and every way in which
//! that must fail; and what tokens are signed with.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

mod algorithms;
mod attackers;
mod attacks;
mod audit;
mod backchannel;
mod bound;
mod device;
mod exchange;
mod fapi;
mod flow;
mod keys;
mod message_signing;
mod mtls;
mod oidc;
mod opaque;
mod passkey;
mod refresh;
mod registration;
mod second_factor;
mod support;
