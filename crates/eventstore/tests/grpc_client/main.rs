//! The event store over gRPC, on a socket: with the platform's own client, and with one of somebody else.
#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

mod appends;
mod faults;
mod reads;
mod sessions;
mod support;
