//! The event store role: streams of CloudEvents over HTTP and gRPC.
//!
//! - `machine.rs` runs the rules of `lombard-eventstore-core` on the engine: the write side. `codec/` is how what happened
//!   is stored, `index/` what both sides know of it: where each event, stream, tag and type stands in the log.
//! - `api/` is what the store can be asked to do, whatever the protocol. `prepare.rs` makes of an event that a client
//!   sent one that can be stored, `showing.rs` of a stored one what a reader may see: every edge goes through both.
//! - `cloud_event/` checks CloudEvents 1.0, and reads and writes their JSON form; nothing else knows that form.
//! - `schema/` knows what the data of a type must look like, and brings older data into the newest form.
//! - `subjects/` has the keys of data subjects: sealing events, and forgetting them by destroying a key.
//! - `query/` is the read side: it looks up in the index where events stand, and reads them from the log.
//! - `subscription.rs` is a subscriber's way from history to what happens.
//! - `rest/` and `grpc/` are the edges; [`problem`] is their table of problems, `authority.rs` what tokens permit.
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
//! Start reading at [`EventStore`], then `api/append.rs`.
#![warn(missing_docs)]

mod api;
mod authority;
mod cloud_event;
mod codec;
mod config;
mod criteria;
mod documents;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod groups;
mod grpc;
mod index;
mod live;
mod machine;
mod metrics;
pub mod openapi;
mod prepare;
pub mod problem;
mod query;
mod rest;
mod schema;
mod service;
mod showing;
#[cfg(test)]
mod simulation;
mod subjects;
mod subscription;

pub use codec::EventCodec;
pub use config::Config;
pub use documents::DocumentsError;
pub use groups::GroupsLog;
pub use index::OpenError;
pub use machine::{EventStoreMachine, Reply};
pub use service::{Deps, EventStore, NewError, RunError};
pub use subjects::KeyFileError;
