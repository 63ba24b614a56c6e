//! What a role serves of its log: the real router over a log in files.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must fail"
)]

mod proofs;
mod restart;
mod support;
mod waiting;
