//! A log whose work is done by whoever holds it.

use std::fmt;

use super::{
    prepare::{PREPARED_SEGMENTS, Preparer},
    write::Writer,
};

/// The work of a log without threads of its own ([`SegmentedLog::unthreaded`](super::SegmentedLog::unthreaded)): it is done
/// when it is asked for, so that a simulation decides in which order everything happens.
pub struct Steps {
    /// None after a write that failed.
    pub(super) writer: Option<Writer>,
    pub(super) preparer: Preparer,
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps").field("is_writing", &self.writer.is_some()).finish_non_exhaustive()
    }
}

impl Steps {
    /// Writes, syncs and answers what is queued, as one group. Whether there was something, and it was written.
    pub fn write(&mut self) -> bool {
        let is_work_there = !self.preparer.shared.state.lock().queue.is_empty();
        if is_work_there {
            self.writer = self.writer.take().and_then(Writer::write_group);
        }
        is_work_there && self.writer.is_some()
    }

    /// Prepares a segment where one is wanted. Whether one was prepared.
    pub fn prepare(&mut self) -> bool {
        let prepared = || self.preparer.shared.state.lock().plan.prepared_count();
        let before = prepared();
        if before >= PREPARED_SEGMENTS || self.writer.is_none() {
            return false;
        }
        self.preparer.prepare();
        self.preparer.shared.state.lock().plan.prepared_count() > before
    }
}
