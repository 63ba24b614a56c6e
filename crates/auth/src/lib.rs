//! The authorization server role: registers OAuth clients and persons, asks persons what clients may do, and issues tokens.
//!
//! - `oauth/` is the protocol: authorization requests (RFC 6749, RFC 9126), the pages for persons (`interaction/`), token
//!   endpoint (`token/`), ID tokens and userinfo (OpenID Connect), introspection (RFC 7662), revocation (RFC 7009),
//!   metadata (RFC 8414), keys (RFC 7517). Its errors have the form of RFC 6749.
//! - `rest/` is the administration, `/v1/auth/...`. Its errors are problems; [`problem`] is their table.
//! - `machine.rs` and `codec.rs` put the rules of `lombard-auth-core` on the engine.
//!
//! **Invariants**
//! - Secrets are generated here, shown once, and kept as SHA-256 only; they have 256 random bits, so no slow hash is
//!   needed where every token is asked for.
//! - Issuing a token writes nothing, but for what makes a code or a refresh token good once, and for opaque tokens; that is
//!   durable before the answer. Registering a client is answered when it is durable and the token endpoint knows it.
//! - No code, refresh token, opaque token, session or password is stored: digests, an Argon2id hash, and numbers that tokens follow from.
//!   What must be known in full, the secrets of authenticator apps, is sealed with the master key. Of passkeys there are
//!   public keys.
//! - An assertion is accepted once. A private signing key is on disk only sealed with the master key.
//! - Every decision about security is in the audit (`audit/`), which is part of the log.
//! - A revocation is answered when it is durable; verifiers hear of it from `oauth/revocations.rs`.
//!
//! Start reading at [`Auth`], then `oauth/token.rs`.
#![warn(missing_docs)]

mod audit;
mod backchannel;
mod bootstrap;
mod codec;
mod config;
mod device;
mod machine;
mod metrics;
mod mtls;
mod oauth;
mod opaque_token;
mod password;
mod pending;
mod private_file;
pub mod problem;
mod recovery_code;
mod refresh_token;
mod replay;
mod rest;
mod second_factor;
mod secret;
mod server_secret;
mod service;
mod signing_keys;
mod submit;
mod throttle;
mod totp;

pub use codec::EventCodec;
pub use config::Config;
pub use machine::AuthMachine;
pub use mtls::MtlsConfig;
pub use service::{Auth, Deps, NewError};
