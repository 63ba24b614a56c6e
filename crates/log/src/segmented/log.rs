//! [`SegmentedLog`]: what callers hold, and what its threads share.

use std::{collections::VecDeque, fmt, path::PathBuf, sync::Arc, thread::JoinHandle};

use futures_util::{FutureExt as _, future::BoxFuture};
use lombard_types::Position;
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::watch;

use super::{gather::Gather, index::Index, plan::Plan, write::Writer};
use crate::{
    AppendError, Batch, Log, LogId, RECORD_OVERHEAD_BYTES, ReadError, Record, Then, TrimError,
    disk::{Lock, SharedDisk, SharedFile},
};

/// Sizes of a segmented log.
#[derive(Clone, Copy, Debug)]
pub struct SegmentedConfig {
    /// Bytes of the first segment; each next one is twice as large, up to `segment_bytes_max`.
    pub segment_bytes_min: usize,
    /// Bytes of the largest segments.
    pub segment_bytes_max: usize,
    /// Bytes of the largest record, which must fit in the first segment.
    pub record_bytes_max: usize,
    /// Bytes that may wait to be written, taken as one record's at least. Room for more is there when the writer has
    /// taken some.
    pub queue_bytes_max: usize,
}

impl Default for SegmentedConfig {
    fn default() -> Self {
        Self {
            segment_bytes_min: 8 << 20,
            segment_bytes_max: 64 << 20,
            record_bytes_max: 4 << 20,
            queue_bytes_max: 64 << 20,
        }
    }
}

impl SegmentedConfig {
    /// Small segments, for roles whose records are small and few.
    pub fn small() -> Self {
        Self { segment_bytes_min: 1 << 20, record_bytes_max: 256 << 10, ..Self::default() }
    }
}

/// A batch that waits to be written.
pub(super) struct Queued {
    pub(super) batch: Batch,
    pub(super) then: Then,
}

/// A segment of zeros that waits for its turn.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) number: u64,
    pub(super) bytes: usize,
    pub(super) file: SharedFile,
}

pub(super) struct State {
    pub(super) queue: VecDeque<Queued>,
    pub(super) queue_bytes: usize,
    pub(super) queue_records: usize,
    /// Records in the queue that the writer is woken for.
    pub(super) wanted_records: usize,
    pub(super) gather: Gather,
    /// The position that the next queued record gets.
    pub(super) tail: Position,
    pub(super) plan: Plan,
    pub(super) prepared: VecDeque<Prepared>,
    pub(super) poison: Option<Arc<str>>,
    /// Why no segment could be prepared at the last try.
    pub(super) full: Option<Arc<str>>,
    pub(super) is_closing: bool,
}

pub(super) struct Shared {
    pub(super) config: SegmentedConfig,
    pub(super) disk: SharedDisk,
    pub(super) directory: PathBuf,
    pub(super) log_id: [u8; 16],
    pub(super) state: Mutex<State>,
    pub(super) work_is_there: Condvar,
    pub(super) segment_is_wanted: Condvar,
    /// Sent to whenever room was made, or could not be made.
    pub(super) room_changed: watch::Sender<()>,
    pub(super) durable: watch::Receiver<Position>,
    pub(super) index: RwLock<Index>,
    /// Held while segments are removed.
    pub(super) trimming: Mutex<()>,
    pub(super) _lock: Lock,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentedLog")
            .field("directory", &self.directory)
            .field("durable", &*self.durable.borrow())
            .finish_non_exhaustive()
    }
}

/// A log in a directory. Dropping it writes out what is queued and ends its threads.
pub struct SegmentedLog {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: SharedWriter,
    pub(super) threads: Vec<JoinHandle<()>>,
}

/// Whoever writes a group holds it: the log's thread most of the time. None after a write that failed, and where
/// somebody else does the log's work.
pub(super) type SharedWriter = Arc<Mutex<Option<Writer>>>;

impl fmt::Debug for SegmentedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shared, f)
    }
}

impl SegmentedLog {
    /// Which log this is.
    pub fn id(&self) -> LogId {
        LogId::new(self.shared.log_id)
    }
}

impl Drop for SegmentedLog {
    fn drop(&mut self) {
        self.shared.state.lock().is_closing = true;
        self.shared.work_is_there.notify_all();
        self.shared.segment_is_wanted.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(log = ?self.shared, "a thread of the log panicked");
            }
        }
    }
}

/// What became of a batch that was to be queued.
enum Queueing {
    Refused(AppendError, Then),
    Queued {
        /// The log's thread is to be woken.
        is_work_wanted: bool,
        /// Nothing else waits to be written.
        is_alone: bool,
    },
}

impl State {
    /// Takes room for a batch; answers the bytes that are in the queue with it.
    fn admit(
        &mut self,
        expected: Position,
        batch: &Batch,
        config: &SegmentedConfig,
    ) -> Result<usize, AppendError> {
        if let Some(cause) = &self.poison {
            return Err(AppendError::Poisoned { cause: Arc::clone(cause) });
        }
        if self.is_closing {
            return Err(AppendError::Closed);
        }
        if self.tail != expected {
            return Err(AppendError::Conflict { expected, tail: self.tail });
        }
        let queue_bytes =
            self.queue_bytes.saturating_add(queued_bytes(batch.len(), batch.payload_bytes()));
        if queue_bytes > config.queue_bytes_max {
            return Err(AppendError::Full {
                bytes: u64::try_from(batch.payload_bytes()).unwrap_or(u64::MAX),
            });
        }
        self.plan.take(batch)?;
        Ok(queue_bytes)
    }

