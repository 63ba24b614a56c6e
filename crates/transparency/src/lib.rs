//! A role's log as a transparency log: what it says of its own history, signed, and the proofs that it kept to it.
//!
//! ```text
//!  log ── durable records ──► Merkle tree ──► checkpoint: origin, size, root, signed with Ed25519
//!                                 └─► inclusion and consistency proofs, for any size the log has had
//! ```
//!
//! [`Transparency`] runs beside a role, follows its log, and serves `GET /v1/<role>/log/checkpoint`, `key`,
//! `proofs/inclusion`, `proofs/consistency` and `records`. It is not in the way of a write: a role works on where it
//! fails.
//!
//! **Invariants**
//! - Only durable records are signed.
//! - A checkpoint is on disk before anybody sees it, and the log must begin with what the last one was made over: else
//!   nothing is signed any more. So no two checkpoints contradict each other, as long as nobody takes the last away.
//! - Hashes are for everybody with a token for the role, records only for who may read all of them (`audit`).
//!
//! Start reading in [`Transparency`].
#![warn(missing_docs)]

mod config;
mod key_file;
mod metrics;
pub mod problem;
mod rest;
mod service;
mod signer;

pub use config::Config;
pub use key_file::KeyFileError;
pub use service::{Deps, NewError, Transparency, origin};
