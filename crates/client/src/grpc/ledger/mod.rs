//! The ledger over gRPC: posting sets one by one, and sessions on which many are under way at once.
//!
//! ```no_run
//! # async fn example(platform: lombard_client::Platform) -> Result<(), lombard_client::grpc::GrpcError> {
//! use lombard_client::grpc::ledger::{PackedTransfer, SessionOptions, new_transfer_id};
//! use lombard_types::{AccountId, Amount};
//!
//! let ledger = platform.grpc_ledger("127.0.0.1:9084");
//! let session = ledger.session(SessionOptions::default());
//! let (shop, till) = (AccountId::from_u128(1).unwrap(), AccountId::from_u128(2).unwrap());
//! let transfer = PackedTransfer::new(new_transfer_id(), shop, till, Amount::from_minor_units(1250));
//! let outcomes = session.submit(&transfer).await?.await?;
//! assert_eq!(outcomes.first_refused(), None);
//! # Ok(()) }
//! ```

mod driver;
mod outcome;
mod packed;
mod session;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use lombard_types::{Timestamp, TransferId};
use uuid::Uuid;

use self::v1::{
    ActionRequest, BalanceRequest, BalanceResponse, CreateRequest, CreateResponse, LookupRequest,
    LookupResponse, lookup_request::Key,
};
pub use self::{
    outcome::{Outcomes, TransferOutcome},
    packed::{PackedSets, PackedTransfer, RecordedTransfer, TransferFlags, TransferKind, UserData},
    session::{LedgerSession, SessionOptions, Submitted},
};
use super::{
    DEADLINE, GrpcError,
    channel::{Channel, Tokens},
};
use crate::Platform;

/// The messages.
pub use lombard_proto::ledger::v1;

const CREATE: &str = "/lombard.ledger.v1.Ledger/Create";
const POST: &str = "/lombard.ledger.v1.Ledger/Post";
const VOID: &str = "/lombard.ledger.v1.Ledger/Void";
const REVERSE: &str = "/lombard.ledger.v1.Ledger/Reverse";
const LOOKUP: &str = "/lombard.ledger.v1.Ledger/Lookup";
const BALANCE: &str = "/lombard.ledger.v1.Ledger/Balance";
const SESSION: &str = "/lombard.ledger.v1.Ledger/Session";

/// The ledger over gRPC, on one connection that all clones share. It connects with the first call, and again after the
/// connection was lost.
///
/// Every set has an id, so that all calls are tried again until the deadline where that can help, and never move money
/// twice. A set that is refused is [`GrpcError::Refused`], and [`GrpcError::transfer_result`] says why. After
/// [`GrpcError::OutcomeUnknown`], [`GrpcLedger::lookup`] tells whether it happened.
#[derive(Clone, Debug)]
pub struct GrpcLedger {
    channel: Arc<Channel>,
    deadline: Duration,
}

/// A set as the ledger recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSet {
    /// Its transfers, in order.
    pub transfers: Vec<RecordedTransfer>,
    /// The record of the log that holds it: `at_least` of a read that must see it.
    pub position: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Whether this is the answer to a retry.
    pub is_replayed: bool,
}

/// A set that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSet {
    /// The set. A refused one is found too.
    pub set: RecordedSet,
    /// The caller's own name for it.
    pub external_id: Option<String>,
    /// What is kept with it: a JSON object.
    pub metadata: Option<String>,
}

impl Platform {
    /// The ledger over gRPC at `address` (`127.0.0.1:9084`), with this client's tokens.
    pub fn grpc_ledger(&self, address: impl Into<String>) -> GrpcLedger {
        GrpcLedger::new(address.into(), Tokens::Platform(self.clone(), "/v1/ledger"))
    }
}

impl GrpcLedger {
    /// The ledger at `address` with one token, for as long as that is good.
    pub fn with_token(address: impl Into<String>, token: &str) -> Self {
        Self::new(address.into(), Tokens::One(token.into()))
    }

