//! The registry role: services find each other over HTTP.
//!
//! - `machine.rs` runs the rules of `lombard-registry-core` on the engine: the write side. `codec.rs` is how its events
//!   are stored.
//! - `view.rs` is the read side: it follows the log on a thread of its own, keeps each answer encoded, and wakes those
//!   who wait for a change (`watch.rs`).
//! - `lessor.rs` holds the deadlines of the leases, and `verdicts.rs` does what is due when they run out.
//! - `prober/` makes the checks that instances ask for.
//! - `consul/` speaks what Consul's clients speak, and `eureka/` what Eureka's do, on a port of their own; `dns/` answers for names, on another;
//!   `xds/` pushes endpoints to clients of gRPC and to Envoy; `grpc/` has watches of our own.
//! - `rest/` is the HTTP interface; [`problem`] its table of problems.
//!
//! **Invariants**
//! - A registration is answered after it is durable and readers see it.
//! - Deadlines follow the log, not the requests: an instance that is registered has a lease even if nobody waited for
//!   the answer.
//! - Only the lessor knows who was heard lately; what it concludes is an event before readers see it.
//! - Nobody reads from a view that has not caught up with what was in the log at start: a restart never looks like an
//!   empty registry.
//! - A body is encoded at most once per change, however many readers it has.
//!
//! What it is **not**: it holds no rule of who may register what (that is `lombard-registry-core`), opens no file and listens
//! on no socket (they are given to it). It connects only to what `[registry.checks]` permits.
//!
//! Start reading at [`Registry`], then `rest/instances.rs`.
#![warn(missing_docs)]

mod codec;
mod config;
mod consul;
mod dns;
mod eureka;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
mod lessor;
mod machine;
mod metrics;
mod prober;
pub mod problem;
mod rest;
mod service;
mod verdicts;
mod view;
mod watch;
mod xds;

pub use codec::EventCodec;
pub use config::{Compatibility, Config};
pub use dns::{Dns, DnsConfig};
pub use machine::RegistryMachine;
pub use prober::ChecksConfig;
pub use service::{Deps, NewError, Registry};
pub use xds::XdsConfig;