    /// What the segments and the queue both have room for.
    fn room_bytes(&self, config: &SegmentedConfig) -> u64 {
        let queue_room = config.queue_bytes_max.saturating_sub(self.queue_bytes);
        self.plan.room_bytes().min(u64::try_from(queue_room).unwrap_or(u64::MAX))
    }
}

/// What records count as while they wait: as much as their writer was told that they would take.
pub(super) fn queued_bytes(records: usize, payload_bytes: usize) -> usize {
    let overhead = usize::try_from(RECORD_OVERHEAD_BYTES).unwrap_or(usize::MAX);
    payload_bytes.saturating_add(records.saturating_mul(overhead))
}

impl Shared {
    fn queue(&self, expected: Position, batch: Batch, then: Then) -> Queueing {
        let mut state = self.state.lock();
        let queue_bytes = match state.admit(expected, &batch, &self.config) {
            Ok(queue_bytes) => queue_bytes,
            Err(error) => return Queueing::Refused(error, then),
        };
        state.tail = state.tail.plus(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        state.queue_bytes = queue_bytes;
        state.queue_records += batch.len();
        state.queue.push_back(Queued { batch, then });
        let is_segment_wanted = state.plan.prepared_count() < super::prepare::PREPARED_SEGMENTS;
        let is_work_wanted = state.queue_records >= state.wanted_records;
        let is_alone = state.queue.len() == 1;
        drop(state);
        if is_segment_wanted {
            self.segment_is_wanted.notify_one();
        }
        Queueing::Queued { is_work_wanted, is_alone }
    }

    /// Room now, or the reason why there will be none.
    fn room(&self, bytes: u64) -> Option<Result<(), AppendError>> {
        let state = self.state.lock();
        if state.room_bytes(&self.config) >= bytes {
            return Some(Ok(()));
        }
        if let Some(cause) = &state.poison {
            return Some(Err(AppendError::Poisoned { cause: Arc::clone(cause) }));
        }
        if state.is_closing {
            return Some(Err(AppendError::Closed));
        }
        let most = u64::try_from(self.config.queue_bytes_max).unwrap_or(u64::MAX);
        if state.plan.room_bytes() >= bytes {
            // There is space on the disk, and the writer makes room in the queue.
            return (bytes > most).then_some(Err(AppendError::Full { bytes }));
        }
        // All segments that are ever prepared ahead are there, and it is still not enough: it never will be.
        let is_hopeless = state.full.is_some()
            || state.plan.prepared_count() >= super::prepare::PREPARED_SEGMENTS;
        is_hopeless.then_some(Err(AppendError::Full { bytes }))
    }
}

impl Log for SegmentedLog {
    fn tail(&self) -> Position {
        self.shared.state.lock().tail
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.shared.durable.clone()
    }

    fn room_bytes(&self) -> u64 {
        self.shared.state.lock().room_bytes(&self.shared.config)
    }

    fn make_room(&self, bytes: u64) -> BoxFuture<'static, Result<(), AppendError>> {
        let shared = Arc::clone(&self.shared);
        async move {
            let mut changed = shared.room_changed.subscribe();
            loop {
                let room = shared.room(bytes);
                if !matches!(room, Some(Ok(()))) {
                    // Also after a refusal: there may be space for whoever asks next.
                    shared.segment_is_wanted.notify_one();
                }
                if let Some(result) = room {
                    return result;
                }
                if changed.changed().await.is_err() {
                    return Err(AppendError::Closed);
                }
            }
        }
        .boxed()
    }

    fn append_then(&self, expected: Position, batch: Batch, then: Then) {
        match self.shared.queue(expected, batch, then) {
            Queueing::Refused(error, then) => then.tell(Err(error)),
            Queueing::Queued { is_work_wanted, .. } => {
                if is_work_wanted {
                    self.shared.work_is_there.notify_one();
                }
            }
        }
    }

    /// Where the log's thread has nothing to do, the caller writes while it sleeps.
    fn append_alone(&self, expected: Position, batch: Batch, then: Then) {
        let is_work_wanted = match self.shared.queue(expected, batch, then) {
            Queueing::Refused(error, then) => return then.tell(Err(error)),
            Queueing::Queued { is_work_wanted, is_alone } => {
                if is_alone
                    && let Some(mut held) = self.writer.try_lock()
                    && let Some(writer) = held.take()
                {
                    *held = writer.write_group();
                    return;
                }
                is_work_wanted
            }
        };
        if is_work_wanted {
            self.shared.work_is_there.notify_one();
        }
    }

    /// Reads where it is called, with blocking positioned reads that are most often served from memory. Never waits
    /// for the writer.
    fn read(
        &self,
        from: Position,
        bytes_max: usize,
    ) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
        let shared = Arc::clone(&self.shared);
        async move { shared.read(from, bytes_max) }.boxed()
    }

    /// Blocks while it removes files; called from a thread that may wait.
    fn trim(&self, before: Position) -> BoxFuture<'static, Result<Position, TrimError>> {
        let shared = Arc::clone(&self.shared);
        async move { shared.trim(before) }.boxed()
    }
}
