//! The caller's side: submit a command, ask the writer.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use lombard_log::SharedLog;
use lombard_types::{Position, Timestamp};
use tokio::{
    sync::{mpsc::error::TrySendError, oneshot, watch},
    time::Instant,
};

use crate::{Limits, Machine, SnapshotInfo, queue};

/// Speaks to one running engine. Cheap to clone; the engine stops when the last handle is gone.
pub struct Handle<M: Machine> {
    pub(crate) requests: queue::Sender<M>,
    pub(crate) log: SharedLog,
    pub(crate) limits: Limits,
    /// Payload bytes recorded since the state that the engine started from.
    pub(crate) recorded_bytes: Arc<AtomicU64>,
    pub(crate) snapshots: watch::Receiver<Option<SnapshotInfo>>,
}

impl<M: Machine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
            log: self.log.clone(),
            limits: self.limits,
            recorded_bytes: Arc::clone(&self.recorded_bytes),
            snapshots: self.snapshots.clone(),
        }
    }
}

impl<M: Machine> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("log", &self.log).finish_non_exhaustive()
    }
}

/// A command's effect, durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<R> {
    /// The record that holds it. Where nothing new was written: the last record that the answer depends on.
    pub position: Position,
    /// When it was decided.
    pub time: Timestamp,
    /// Whether the command wrote a record, rather than being answered from what was there.
    pub written: bool,
    /// What the machine replied.
    pub reply: R,
}

/// Why a command has no known effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError<R> {
    /// The machine said no. Certain: nothing changed.
    #[error("rejected")]
    Rejected {
        /// Why.
        rejection: R,
        /// The last record that the rejection depends on; `None` on an empty log.
        position: Option<Position>,
    },
    /// The queue is full. Nothing changed; try again later.
    #[error("overloaded: the queue of commands is full")]
    Overloaded,
    /// The command waited in the queue beyond its deadline. Nothing changed.
    #[error("the command's deadline passed before its turn came")]
    Expired,
    /// The log has no room. Nothing changed; try again when there is space.
    #[error("no disk space left to record the command")]
    DiskFull,
    /// The command's events are over the limit of one record. Nothing changed.
    #[error("the command needs {bytes} bytes to record, over the limit of {bytes_max}")]
    TooLarge {
        /// What it needs.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The engine stopped, or took too long, with the command in its hands: it may or may not have taken effect.
    #[error("the outcome is unknown: ask by id, or retry with the same id")]
    OutcomeUnknown,
    /// The engine is not running. Nothing changed.
    #[error("the engine has stopped")]
    Stopped,
}

/// Why a query has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The queue is full.
    #[error("overloaded: the queue of commands is full")]
    Overloaded,
    /// The engine stopped or took too long.
    #[error("the engine has stopped or did not answer in time")]
    Unavailable,
}

pub(crate) type Answer<M> =
    Result<Committed<<M as Machine>::Reply>, SubmitError<<M as Machine>::Rejection>>;

/// Runs on the writer with its state and position, and returns what to do once that state is durable.
pub(crate) type Query<M> =
    Box<dyn FnOnce(&M, Option<Position>) -> Box<dyn FnOnce(bool) + Send> + Send>;

pub(crate) enum Request<M: Machine> {
    Command { command: M::Command, deadline: Instant, answer: oneshot::Sender<Answer<M>> },
    Query(Query<M>),
}

impl<M: Machine> Handle<M> {
    /// A handle, and the queue that its writer takes from.
    pub(crate) fn new(
        log: SharedLog,
        limits: Limits,
        snapshots: watch::Receiver<Option<SnapshotInfo>>,
    ) -> (Self, queue::Receiver<M>) {
        let (requests, queue) = queue::queue(limits.queue_commands_max);
        let recorded_bytes = Arc::new(AtomicU64::new(0));
        (Self { requests, log, limits, recorded_bytes, snapshots }, queue)
    }

    /// Has the command decided and, if it took effect, made durable. Waits at most the engine's `submit_timeout`.
    ///
    /// Cancel safe in the sense that dropping the future does not stop the command: its outcome is then unknown.
    pub async fn submit(
        &self,
        command: M::Command,
    ) -> Result<Committed<M::Reply>, SubmitError<M::Rejection>> {
        let deadline = Instant::now() + self.limits.submit_timeout;
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Command { command, deadline, answer }).map_err(|refused| {
            match refused {
                TrySendError::Full(_) => SubmitError::Overloaded,
                TrySendError::Closed(_) => SubmitError::Stopped,
            }
        })?;
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(SubmitError::OutcomeUnknown),
        }
    }

    /// Asks the writer itself: linearizable with every command answered before. The closure runs between two
    /// commands, so it must be quick. Also answers the last record that the state includes; `None` on an empty log.
    pub async fn query<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&M) -> R + Send + 'static,
    ) -> Result<(R, Option<Position>), QueryError> {
        let (answer, answered) = oneshot::channel();
        let query: Query<M> = Box::new(move |machine, position| {
            let result = (ask(machine), position);
            Box::new(move |is_durable| {
                if is_durable {
                    // The caller may have gone away; then nobody needs the answer.
                    drop(answer.send(result));
                }
            })
        });
        self.requests.send(Request::Query(query)).map_err(|refused| match refused {
            TrySendError::Full(_) => QueryError::Overloaded,
            TrySendError::Closed(_) => QueryError::Unavailable,
        })?;
        match tokio::time::timeout(self.limits.submit_timeout, answered).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) | Err(_) => Err(QueryError::Unavailable),
        }
    }

    /// The log under the engine.
    pub fn log(&self) -> &SharedLog {
        &self.log
    }

    /// The newest snapshot that this engine has made, or else the one that it started from; `None` where there is none.
    pub fn last_snapshot(&self) -> Option<SnapshotInfo> {
        self.snapshots.borrow().clone()
    }

    /// The same as it changes, for whoever waits for a snapshot.
    pub fn watch_snapshots(&self) -> watch::Receiver<Option<SnapshotInfo>> {
        self.snapshots.clone()
    }

    /// How many commands wait, for a metric.
    pub fn queue_length(&self) -> usize {
        self.requests.len()
    }
}
