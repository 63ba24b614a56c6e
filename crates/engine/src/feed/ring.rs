//! The newest items of a feed, within limits.

use std::{collections::VecDeque, mem};

use lombard_types::Position;

use super::{Fed, FeedItem, FeedLimits, RingUsage};

/// Consecutive items; the last is the one before `end`.
#[derive(Debug)]
pub(super) struct Ring<T> {
    items: VecDeque<Fed<T>>,
    end: Position,
    bytes: usize,
    limits: FeedLimits,
}

impl<T> Ring<T> {
    pub(super) fn new(limits: FeedLimits, end: Position) -> Self {
        Self { items: VecDeque::new(), end, bytes: 0, limits }
    }

    pub(super) fn usage(&self) -> RingUsage {
        RingUsage { records: self.items.len(), bytes: self.bytes }
    }

    /// Whether the item at this position is here.
    pub(super) fn holds(&self, position: Position) -> bool {
        let behind = self.end.since(position);
        behind > 0 && usize::try_from(behind).is_ok_and(|behind| behind <= self.items.len())
    }

    /// Forgets everything; the next item is the one at `end`.
    pub(super) fn skip_to(&mut self, end: Position) {
        self.items = VecDeque::new();
        self.bytes = 0;
        self.end = end;
    }
}

impl<T: FeedItem> Ring<T> {
    /// Adds the item at the end, after the oldest have made room for it. One that is over the limit by itself is not
    /// kept: whoever wants it reads the log.
    pub(super) fn push(&mut self, fed: Fed<T>) {
        debug_assert_eq!(fed.position, self.end, "a feed goes through its log record by record");
        self.end = fed.position.next();
        let bytes = bytes_of(&fed);
        let FeedLimits { ring_bytes_max, ring_records_max } = self.limits;
        while self.items.len() >= ring_records_max
            || self.bytes.saturating_add(bytes) > ring_bytes_max
        {
            let Some(oldest) = self.items.pop_front() else {
                return;
            };
            self.bytes -= bytes_of(&oldest);
        }
        self.bytes += bytes;
        self.items.push_back(fed);
    }

    /// The items from `from` on, at most `records_max`; `None` where the ring does not hold the first of them.
    pub(super) fn take(&self, from: Position, records_max: usize) -> Option<Vec<Fed<T>>> {
        let behind = usize::try_from(self.end.since(from)).unwrap_or(usize::MAX);
        let first = self.items.len().checked_sub(behind)?;
        let taken: Vec<_> = self.items.range(first..).take(records_max).cloned().collect();
        (!taken.is_empty()).then_some(taken)
    }
}

/// What an item takes, with its place in the ring and the two counters of its `Arc`.
fn bytes_of<T: FeedItem>(fed: &Fed<T>) -> usize {
    let beside = mem::size_of::<Fed<T>>() + mem::size_of::<T>() + 2 * mem::size_of::<usize>();
    fed.item.bytes().saturating_add(beside)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lombard_types::Timestamp;
    use proptest::prelude::*;

    use super::*;

    impl FeedItem for Vec<u8> {
        fn bytes(&self) -> usize {
            self.len()
        }
    }

    proptest! {
        /// Against a plain list: the ring is its end, as long as the limits let it be, and never longer.
        #[test]
        fn is_the_end_of_the_list_within_limits(
            sizes in prop::collection::vec(0usize..300, 0..60),
            ring_bytes_max in 0usize..2000,
            ring_records_max in 0usize..10,
            start in 0u64..5,
            records_max in 1usize..8,
        ) {
            let limits = FeedLimits { ring_bytes_max, ring_records_max };
            let mut ring = Ring::new(limits, Position::new(start));
            for (position, size) in (start..).zip(&sizes) {
                let (position, item) = (Position::new(position), Arc::new(vec![0; *size]));
                ring.push(Fed { position, time: Timestamp::EPOCH, item });
                let RingUsage { records, bytes } = ring.usage();
                prop_assert!(records <= ring_records_max && bytes <= ring_bytes_max);
                let counted: usize = ring.items.iter().map(bytes_of).sum();
                prop_assert_eq!(counted, bytes);
            }
            let end = start + sizes.len() as u64;
            let held = ring.usage().records as u64;
            for from in start..end + 2 {
                let taken = ring.take(Position::new(from), records_max);
                let expected: Vec<u64> = (from..end).take(records_max).collect();
                match taken {
                    Some(taken) => {
                        prop_assert!(from + held >= end);
                        let positions: Vec<_> = taken.iter().map(|fed| fed.position.get()).collect();
                        prop_assert_eq!(positions, expected);
                    }
                    None => prop_assert!(from >= end || from + held < end),
                }
            }
        }
    }
}
