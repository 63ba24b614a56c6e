//! The console over HTTP, with a platform that is made up.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;
mod overview;
mod refusals;
