//! What happened to groups: the only thing that is stored.

use lombard_types::{ClientId, ConsumerName, GroupName, Timestamp};

use super::Settings;
use crate::EventPosition;

/// What a command led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A group was made.
    Created {
        /// Its name.
        group: GroupName,
        /// How it delivers.
        settings: Settings,
        /// The first event that it looks at.
        first: EventPosition,
        /// Who asked.
        created_by: ClientId,
    },
    /// A group was forgotten.
    Deleted {
        /// Its name.
        group: GroupName,
    },
    /// Events came into the window.
    Read {
        /// The group.
        group: GroupName,
        /// Up to here, not with it, everything was looked at.
        to: EventPosition,
        /// What is to be delivered.
        found: Vec<Found>,
    },
    /// A consumer got events; each makes one more attempt.
    Delivered {
        /// The group.
        group: GroupName,
        /// Who got them.
        consumer: ConsumerName,
        /// When they are taken back.
        deadline: Timestamp,
        /// Which.
        positions: Vec<EventPosition>,
    },
    /// Events were processed.
    Acked {
        /// The group.
        group: GroupName,
        /// Which.
        positions: Vec<EventPosition>,
    },
    /// Attempts failed.
    Failed {
        /// The group.
        group: GroupName,
        /// Why.
        cause: Cause,
        /// Of which events, and what becomes of them.
        failures: Vec<Failure>,
    },
    /// A consumer got more time.
    Extended {
        /// The group.
        group: GroupName,
        /// When they are taken back now.
        deadline: Timestamp,
        /// Which.
        positions: Vec<EventPosition>,
    },
    /// Dead letters wait again.
    Replayed {
        /// The group.
        group: GroupName,
        /// Which.
        positions: Vec<EventPosition>,
    },
    /// Dead letters were given up.
    Discarded {
        /// The group.
        group: GroupName,
        /// Which.
        positions: Vec<EventPosition>,
    },
    /// Everything from a position on is as if it had never been read.
    Rewound {
        /// The group.
        group: GroupName,
        /// The position.
        end: EventPosition,
    },
}

/// An event that is to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it stands.
    pub position: EventPosition,
    /// What it is delivered in order with.
    pub key: Option<Key>,
}

/// What events have in common that are delivered one after the other: a digest of the stream, tag or attribute. Should two
/// of them have one digest, events wait for each other that need not; none is out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The consumer's time was over.
    TimedOut,
    /// The consumer said so, and why.
    Refused(Box<str>),
}

/// A failed attempt at an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The event.
    pub position: EventPosition,
    /// What becomes of it.
    pub next: Next,
}

/// What becomes of an event after an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is tried again at this time, or later.
    Retry(Timestamp),
    /// It is a dead letter.
    Dead,
}
