//! The ledger's books as SQL tables, for reports and for other programs: in a SQLite file, or in PostgreSQL.
//!
//! ```text
//!  ledger's log ──► worker/follow: events ──► books (what must be known) ──► rows
//!                                                                            │ one transaction, with the position
//!                                             sqlite: INSERT, postgres: COPY ◄┘
//! ```
//!
//! [`Projections`] runs every projection of the configuration on a thread of its own, and serves
//! `GET /v1/ledger/projections` and `POST .../{name}/rebuild`.
//!
//! **Invariants**
//! - The tables are a function of the log: built anew they have the same rows, to the last byte.
//! - How far they are is written in the same transaction as the rows: nothing is missing or twice, whatever dies when.
//! - Amounts are exact; nothing is rounded.
//! - Nothing here holds up the writer of the log, nor a reader of the tables. While they are built anew, readers see the
//!   old ones, and then the new ones.
//! - Tables of another log, of another history or of another format are refused, and left as they are.
//!
//! What it is **not**: it answers no query, and nothing in the platform reads what it writes.
//!
//! Start reading in `schema.rs`, then `books/learn.rs`, then `worker/live.rs`.
#![warn(missing_docs)]

mod books;
mod config;
mod decimal;
mod layout;
mod metrics;
mod postgres;
pub mod problem;
mod progress;
mod rest;
mod restore;
mod rows;
mod schema;
mod service;
mod sqlite;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod worker;

pub use config::{Config, Secret, Settings};
pub use progress::Progress;
pub use service::{Deps, NewError, Projections};
pub use worker::Rebuilding;
