//! Where the next records go, decided when they are queued: so that room is certain before anything is written.

use std::collections::VecDeque;

use super::layout::{SEGMENT_HEADER_BYTES, framed_bytes};
use crate::{AppendError, Batch};

/// Space that is prepared and not yet given to a record.
#[derive(Debug)]
pub(super) struct Plan {
    /// Left in the segment that is being filled.
    rest_bytes: usize,
    /// Sizes of the prepared segments behind it.
    prepared: VecDeque<usize>,
    /// Most that one record may take, framed: what can be left unused at the end of a segment.
    framed_bytes_max: usize,
}

impl Plan {
    pub(super) fn new(rest_bytes: usize, record_bytes_max: usize) -> Self {
        Self {
            rest_bytes,
            prepared: VecDeque::new(),
            framed_bytes_max: framed_bytes(record_bytes_max),
        }
    }

    pub(super) fn add_segment(&mut self, segment_bytes: usize) {
        self.prepared.push_back(segment_bytes - SEGMENT_HEADER_BYTES);
    }

    pub(super) fn prepared_count(&self) -> usize {
        self.prepared.len()
    }

    /// Room for any records of at most the limit each, whatever their sizes.
    pub(super) fn room_bytes(&self) -> u64 {
        let usable = |bytes: usize| bytes.saturating_sub(self.framed_bytes_max);
        let last = self.prepared.back().copied().unwrap_or(self.rest_bytes);
        // Each segment but the last may lose up to one record's space at its end.
        let before: usize = match self.prepared.len() {
            0 => 0,
            count => {
                usable(self.rest_bytes)
                    + self
                        .prepared
                        .iter()
                        .take(count - 1)
                        .map(|&bytes| usable(bytes))
                        .sum::<usize>()
            }
        };
        u64::try_from(before.saturating_add(last)).unwrap_or(u64::MAX)
    }

    /// Takes the space for a batch, or nothing at all.
    pub(super) fn take(&mut self, batch: &Batch) -> Result<(), AppendError> {
        let mut rest_bytes = self.rest_bytes;
        let mut used = 0;
        for payload in batch.payloads() {
            let framed = framed_bytes(payload.len());
            if framed > self.framed_bytes_max {
                let to_u64 = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
                return Err(AppendError::TooLarge {
                    bytes: to_u64(payload.len()),
                    bytes_max: to_u64(self.framed_bytes_max),
                });
            }
            while framed > rest_bytes {
                rest_bytes = *self.prepared.get(used).ok_or_else(|| AppendError::Full {
                    bytes: u64::try_from(batch.payload_bytes()).unwrap_or(u64::MAX),
                })?;
                used += 1;
            }
            rest_bytes -= framed;
        }
        self.rest_bytes = rest_bytes;
        self.prepared.drain(..used);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What `room_bytes` promises is kept, whatever the sizes of the records.
        #[test]
        fn promised_room_is_there(
            rest in 0usize..5000,
            segments in prop::collection::vec(2000usize..6000, 0..4),
            sizes in prop::collection::vec(0usize..=500, 1..200),
        ) {
            let mut plan = Plan::new(rest, 500);
            for segment in segments {
                plan.add_segment(segment);
            }
            for size in sizes {
                let mut batch = Batch::new();
                batch.push(&vec![0; size]);
                let needed = size as u64 + crate::RECORD_OVERHEAD_BYTES;
                let was_promised = plan.room_bytes() >= needed;
                let was_there = plan.take(&batch).is_ok();
                prop_assert!(was_there || !was_promised, "{plan:?} {size}");
            }
        }
    }
}
