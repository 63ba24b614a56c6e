//! The event store role: streams of CloudEvents over HTTP.
//!
//! - `machine.rs` runs the rules of `lombard-eventstore-core` on the engine: the write side. `codec/` is how what happened
//!   is stored, `index/` what both sides know of it: where each event, stream, tag and type stands in the log.
//! - `cloud_event/` reads and writes CloudEvents 1.0 in their JSON form; nothing else knows that form.
//! - `query/` is the read side: it looks up in the index where events stand, and reads them from the log.
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
mod index;
mod live;
mod machine;
mod metrics;
pub mod problem;
mod query;
mod rest;
mod service;

pub use codec::EventCodec;
pub use config::Config;
pub use index::OpenError;
pub use machine::{EventStoreMachine, Reply};
pub use service::{Deps, EventStore, NewError};
