//! The gateway in process, between a client and upstreams made for each test.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod authorization;
mod failures;
mod operations;
mod proxying;
mod raw;
mod routes;
mod support;
