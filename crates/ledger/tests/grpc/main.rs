//! The ledger over gRPC, on a socket, asked by another implementation of the protocol (tonic).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod calls;
mod client;
mod sessions;
mod support;
