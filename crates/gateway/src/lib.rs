//! The gateway role: the one way into the platform.
//!
//! A request's life: the bytes are checked (`connection.rs`), then in `handle.rs` the path is normalized and routed
//! (`plan.rs`), the token is verified, limits are asked (`limits.rs`), and `forward.rs` sends it to an instance
//! (`cluster.rs`) over a connection of `pool.rs`. `settings/` and `table/` make routes of the configuration, `control.rs`
//! changes them at run time. `catalog.rs` follows the registry, `dns.rs` host names, `keys.rs` the authorization server.
//!
//! **Invariants**
//! - What is authorized is what is forwarded: one normalized path (`lombard_gateway_core::NormalPath`).
//! - A request that may change something is sent at most once after its first byte was written. Whoever asked is told
//!   whether it was never sent or its outcome is unknown.
//! - No request waits for another worker: connections, pools and runtimes belong to one thread.
//! - Headers that upstreams believe are the gateway's own; copies that come in are removed.
//!
//! What it is **not**: it stores nothing itself (what it keeps of Idempotency-Keys is in the event store) and knows no rule of a
//! domain. The rules of routing, paths and balancing are in
//! `lombard-gateway-core`.
//!
//! Start reading at [`Gateway`], then `handle.rs`.
#![warn(missing_docs)]

mod admin;
mod api_key;
mod audit;
mod body;
mod bound;
mod catalog;
mod checked;
mod client;
mod cluster;
mod config;
mod connection;
mod contract;
mod control;
mod cors;
mod deadline;
mod dns;
mod endpoints;
mod forward;
mod handle;
mod headers;
mod idempotency;
mod identity;
mod keys;
mod limits;
mod local;
mod metrics;
mod mirror;
mod otlp;
mod plan;
mod pool;
pub mod problem;
mod random;
mod renewal;
mod seen;
mod serve;
mod service;
mod settings;
mod sharing;
mod span;
mod suspicions;
mod table;
mod tls;
mod transport;
mod tunnel;
mod values;
mod worker;

pub use api_key::new_api_key;
pub use catalog::{Resource, TokenSource};
pub use config::Config;
pub use control::{ApplyError, Control, reference_page};
pub use endpoints::RoleAddresses;
pub use service::{Deps, Gateway, NewError, RunError};
pub use settings::ClientAuthSettings;
