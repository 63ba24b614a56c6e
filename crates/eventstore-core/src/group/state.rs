//! What the groups have come to.

use std::collections::BTreeMap;

use lombard_types::{ClientId, ConsumerName, GroupName, Timestamp};

use super::{
    Cause, Key, Settings, Status, Supply,
    window::{Entry, Window},
};
use crate::EventPosition;

/// All groups of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    pub(super) groups: BTreeMap<GroupName, Group>,
    /// How many groups there have been, and how often one was rewound.
    pub(super) epochs: u64,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub(super) settings: Settings,
    pub(super) first: EventPosition,
    pub(super) created_at: Timestamp,
    pub(super) created_by: ClientId,
    pub(super) epoch: u64,
    pub(super) read_to: EventPosition,
    pub(super) window: Window,
    pub(super) dead: BTreeMap<EventPosition, DeadLetter>,
    /// Attempts beyond the first of an event.
    pub(super) redelivered: u64,
}

/// An event that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What it was delivered in order with.
    pub key: Option<Key>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub cause: Cause,
    /// When.
    pub at: Timestamp,
}

/// A consumer that has deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: ConsumerName,
    /// How many.
    pub in_flight: u32,
}

/// An event that was read and is neither settled nor dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Where it stands.
    pub position: EventPosition,
    /// What it is delivered in order with.
    pub key: Option<Key>,
    /// Attempts so far.
    pub attempts: u32,
    /// Those of them that no longer count.
    pub spared: u32,
    /// What it does.
    pub status: Status,
}

impl Groups {
    /// The group of this name.
    pub fn get(&self, group: &GroupName) -> Option<&Group> {
        self.groups.get(group)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupName, &Group)> {
        self.groups.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// How many groups there have been, and how often one was rewound: what [`Group::epoch`] counts.
    pub const fn epochs(&self) -> u64 {
        self.epochs
    }

    /// Groups as they were written down.
    pub fn restore(epochs: u64, groups: impl IntoIterator<Item = (GroupName, Group)>) -> Self {
        Self { groups: groups.into_iter().collect(), epochs }
    }
}

impl Group {
    /// How it delivers.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The first event that it looked at.
    pub const fn first(&self) -> EventPosition {
        self.first
    }

    /// When it was made.
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// Who made it.
    pub const fn created_by(&self) -> &ClientId {
        &self.created_by
    }

    /// Which of all groups that have had its name.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The cursor: every event before it that the filter lets through is settled, or a dead letter.
    pub fn cursor(&self) -> EventPosition {
        self.window.first().unwrap_or(self.read_to)
    }

    /// The first event that was not looked at.
    pub const fn read_to(&self) -> EventPosition {
        self.read_to
    }

    /// Events that were read and are neither settled nor dead.
    pub fn outstanding(&self) -> usize {
        self.window.len()
    }

    /// Events that consumers have.
    pub fn in_flight(&self) -> usize {
        self.window.in_flight_count()
    }

    /// Events that are to be tried again later.
    pub fn delayed(&self) -> usize {
        self.window.delayed_count()
    }

    /// Attempts beyond the first of an event, since the group was made.
    pub const fn redelivered(&self) -> u64 {
        self.redelivered
    }

    /// The consumers that have deliveries.
    pub fn consumers(&self) -> impl Iterator<Item = Consumer> {
        let consumers = self.window.consumers().iter();
        consumers.map(|(name, in_flight)| Consumer { name: name.clone(), in_flight: *in_flight })
    }

    /// The events that were given up, by position.
    pub const fn dead_letters(&self) -> &BTreeMap<EventPosition, DeadLetter> {
        &self.dead
    }

    /// The events of the window, by position.
    pub fn tracked(&self) -> impl Iterator<Item = Tracked> {
        self.window.iter().map(|(position, entry)| Tracked {
            position,
            key: entry.key,
            attempts: entry.attempts,
            spared: entry.spared,
            status: entry.status.clone(),
        })
    }

    /// Whether a consumer's time is over.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        !self.window.overdue(now).is_empty()
    }

    /// What it could take in, where its window holds `window_max` events.
    pub fn supply(&self, now: Timestamp, window_max: usize) -> Supply {
        Supply {
            epoch: self.epoch,
            from: self.read_to,
            room: window_max.saturating_sub(self.window.len()),
            ready: self.window.deliverable_count(now),
        }
    }

    /// A new group.
    pub fn new(
        settings: Settings,
        first: EventPosition,
        epoch: u64,
        created_at: Timestamp,
        created_by: ClientId,
    ) -> Self {
        Self {
            settings,
            first,
            created_at,
            created_by,
            epoch,
            read_to: first,
            window: Window::default(),
            dead: BTreeMap::new(),
            redelivered: 0,
        }
    }

    /// A group as it was written down: what is in its window, what it gave up, and how far it had read.
    #[must_use]
    pub fn restore(
        mut self,
        read_to: EventPosition,
        redelivered: u64,
        tracked: impl IntoIterator<Item = Tracked>,
        dead: impl IntoIterator<Item = (EventPosition, DeadLetter)>,
    ) -> Self {
        self.read_to = read_to;
        self.redelivered = redelivered;
        for Tracked { position, key, attempts, spared, status } in tracked {
            self.window.insert(position, Entry { key, attempts, spared, status });
        }
        self.dead = dead.into_iter().collect();
        self
    }
}
