//! The event store over HTTP, in this process, on a log in memory.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod bad_requests;
mod boundaries;
mod good_requests;
mod groups;
mod limits;
mod schemas;
mod subjects;
mod subscriptions;
mod support;
