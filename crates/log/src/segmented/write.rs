//! The writer: everything that is queued goes into one write and one sync.

use std::{io, mem, sync::Arc, time::Instant};

use lombard_types::Position;
use tokio::sync::watch;

use super::{
    index::{Place, SPARSE_EVERY_BYTES},
    layout::{SEGMENT_HEADER_BYTES, SegmentHeader, encode_record, framed_bytes},
    log::{Prepared, Queued, Shared, SharedWriter, queued_bytes},
};
use crate::{AppendError, Batch, Then, disk::SharedFile};

/// Bytes taken from the queue for one sync: what a reader of the answers waits for at most.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// The buffer is given back to the system when a group made it larger than this.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// The segment that is being filled.
pub(super) struct Current {
    pub(super) number: u64,
    pub(super) file: SharedFile,
    pub(super) bytes: usize,
    pub(super) offset: usize,
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) durable: watch::Sender<Position>,
    pub(super) current: Current,
    /// The position of the next record to be written.
    pub(super) next: Position,
    buffer: Vec<u8>,
    /// Some of the places that are in the buffer, for the index.
    places: Vec<Place>,
}

/// The log's thread: writes until the log is closed and everything is written, or a write failed.
pub(super) fn run(shared: &Shared, writer: &SharedWriter) {
    while shared.wait_for_work() {
        let mut held = writer.lock();
        let Some(writer) = held.take() else { return };
        *held = writer.write_group();
    }
}

impl Shared {
    /// Whether there is something to write; not when the log is closing and everything is written.
    fn wait_for_work(&self) -> bool {
        let mut state = self.state.lock();
        let queued = state.queue_records;
        if let Some(wait) = state.gather.wait(queued) {
            let until = Instant::now() + wait.at_most;
            state.wanted_records = wait.records;
            while state.queue_records < wait.records && !state.is_closing {
                if self.work_is_there.wait_until(&mut state, until).timed_out() {
                    break;
                }
            }
            state.wanted_records = 0;
            let queued = state.queue_records;
            state.gather.waited(wait, queued);
        }
        while state.queue.is_empty() {
            if state.is_closing {
                return false;
            }
            self.work_is_there.wait(&mut state);
        }
        true
    }
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        durable: watch::Sender<Position>,
        current: Current,
        next: Position,
    ) -> Self {
        Self { shared, durable, current, next, buffer: Vec::new(), places: Vec::new() }
    }

    /// Writes what is queued, syncs it and answers. The writer ends with the first failure.
    pub(super) fn write_group(mut self) -> Option<Self> {
        let group = self.take_group();
        if group.is_empty() {
            // Another thread has written it.
            return Some(self);
        }
        let (first, started) = (self.next, Instant::now());
        let (batches, told) = self.split(group);
        let mut buffer = mem::take(&mut self.buffer);
        if let Err(error) = self.write(&batches, &mut buffer) {
            self.poison(&error, told);
            return None;
        }
        let took = started.elapsed();
        let records = usize::try_from(self.next.since(first)).unwrap_or(usize::MAX);
        self.shared.state.lock().gather.written(records, took);
        // Who is answered may read at once; those who follow the log are woken after the answers.
        let durable = self.next;
        self.durable.send_if_modified(|position| {
            *position = durable;
            false
        });
        for (tail, then) in told {
            then.tell(Ok(tail));
        }
        self.durable.send_modify(|_| {});
        buffer.clear();
        buffer.shrink_to(BUFFER_BYTES_KEPT);
        self.buffer = buffer;
        Some(self)
    }

    fn take_group(&self) -> Vec<Queued> {
        let mut state = self.shared.state.lock();
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(queued) = state.queue.pop_front() {
            bytes += queued_bytes(queued.batch.len(), queued.batch.payload_bytes());
            group.push(queued);
            if bytes >= GROUP_BYTES_MAX {
                break;
            }
        }
        state.queue_bytes = state.queue_bytes.saturating_sub(bytes);
        let records: usize = group.iter().map(|queued| queued.batch.len()).sum();
        state.queue_records = state.queue_records.saturating_sub(records);
        drop(state);
        self.shared.room_changed.send_replace(());
        group
    }

    /// Batches, and whom to tell of which tail once they are durable.
    fn split(&self, group: Vec<Queued>) -> (Vec<Batch>, Vec<(Position, Then)>) {
        let mut tail = self.next;
        group
            .into_iter()
            .map(|Queued { batch, then }| {
                tail = tail.plus(u64::try_from(batch.len()).unwrap_or(u64::MAX));
                (batch, (tail, then))
            })
            .unzip()
    }

    fn write(&mut self, batches: &[Batch], buffer: &mut Vec<u8>) -> io::Result<()> {
        let mut synced = self.next;
        for batch in batches {
            for payload in batch.payloads() {
                if self.current.offset + buffer.len() + framed_bytes(payload.len())
                    > self.current.bytes
                {
                    self.flush(buffer)?;
                    synced = self.next;
                    self.begin_segment(buffer)?;
                }
                let place = Place {
                    position: self.next,
                    offset: to_u64(self.current.offset + buffer.len()),
                };
                let is_far = |last: &Place| place.offset >= last.offset + SPARSE_EVERY_BYTES;
                if self.places.last().is_none_or(is_far) {
                    self.places.push(place);
                }
                encode_record(self.next, synced, payload, buffer);
                self.next = self.next.next();
            }
        }
        self.flush(buffer)
    }

    /// Writes the buffer where the last write ended, and syncs.
    fn flush(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        self.current.file.write_all_at(buffer, to_u64(self.current.offset))?;
        self.current.file.sync_data()?;
        self.current.offset += buffer.len();
        let end = to_u64(self.current.offset);
        self.shared.index.write().extend(self.current.number, &self.places, end);
        self.places.clear();
        buffer.clear();
        Ok(())
    }

    /// Goes on to the next prepared segment; its header is written together with its first records.
    fn begin_segment(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let prepared = self.shared.state.lock().prepared.pop_front();
        // Room was taken for this record when it was queued, so the segment is there.
        let Prepared { number, bytes, file } = prepared
            .ok_or_else(|| io::Error::other("no segment is prepared although one was planned"))?;
        let header =
            SegmentHeader { number, first_position: self.next, log_id: self.shared.log_id };
        buffer.extend_from_slice(&header.encode());
        debug_assert_eq!(buffer.len(), SEGMENT_HEADER_BYTES);
        self.shared.index.write().add_segment(number, self.next, SharedFile::clone(&file));
        self.current = Current { number, file, bytes, offset: 0 };
        Ok(())
    }

    /// Stops for good: what was written since the last sync may or may not be there.
    fn poison(self, error: &io::Error, told: Vec<(Position, Then)>) {
        let cause: Arc<str> = error.to_string().into();
        tracing::error!(log = %self.shared.directory.display(), %error, "a write failed: the log takes no more");
        let queued = {
            let mut state = self.shared.state.lock();
            state.poison = Some(Arc::clone(&cause));
            mem::take(&mut state.queue)
        };
        let waiting = told.into_iter().map(|(_, then)| then);
        for then in waiting.chain(queued.into_iter().map(|queued| queued.then)) {
            then.tell(Err(AppendError::Poisoned { cause: Arc::clone(&cause) }));
        }
        self.shared.room_changed.send_replace(());
    }
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
