//! The durable append-only log under every role.
//!
//! A log is a sequence of *records*; one record is one atomic batch of events, opaque to this crate. [`Log`] is the
//! whole contract: append a group of records iff the tail is where the writer believes it to be, read from a
//! position, and be told how far it is durable. Nothing above the trait assumes a file.
#![warn(missing_docs)]

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use lombard_types::Position;
use tokio::sync::watch;

/// One durable record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub position: Position,
    /// What it holds; the log does not look inside.
    pub payload: Bytes,
}

/// Records to append together, in order. They become durable by the same sync, but each is a record of its own.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record whose payload is what `write` appends to the buffer.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Adds a record.
    pub fn push(&mut self, payload: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(payload));
    }

    /// Takes the last record back.
    pub fn pop(&mut self) {
        self.ends.pop();
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all payloads.
    pub fn payload_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The payloads, in order.
    pub fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let payload = self.bytes.get(start..end).unwrap_or_default();
            start = end;
            payload
        })
    }
}

/// A durable, ordered, single-writer log.
///
/// Appending is asynchronous and pipelined: a writer may have several appends under way, each expecting the tail
/// that the one before leaves. They take effect in the order of the calls.
pub trait Log: Send + Sync + fmt::Debug + 'static {
    /// The position that the next appended record gets, counting appends under way.
    fn tail(&self) -> Position;

    /// Everything before this position is durable. Moves forward only. The sender is dropped when the log is
    /// poisoned or closed.
    fn durable(&self) -> watch::Receiver<Position>;

    /// How many payload bytes can be appended for certain. A writer that decides and applies before the append is
    /// durable asks first, so that a full disk is a refusal and never a half-done command.
    fn room_bytes(&self) -> u64;

    /// Appends iff the tail is `expected`; resolves once the batch and everything before it are durable, with the
    /// tail it left. The append is under way when this returns, whether or not the future is polled.
    fn append(&self, expected: Position, batch: Batch) -> BoxFuture<'static, Result<Position, AppendError>>;

    /// Reads durable records from `from` on: at least one where there is one, then as many as fit in `bytes_max`.
    /// Empty at the tail.
    fn read(&self, from: Position, bytes_max: usize) -> BoxFuture<'static, Result<Vec<Record>, ReadError>>;
}

/// A log that may be shared.
pub type SharedLog = Arc<dyn Log>;

/// Why an append had no effect, or an unknown one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else wrote, or this writer lost count. Nothing was written.
    #[error("the tail of the log is {tail}, not {expected}")]
    Conflict {
        /// What the writer expected.
        expected: Position,
        /// What it is.
        tail: Position,
    },
    /// No space is prepared for this batch. Nothing was written; may succeed later.
    #[error("no space left for {bytes} bytes")]
    Full {
        /// What the batch needs.
        bytes: u64,
    },
    /// A record is larger than the log takes. Nothing was written.
    #[error("a record of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge {
        /// The record's size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// A write or sync failed, now or earlier. Whether this batch is durable is unknown until a restart recovers the
    /// log; no later append can succeed.
    #[error("the log stopped after a failed write: {cause}")]
    Poisoned {
        /// The first failure.
        cause: Arc<str>,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

/// Why a read gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The records before `first` were trimmed away.
    #[error("position {from} was trimmed; the first kept is {first}")]
    Trimmed {
        /// What was asked for.
        from: Position,
        /// The first one kept.
        first: Position,
    },
    /// Stored bytes are not what was written.
    #[error("damage at position {position} in {place}: {cause}")]
    Damaged {
        /// The first record that does not fit.
        position: Position,
        /// Segment and offset.
        place: Arc<str>,
        /// What is wrong.
        cause: Arc<str>,
    },
    /// Reading failed.
    #[error("failed to read the log: {cause}")]
    Io {
        /// What the system said.
        cause: Arc<str>,
    },
}
