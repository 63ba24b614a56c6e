//! The gateway role: the one way into the platform.
//!
//! A request's life: the bytes are checked (`connection.rs`), then in `handle.rs` the path is normalized and routed, the
//! token is verified, and `forward.rs` sends it to a role or to an instance of a service over a connection of `pool.rs`.
//! `catalog.rs` follows the registry, `keys.rs` the authorization server.
//!
//! **Invariants**
//! - What is authorized is what is forwarded: one normalized path (`lombard_gateway_core::NormalPath`).
//! - A request that may change something is sent at most once after its first byte was written. Whoever asked is told
//!   whether it was never sent or its outcome is unknown.
//! - No request waits for another worker: connections, pools and runtimes belong to one thread.
//! - Headers that upstreams believe are the gateway's own; copies that come in are removed.
//!
//! What it is **not**: it stores nothing and knows no rule of a domain. The rules of routing, paths and balancing are in
//! `lombard-gateway-core`.
//!
//! Start reading at [`Gateway`], then `handle.rs`.
#![warn(missing_docs)]

mod body;
mod catalog;
mod config;
mod connection;
mod endpoints;
mod forward;
mod handle;
mod headers;
mod keys;
mod metrics;
mod pool;
pub mod problem;
mod service;
mod worker;

pub use catalog::TokenSource;
pub use config::Config;
pub use endpoints::RoleAddresses;
pub use service::{Deps, Gateway, NewError, RunError};
