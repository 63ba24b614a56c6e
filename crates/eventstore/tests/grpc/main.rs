//! The event store over gRPC, on a socket, asked by another implementation of the protocol (tonic).
#![allow(clippy::unwrap_used, reason = "tests")]

mod calls;
mod client;
mod consume;
mod protocol;
mod sessions;
mod support;
