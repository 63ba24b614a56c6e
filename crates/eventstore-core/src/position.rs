//! Where an event stands among all events of the store.

use std::{fmt, str::FromStr};

/// The place of one event among the events of all streams. The first has position 0, each next one more, without gaps.
///
/// Not to be mistaken for [`lombard_types::Position`], which counts records of the log: a record holds one append, and
/// so one or many events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPosition(u64);

impl EventPosition {
    /// The first.
    pub const START: Self = Self(0);

    /// The position with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position `count` further on. Saturates: 2^64 is not reached in practice.
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The one after this.
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// How many steps lead from `earlier` to this; 0 where `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for EventPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for EventPosition {
    type Err = ParseEventPositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('+') {
            return Err(ParseEventPositionError);
        }
        text.parse().map(Self).map_err(|_| ParseEventPositionError)
    }
}

/// A text is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a whole number from 0 to 2^64 - 1")]
pub struct ParseEventPositionError;
