//! The gRPC contracts: messages made from `proto/` when this crate is built, and what both ends need of the protocol
//! under them: how messages are framed, how a refusal is written in trailers, how a deadline is said.
//!
//! What it is **not**: it opens no connection and knows no runtime. The server is `lombard-grpc`, a client is in
//! `lombard-client`.
//!
//! **Invariant:** what is on the wire changes only by addition. `golden/` has every message, field and number as text;
//! a test compares.

pub mod frame;
pub mod status;
pub mod timeout;

pub use frame::{FrameDecoder, FrameError};
pub use status::{Code, status_from_trailers, trailers};

mod generated;

pub use generated::{
    google::rpc,
    grpc::health,
    lombard::{eventstore, ledger},
};

/// All contracts as a serialized `google.protobuf.FileDescriptorSet`, for tools.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
