//! What is fixed when a group is made.

use std::time::Duration;

use crate::{EventPosition, Query};

/// How a group delivers. Two groups of one name with other settings are told apart; there is no way to change them, since
/// another filter or key would leave events behind that were never looked at, or break their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which events.
    pub filter: Filter,
    /// Where the group begins, as it was asked for.
    pub start: Start,
    /// Which events are delivered one after the other.
    pub order: Order,
    /// Attempts of one event before it becomes a dead letter; at least 1.
    pub attempts_max: u32,
    /// How long an event waits after an attempt that failed.
    pub backoff: Backoff,
    /// How long a consumer may take, unless it asks for more time.
    pub visibility: Duration,
    /// Events that all consumers together may have.
    pub in_flight_max: u32,
    /// Events that one consumer may have.
    pub consumer_in_flight_max: u32,
}

/// Events of some streams, types and tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of streams whose name begins so.
    pub stream_prefix: Option<Box<str>>,
    /// That meet one of these; `None`: any.
    pub query: Option<Query>,
}

/// Where a group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first event.
    Beginning,
    /// With what happens after the group was made.
    End,
    /// After this event.
    After(EventPosition),
}

/// What events have in common that are delivered one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Their stream.
    Stream,
    /// Their first tag that begins with this and a colon: `customer` means `customer:7`. Without one, their stream.
    Tag(Box<str>),
    /// A CloudEvents attribute. Without it, their stream.
    Attribute(Box<str>),
    /// Nothing: every event is on its own.
    Unordered,
}

/// Delays that double from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failed attempt.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Backoff {
    /// The delay after attempt `attempt`, counted from 1.
    pub fn after(self, attempt: u32) -> Duration {
        let factor = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_most() {
        let backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };
        let delays =
            [1, 2, 3, 4, 5, 40, u32::MAX].map(|attempt| backoff.after(attempt).as_millis());
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000, 1000]);
    }
}
