//! The gateway in process, between a client and upstreams made for each test.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod authorization;
mod bound;
mod changes;
mod chaos;
mod conformance;
mod contract;
mod failures;
mod frames;
mod http2;
mod idempotency;
mod operations;
mod proxying;
mod raw;
mod routes;
mod seen;
mod support;
mod tls;
mod tunnel;
