//! The registry's HTTP interface, in process: tokens are real, the log is in memory.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers may panic")]

mod checks;
mod consul;
mod dns;
mod grpc;
mod leases;
mod lifecycle;
mod problems;
mod standing;
mod support;
mod suspicions;
mod waiting;
mod watching;
mod xds;
