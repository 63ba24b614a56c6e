//! The authorization server role: registers OAuth clients and issues access tokens.
//!
//! - `oauth/` is the protocol: token endpoint, introspection (RFC 7662), revocation (RFC 7009), metadata
//!   (RFC 8414), keys (RFC 7517). Its errors have the form of RFC 6749.
//! - `rest/` is the administration, `/v1/auth/...`. Its errors are problems; [`problem`] is their table.
//! - `machine.rs` and `codec.rs` put the rules of `lombard-auth-core` on the engine.
//!
//! **Invariants**
//! - Secrets are generated here, shown once, and kept as SHA-256 only; they have 256 random bits, so no slow hash is
//!   needed where every token is asked for.
//! - Issuing a token writes nothing. Registering a client is answered when it is durable and the token endpoint knows it.
//! - An assertion is accepted once.
//! - A revocation is answered when it is durable; verifiers hear of it from `oauth/revocations.rs`.
//!
//! Start reading at [`Auth`], then `oauth/token.rs`.
#![warn(missing_docs)]

mod bootstrap;
mod codec;
mod config;
mod machine;
mod metrics;
mod oauth;
mod password;
pub mod problem;
mod replay;
mod rest;
mod secret;
mod service;
mod signing_key_file;
mod submit;

pub use codec::EventCodec;
pub use config::Config;
pub use machine::AuthMachine;
pub use service::{Auth, Deps, NewError};