    fn new(address: String, tokens: Tokens) -> Self {
        Self { channel: Arc::new(Channel::new(address, tokens)), deadline: DEADLINE }
    }

    /// The same, on the same connection, that tries calls for so long.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Creates a posting set.
    pub async fn create(&self, request: &CreateRequest) -> Result<RecordedSet, GrpcError> {
        self.written(CREATE, request).await
    }

    /// Posts a pending set: all of it, or the amounts that are given.
    pub async fn post(&self, request: &ActionRequest) -> Result<RecordedSet, GrpcError> {
        self.written(POST, request).await
    }

    /// Voids a pending set.
    pub async fn void(&self, request: &ActionRequest) -> Result<RecordedSet, GrpcError> {
        self.written(VOID, request).await
    }

    /// Reverses a set that moved money: what is left of it, or the amounts that are given.
    pub async fn reverse(&self, request: &ActionRequest) -> Result<RecordedSet, GrpcError> {
        self.written(REVERSE, request).await
    }

    async fn written(
        &self,
        path: &'static str,
        request: &impl prost::Message,
    ) -> Result<RecordedSet, GrpcError> {
        let answer = self.channel.repeated(path, request, self.deadline).await?;
        let CreateResponse { transfers, position, recorded_at, is_replayed } = answer;
        self.recorded(&transfers, position, recorded_at, is_replayed)
    }

    /// The set with an id; `None`: it did not happen. Linearizable: what was answered to anybody is found.
    pub async fn lookup(&self, id: TransferId) -> Result<Option<FoundSet>, GrpcError> {
        self.find(Key::Id(id_bytes(id))).await
    }

    /// The set with an external id.
    pub async fn lookup_external(
        &self,
        external_id: impl Into<String>,
    ) -> Result<Option<FoundSet>, GrpcError> {
        self.find(Key::ExternalId(external_id.into())).await
    }

    async fn find(&self, key: Key) -> Result<Option<FoundSet>, GrpcError> {
        let request = LookupRequest { key: Some(key) };
        let answer = self.channel.repeated(LOOKUP, &request, self.deadline).await;
        let answer: LookupResponse = match answer {
            Err(error) if error.slug().as_deref() == Some("transfer-not-found") => return Ok(None),
            answer => answer?,
        };
        let LookupResponse { transfers, position, recorded_at, external_id, metadata } = answer;
        let set = self.recorded(&transfers, position, recorded_at, true)?;
        Ok(Some(FoundSet { set, external_id, metadata }))
    }

    /// What accounts hold, all at one position. Linearizable.
    pub async fn balance(&self, request: &BalanceRequest) -> Result<BalanceResponse, GrpcError> {
        self.channel.repeated(BALANCE, request, self.deadline).await
    }

    /// Begins a session. It connects when something is submitted. Any number of sessions may share a connection, up to
    /// what the server permits (`connection_calls_max`).
    pub fn session(&self, options: SessionOptions) -> LedgerSession {
        LedgerSession::start(Arc::clone(&self.channel), options)
    }

    fn recorded(
        &self,
        transfers: &Bytes,
        position: u64,
        recorded_at: u64,
        is_replayed: bool,
    ) -> Result<RecordedSet, GrpcError> {
        let transfers = packed::recorded(transfers)
            .ok_or_else(|| GrpcError::unexpected(&self.channel.address(), "no packed transfers"))?;
        let recorded_at = Timestamp::from_unix_nanos(recorded_at);
        Ok(RecordedSet { transfers, position, recorded_at, is_replayed })
    }
}

/// A fresh id of a set, ordered by time.
#[expect(
    clippy::expect_used,
    reason = "the version and variant bits make it neither all zeros nor all ones"
)]
pub fn new_transfer_id() -> TransferId {
    TransferId::try_from(Uuid::now_v7()).expect("a UUIDv7 is an id")
}

/// An id as the messages have it.
pub fn id_bytes(id: TransferId) -> Bytes {
    Bytes::copy_from_slice(&id.as_u128().to_be_bytes())
}
