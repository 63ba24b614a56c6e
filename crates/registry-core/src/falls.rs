//! How often an instance has become unable to serve, for damping those that go up and down.

use std::{collections::VecDeque, time::Duration};

use lombard_types::Timestamp;

/// The moments at which an instance became unable to serve; of many the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Falls(VecDeque<Timestamp>);

impl Falls {
    /// So many are remembered.
    pub const COUNT_MAX: usize = 16;

    /// Adds one.
    pub fn push(&mut self, at: Timestamp) {
        if self.0.len() >= Self::COUNT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(at);
    }

    /// How many there were within `window` before `now`.
    pub fn within(&self, window: Duration, now: Timestamp) -> usize {
        self.0.iter().filter(|at| now.since(**at) <= window).count()
    }

    /// The oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Timestamp> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_counted() {
        let mut falls = Falls::default();
        let at = |second: u64| Timestamp::from_unix_nanos(second * 1_000_000_000);
        for second in 0..20 {
            falls.push(at(second));
        }
        assert_eq!(falls.iter().len(), Falls::COUNT_MAX);
        assert_eq!(falls.iter().next(), Some(at(4)));
        assert_eq!(falls.within(Duration::from_secs(3), at(20)), 3);
        assert_eq!(falls.within(Duration::from_secs(3), at(60)), 0);
    }
}
