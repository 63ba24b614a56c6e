//! The event store role: streams of CloudEvents over HTTP.
//!
//! - `machine.rs` runs the rules of `lombard-eventstore-core` on the engine: the write side. `codec/` is how an append
//!   is stored.
//! - `cloud_event/` reads and writes CloudEvents 1.0 in their JSON form; nothing else knows that form.
//! - [`query`] is the read side: an index that follows the log on a thread of its own. It knows where events stand; the
//!   events themselves are read from the log.
//! - `rest/` is the HTTP interface; [`problem`] its table of problems.
//!
//! **Invariants**
//! - An append is answered after it is durable, and happens once per event id however often it is asked for.
//! - What a client appended is given back as it was: numbers keep their digits and members their order. Only white space
//!   between the tokens of JSON data is lost.
//! - Reads see only what is durable, and say how far they saw.
//!
//! What it is **not**: it holds no rule about revisions or ids (that is `lombard-eventstore-core`) and opens no file or
//! socket (they are given to it in [`Deps`]).
//!
//! Start reading at [`EventStore`], then `rest/append.rs`.
#![warn(missing_docs)]

mod cloud_event;
mod codec;
mod config;
mod machine;
mod metrics;
pub mod problem;
pub mod query;
mod rest;
mod service;

pub use codec::AppendCodec;
pub use config::Config;
pub use machine::EventStoreMachine;
pub use service::{Deps, EventStore, NewError};
