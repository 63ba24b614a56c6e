//! What callers are told.

use lombard_types::Timestamp;

use super::Receipt;
use crate::EventPosition;

/// The answer to a command that was not rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The group is there; whether it was made now.
    Created {
        /// Made now, not before.
        is_new: bool,
    },
    /// The group is gone.
    Deleted,
    /// The events are in the window.
    Read,
    /// What the consumer gets, which may be nothing.
    Delivered {
        /// The deliveries, in the order of their events.
        deliveries: Vec<Delivery>,
        /// Whether and from where events should be read.
        supply: Supply,
        /// When something changes by itself: a delay or a consumer's time is over.
        next_at: Option<Timestamp>,
    },
    /// What became of each receipt, in the order of the command.
    Settled(Vec<Outcome>),
    /// How many dead letters were moved or given up, or deliveries taken back.
    Moved {
        /// How many.
        count: usize,
        /// How many of them have become dead letters.
        dead: usize,
    },
}

/// One delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What the consumer gives back.
    pub receipt: Receipt,
    /// When it is taken back.
    pub deadline: Timestamp,
}

/// What a group could take in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supply {
    /// The group, among all that have had its name.
    pub epoch: u64,
    /// The first event that was not looked at.
    pub from: EventPosition,
    /// Events that fit into the window.
    pub room: usize,
    /// Events that could be delivered now.
    pub ready: usize,
}

/// What became of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// As it was asked.
    Done,
    /// The event had been settled before: a repetition.
    AlreadySettled,
    /// The consumer's time was over and the event was, or is being, delivered again; or it had been refused.
    Lost,
    /// The event is a dead letter.
    Dead,
    /// No such delivery was made by this group.
    Unknown,
}
