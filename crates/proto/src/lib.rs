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
    lombard::{eventstore, ledger, registry},
};

/// All contracts as a serialized `google.protobuf.FileDescriptorSet`, for tools.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Envoy's discovery protocol, version 3, as far as it is used here.
pub mod xds {
    pub use prost_types::{Any, Duration};

    pub use crate::generated::envoy::{
        config::{
            cluster::v3 as cluster, core::v3 as core, endpoint::v3 as endpoint,
            listener::v3 as listener, route::v3 as route,
        },
        extensions::filters::{
            http::router::v3 as router,
            network::http_connection_manager::v3 as http_connection_manager,
        },
        service::discovery::v3 as discovery,
    };
}
