//! The event store and the [ledger] over gRPC: for callers that write or read much.
//!
//! It speaks the protocol on HTTP/2 directly, so that a call costs little. Messages are those of `proto/eventstore/v1`
//! ([`v1`]) and `proto/ledger/v1` ([`ledger::v1`]), as the build made them.

mod call;
mod channel;
mod consume;
mod error;
pub mod ledger;
mod session;
mod subscription;

use std::{sync::Arc, time::Duration};

use self::{
    call::Messages,
    channel::{Channel, Tokens},
};
pub use self::{
    consume::{Consumed, GrpcConsumer},
    error::GrpcError,
    session::{AppendSession, Appending},
    subscription::GrpcSubscription,
};
use crate::Platform;
use lombard_proto::eventstore::v1::{
    AppendRequest, AppendResponse, ConsumeStart, ReadRequest, ReadResponse, SubscribeRequest,
};

/// The messages.
pub use lombard_proto::eventstore::v1;

const APPEND: &str = "/lombard.eventstore.v1.EventStore/Append";
const APPEND_SESSION: &str = "/lombard.eventstore.v1.EventStore/AppendSession";
const READ: &str = "/lombard.eventstore.v1.EventStore/Read";
const CONSUME: &str = "/lombard.eventstore.v1.EventStore/Consume";
const SUBSCRIBE: &str = "/lombard.eventstore.v1.EventStore/Subscribe";

/// How long a call is tried, unless it is told otherwise.
const DEADLINE: Duration = Duration::from_secs(30);
/// Before the first try after one that failed; doubled with each.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The event store over gRPC, on one connection that all clones share. It connects with the first call, and again after
/// the connection was lost.
#[derive(Clone, Debug)]
pub struct GrpcEventStore {
    channel: Arc<Channel>,
    deadline: Duration,
}

impl Platform {
    /// The event store over gRPC at `address` (`127.0.0.1:9083`), with this client's tokens.
    pub fn grpc_eventstore(&self, address: impl Into<String>) -> GrpcEventStore {
        GrpcEventStore::new(address.into(), Tokens::Platform(self.clone(), "/v1/eventstore"))
    }
}

impl GrpcEventStore {
    /// The event store at `address` with one token, for as long as that is good.
    pub fn with_token(address: impl Into<String>, token: &str) -> Self {
        Self::new(address.into(), Tokens::One(token.into()))
    }

    fn new(address: String, tokens: Tokens) -> Self {
        Self { channel: Arc::new(Channel::new(address, tokens)), deadline: DEADLINE }
    }

    /// The same, on the same connection, that tries appends for so long.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Appends, and tries again until the deadline where that can help: the events' ids make a repetition harmless, and
    /// it is answered as the first time.
    pub async fn append(&self, request: &AppendRequest) -> Result<AppendResponse, GrpcError> {
        self.channel.repeated(APPEND, request, self.deadline).await
    }

    /// Begins a session of appends, of which up to `in_flight_max` are under way at once. It does not connect again: one
    /// that is lost fails what is in flight with an unknown outcome, and repeating that in another is harmless.
    pub async fn append_session(&self, in_flight_max: usize) -> Result<AppendSession, GrpcError> {
        AppendSession::start(&self.channel, in_flight_max).await
    }

    /// Reads a selection, in messages of many events each.
    pub async fn read(&self, request: &ReadRequest) -> Result<GrpcRead, GrpcError> {
        Ok(GrpcRead(self.channel.server_stream(READ, request).await?))
    }

    /// Takes deliveries of a consumer group, and settles them, on one call.
    pub async fn consume(&self, start: ConsumeStart) -> Result<GrpcConsumer, GrpcError> {
        GrpcConsumer::begin(&self.channel, start).await
    }

    /// The events of a selection, and then those that happen. It connects again by itself, without a gap.
    pub fn subscribe(&self, request: SubscribeRequest) -> GrpcSubscription {
        GrpcSubscription::new(Arc::clone(&self.channel), request)
    }
}

/// What a read gives, message by message.
#[derive(Debug)]
pub struct GrpcRead(Messages<ReadResponse>);

impl GrpcRead {
    /// The next message; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<ReadResponse>, GrpcError> {
        self.0.next().await
    }
}
