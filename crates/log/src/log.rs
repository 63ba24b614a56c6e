//! The contract of a log.

use std::{fmt, sync::Arc};

use futures_util::{FutureExt as _, future::BoxFuture};
use lombard_types::Position;
use tokio::sync::{oneshot, watch};

use crate::{Batch, Record, Then};

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

    /// How many bytes can be appended for certain, where a record counts as its payload and
    /// [`RECORD_OVERHEAD_BYTES`]. A writer that decides and applies before the append is durable asks first, so that a
    /// full disk is a refusal and never a half-done command.
    fn room_bytes(&self) -> u64;

    /// Waits until there is room for `bytes`, which may be a moment away. Refuses with [`AppendError::Full`] when the
    /// disk has no space for it.
    fn make_room(&self, bytes: u64) -> BoxFuture<'static, Result<(), AppendError>>;

    /// Appends iff the tail is `expected`. `then` is told once the batch and everything before it are durable, or that
    /// they are not; appends that succeed are told of in their order. The append is under way when this returns.
    fn append_then(&self, expected: Position, batch: Batch, then: Then);

    /// [`Log::append_then`] of a writer that has nothing else to do meanwhile: where nothing else waits to be written, the
    /// log may write on the caller's thread, which spares a wake-up. So this may block.
    fn append_alone(&self, expected: Position, batch: Batch, then: Then) {
        self.append_then(expected, batch, then);
    }

    /// [`Log::append_then`] as a future, with the tail that the batch left. The append is under way when this returns,
    /// whether or not the future is polled.
    fn append(
        &self,
        expected: Position,
        batch: Batch,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let (answer, answered) = oneshot::channel();
        // Whoever appended may not wait for the answer.
        self.append_then(expected, batch, Then::new(move |outcome| drop(answer.send(outcome))));
        async move { answered.await.unwrap_or(Err(AppendError::Closed)) }.boxed()
    }

    /// Reads durable records from `from` on: at least one where there is one, then as many as fit in `bytes_max`.
    /// Empty at the tail.
    fn read(
        &self,
        from: Position,
        bytes_max: usize,
    ) -> BoxFuture<'static, Result<Vec<Record>, ReadError>>;

    /// Gives up the durable records before `before`, as many as can be removed at little cost, and answers the first
    /// that is kept. Whoever calls it holds their effect elsewhere, durably: such as in a snapshot. A log that was
    /// trimmed proves nothing about its beginning, so it goes without a Merkle tree.
    fn trim(&self, before: Position) -> BoxFuture<'static, Result<Position, TrimError>>;
}

/// What a record takes beside its payload, at most: its header and padding.
pub const RECORD_OVERHEAD_BYTES: u64 = 40;

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

/// Records were not given up, or not all. Nothing is lost; it can be tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to trim the log: {cause}")]
pub struct TrimError {
    /// What the system said.
    pub cause: Arc<str>,
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
