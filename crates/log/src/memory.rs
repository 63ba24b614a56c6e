//! A log in memory, for tests: durable at once, or when the test says so.

use std::{mem, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use lombard_types::Position;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{AppendError, Batch, Log, RECORD_OVERHEAD_BYTES, ReadError, Record, Then, TrimError};

/// A log that forgets everything with its last clone.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    inner: Arc<Mutex<Inner>>,
    durable: watch::Receiver<Position>,
}

#[derive(Debug)]
struct Inner {
    /// How many were trimmed away before them.
    trimmed: u64,
    records: Vec<Bytes>,
    durable: watch::Sender<Position>,
    waiting: Vec<(Position, Then)>,
    is_held: bool,
    room_bytes: u64,
    poison: Option<Arc<str>>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        let (sender, durable) = watch::channel(Position::START);
        let inner = Inner {
            trimmed: 0,
            records: Vec::new(),
            durable: sender,
            waiting: Vec::new(),
            is_held: false,
            room_bytes: u64::MAX,
            poison: None,
        };
        Self { inner: Arc::new(Mutex::new(inner)), durable }
    }

    /// Appends wait from now on, until [`Self::release`].
    pub fn hold(&self) {
        self.inner.lock().is_held = true;
    }

    /// What waits becomes durable, and what follows does so at once.
    pub fn release(&self) {
        let durable = {
            let mut inner = self.inner.lock();
            inner.is_held = false;
            inner.flush()
        };
        tell(durable);
    }

    /// What waits fails, and so does everything that follows.
    pub fn poison(&self, cause: &str) {
        let cause: Arc<str> = cause.into();
        let waiting = {
            let mut inner = self.inner.lock();
            inner.poison = Some(Arc::clone(&cause));
            mem::take(&mut inner.waiting)
        };
        for (_, then) in waiting {
            then.tell(Err(AppendError::Poisoned { cause: Arc::clone(&cause) }));
        }
    }

    /// From now on there is room for this many bytes only.
    pub fn set_room_bytes(&self, room_bytes: u64) {
        self.inner.lock().room_bytes = room_bytes;
    }

    /// What a crash now would leave: a new log with the durable records.
    #[must_use]
    pub fn after_crash(&self) -> Self {
        let inner = self.inner.lock();
        let kept = inner.durable.borrow().since(inner.first());
        let durable = usize::try_from(kept).unwrap_or(usize::MAX);
        let log = Self::new();
        {
            let mut other = log.inner.lock();
            other.trimmed = inner.trimmed;
            other.records = inner.records.iter().take(durable).cloned().collect();
            tell(other.flush());
        }
        log
    }
}

impl Inner {
    fn first(&self) -> Position {
        Position::new(self.trimmed)
    }

    fn tail(&self) -> Position {
        self.first().plus(u64::try_from(self.records.len()).unwrap_or(u64::MAX))
    }

    /// Makes everything durable; answers who has to be told.
    fn flush(&mut self) -> Vec<(Position, Then)> {
        let tail = self.tail();
        self.durable.send_replace(tail);
        mem::take(&mut self.waiting)
    }

    /// The tail that the batch leaves.
    fn append(&mut self, expected: Position, batch: &Batch) -> Result<Position, AppendError> {
        if let Some(cause) = &self.poison {
            return Err(AppendError::Poisoned { cause: Arc::clone(cause) });
        }
        let tail = self.tail();
        if tail != expected {
            return Err(AppendError::Conflict { expected, tail });
        }
        let bytes = batch
            .payloads()
            .map(|payload| {
                u64::try_from(payload.len())
                    .unwrap_or(u64::MAX)
                    .saturating_add(RECORD_OVERHEAD_BYTES)
            })
            .fold(0, u64::saturating_add);
        self.room_bytes = self.room_bytes.checked_sub(bytes).ok_or(AppendError::Full { bytes })?;
        self.records.extend(batch.payloads().map(Bytes::copy_from_slice));
        Ok(self.tail())
    }
}

/// Without the lock: whoever is told may append again.
fn tell(durable: Vec<(Position, Then)>) {
    for (position, then) in durable {
        then.tell(Ok(position));
    }
}

impl Log for MemoryLog {
    fn tail(&self) -> Position {
        self.inner.lock().tail()
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.durable.clone()
    }

    fn room_bytes(&self) -> u64 {
        self.inner.lock().room_bytes
    }

    fn make_room(&self, bytes: u64) -> BoxFuture<'static, Result<(), AppendError>> {
        let has_room = self.room_bytes() >= bytes;
        async move { if has_room { Ok(()) } else { Err(AppendError::Full { bytes }) } }.boxed()
    }

    fn append_then(&self, expected: Position, batch: Batch, then: Then) {
        let mut inner = self.inner.lock();
        let durable = match inner.append(expected, &batch) {
            Err(refused) => {
                drop(inner);
                return then.tell(Err(refused));
            }
            Ok(tail) => {
                inner.waiting.push((tail, then));
                if inner.is_held { Vec::new() } else { inner.flush() }
            }
        };
        drop(inner);
        tell(durable);
    }

    fn read(
        &self,
        from: Position,
        bytes_max: usize,
    ) -> BoxFuture<'static, Result<Vec<Record>, ReadError>> {
        let inner = self.inner.lock();
        let (first, durable) = (inner.first(), *inner.durable.borrow());
        if from < first {
            return async move { Err(ReadError::Trimmed { from, first }) }.boxed();
        }
        let mut bytes = 0usize;
        let records = inner
            .records
            .iter()
            .zip(first.get()..durable.get())
            .skip(usize::try_from(from.since(first)).unwrap_or(usize::MAX))
            .take_while(|(payload, _)| {
                let is_first = bytes == 0;
                bytes = bytes.saturating_add(payload.len()).max(1);
                is_first || bytes <= bytes_max
            })
            .map(|(payload, position)| Record {
                position: Position::new(position),
                payload: payload.clone(),
            })
            .collect();
        async move { Ok(records) }.boxed()
    }

    fn trim(&self, before: Position) -> BoxFuture<'static, Result<Position, TrimError>> {
        let mut inner = self.inner.lock();
        let before = before.min(*inner.durable.borrow());
        let count = before.since(inner.first());
        inner.records.drain(..usize::try_from(count).unwrap_or(usize::MAX));
        inner.trimmed += count;
        let first = inner.first();
        async move { Ok(first) }.boxed()
    }
}
