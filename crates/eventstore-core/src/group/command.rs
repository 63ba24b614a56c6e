//! What a group is asked to do.

use std::time::Duration;

use lombard_types::{ClientId, ConsumerName, GroupName};

use super::{Found, Settings};
use crate::EventPosition;

/// What the groups are asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a group; the same again changes nothing.
    Create(Create),
    /// Forget a group and all that it knows.
    Delete(GroupName),
    /// Take events into the window.
    Read(Read),
    /// Give events to a consumer.
    Deliver(Deliver),
    /// These were processed.
    Ack {
        /// The group.
        group: GroupName,
        /// What was delivered.
        receipts: Vec<Receipt>,
    },
    /// These were not.
    Nack(Nack),
    /// These need more time, from now on.
    Extend {
        /// The group.
        group: GroupName,
        /// What was delivered.
        receipts: Vec<Receipt>,
        /// How much.
        visibility: Duration,
    },
    /// Take back what consumers have had for too long.
    Expire(GroupName),
    /// Try dead letters again, as if for the first time.
    Replay {
        /// The group.
        group: GroupName,
        /// Which of them.
        which: Which,
    },
    /// Settle dead letters as they are.
    Discard {
        /// The group.
        group: GroupName,
        /// Which of them.
        which: Which,
    },
    /// The store has fewer events than groups have read: it was restored from an older copy, or cut off. What comes in
    /// place of the lost ones must be read.
    Rewind {
        /// Where the next event will stand.
        end: EventPosition,
    },
}

/// Makes a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// Its name.
    pub group: GroupName,
    /// How it delivers.
    pub settings: Settings,
    /// Where it begins: what `settings.start` means now.
    pub first: EventPosition,
    /// Who asked.
    pub created_by: ClientId,
}

/// Takes events into a group's window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The group.
    pub group: GroupName,
    /// Where the group had read to, as [`super::Supply`] said.
    pub from: EventPosition,
    /// The group, should its name have been given to another meanwhile.
    pub epoch: u64,
    /// Up to here, not with it, everything was looked at.
    pub to: EventPosition,
    /// What the group's filter lets through of it, in order.
    pub found: Vec<Found>,
}

/// Gives events to a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// The group.
    pub group: GroupName,
    /// Who takes them.
    pub consumer: ConsumerName,
    /// At most so many.
    pub count: u32,
    /// So many may this consumer have in all, if that is less than the group allows.
    pub credits: Option<u32>,
    /// How long it may take, if not as the group says.
    pub visibility: Option<Duration>,
}

/// Events that were not processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nack {
    /// The group.
    pub group: GroupName,
    /// What was delivered.
    pub receipts: Vec<Receipt>,
    /// When to try again, if not as the group's backoff says.
    pub delay: Option<Duration>,
    /// Trying again is pointless.
    pub is_dead: bool,
    /// Why, for whoever looks at dead letters.
    pub reason: Box<str>,
}

/// Names one delivery: which event, and which attempt at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receipt {
    /// The group that made it, among all that have had its name.
    pub epoch: u64,
    /// The event.
    pub position: EventPosition,
    /// The attempt, counted from 1.
    pub attempt: u32,
}

/// Some dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All there are.
    All,
    /// Those of these events.
    These(Vec<EventPosition>),
}
