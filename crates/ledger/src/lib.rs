//! The ledger role: double-entry books over HTTP and gRPC.
//!
//! - `machine.rs` runs the rules of `lombard-ledger-core` on the engine: the write side. `codec/` is how its events are
//!   stored.
//! - The read side is a crate of its own, `lombard-query`, that follows the log. Only names are known here
//!   (`directory.rs`), as requests and answers are full of them.
//! - `rest/` is the HTTP interface, `grpc/` the one for gRPC; [`problem`] is their table of problems.
//!
//! **Invariants**
//! - A transfer is answered after it is durable, and happens once per id however often it is asked for.
//! - Amounts are decimal strings outside and integers inside; no float and no rounding in between.
//!
//! What it is **not**: it holds no rule of accounting (that is `lombard-ledger-core`) and opens no file or socket (they
//! are given to it in [`Deps`]).
//!
//! Start reading at [`Ledger`], then `rest/transfers.rs`.
#![warn(missing_docs)]

mod codec;
mod config;
mod directory;
#[cfg(fuzzing)]
pub mod fuzzing;
mod grpc;
mod machine;
mod metrics;
pub mod openapi;
pub mod problem;
mod rest;
mod sealer;
mod service;
#[cfg(test)]
mod simulation;
mod spent;

pub use codec::EventCodec;
pub use config::Config;
pub use machine::LedgerMachine;
pub use sealer::StatementSealer;
pub use service::{Deps, Ledger, NewError};
pub use spent::SpentError;
