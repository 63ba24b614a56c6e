//! Many posting sets under way at once, on one call that is made again when it is lost.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::Instant,
};

use super::{
    Outcomes, PackedSets,
    driver::{Driver, Part},
};
use crate::grpc::{DEADLINE, GrpcError, channel::Channel};

/// How a session goes about it.
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// How long after it was submitted something may be answered. Then its outcome is unknown.
    pub deadline: Duration,
    /// What is submitted and not answered, at most; more waits.
    pub in_flight_max: usize,
    /// Frames under way at once. What is submitted meanwhile goes in the next together: little of this makes large frames,
    /// which cost the server less.
    pub frames_in_flight_max: usize,
    /// Transfers of a frame, at most; the server's `frame_transfers_max`.
    pub frame_transfers_max: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            deadline: DEADLINE,
            in_flight_max: 1024,
            frames_in_flight_max: 4,
            frame_transfers_max: 8190,
        }
    }
}

/// A session. What is submitted together is done, and answered, in order; what different tasks submit at the same time, in
/// any. When the connection is lost it is made again, and what has no answer is sent again: the ids make that harmless.
/// Cheap to clone; it ends when the last clone is dropped and everything is answered.
#[derive(Clone)]
pub struct LedgerSession {
    parts: mpsc::UnboundedSender<Part>,
    places: Arc<Semaphore>,
    address: Arc<str>,
    options: SessionOptions,
}

impl fmt::Debug for LedgerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerSession").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The answer to what was submitted, to be awaited. It is under way whether or not this is.
///
/// [`GrpcError::Refused`]: the token does not permit it, or it is malformed; nothing of it was done.
/// [`GrpcError::OutcomeUnknown`]: the deadline passed without an answer; ask by id, or submit it again.
#[derive(Debug)]
pub struct Submitted {
    answer: oneshot::Receiver<Result<Outcomes, GrpcError>>,
    address: Arc<str>,
}

impl Future for Submitted {
    type Output = Result<Outcomes, GrpcError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.answer).poll(cx);
        let lost = || GrpcError::unknown(&self.address, "the session ended");
        answer.map(|answer| answer.unwrap_or_else(|_| Err(lost())))
    }
}

impl LedgerSession {
    pub(super) fn start(channel: Arc<Channel>, options: SessionOptions) -> Self {
        let options = SessionOptions {
            in_flight_max: options.in_flight_max.clamp(1, Semaphore::MAX_PERMITS),
            frames_in_flight_max: options.frames_in_flight_max.max(1),
            frame_transfers_max: options.frame_transfers_max.max(1),
            ..options
        };
        let address = channel.address().into();
        let (parts, receiver) = mpsc::unbounded_channel();
        tokio::spawn(Driver::new(channel, options, receiver).run());
        let places = Arc::new(Semaphore::new(options.in_flight_max));
        Self { parts, places, address, options }
    }

    /// Hands sets over as soon as fewer are in flight than the limit, and answers what to await. They go in one frame,
    /// perhaps beside those of others.
    pub async fn submit(&self, sets: impl Into<PackedSets>) -> Result<Submitted, GrpcError> {
        let sets = sets.into();
        let transfers_max = self.options.frame_transfers_max;
        if sets.is_empty() || sets.len() > transfers_max {
            let what = format!("{} transfers; 1 to {transfers_max} go together", sets.len());
            return Err(GrpcError::Invalid { what });
        }
        let latest = Instant::now() + self.options.deadline;
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let waiting = Arc::clone(&self.places).acquire_owned();
                let waited = tokio::time::timeout_at(latest, waiting).await;
                let crowded = |_| self.not_sent("too much was in flight for too long");
                waited.map_err(crowded)?.map_err(|_| self.not_sent("the session has ended"))?
            }
        };
        let (answer, waited) = oneshot::channel();
        let part = Part::new(Bytes::from(sets.records), latest, answer, place);
        self.parts.send(part).map_err(|_| self.not_sent("the session has ended"))?;
        Ok(Submitted { answer: waited, address: Arc::clone(&self.address) })
    }

    fn not_sent(&self, cause: &str) -> GrpcError {
        GrpcError::not_sent(&self.address, cause)
    }
}
