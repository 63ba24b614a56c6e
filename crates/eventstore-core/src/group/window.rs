//! The events of a group that were read and are neither settled nor dead, and which of them can be delivered.
//!
//! Events with one key form a *lane*, and only the first of a lane, its head, can be delivered, and only while no other
//! event of the lane is in flight. The heads that wait are `ready`, the heads that are to be tried again are `delayed`;
//! so what can be delivered is found without looking at what cannot.

use std::collections::{BTreeMap, BTreeSet};

use lombard_types::{ConsumerName, Timestamp};

use super::Key;
use crate::EventPosition;

/// What an event of the window does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits for its turn.
    Waiting,
    /// It is tried again at this time.
    Delayed(Timestamp),
    /// A consumer has it, until the deadline.
    InFlight(ConsumerName, Timestamp),
}

/// An event of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Option<Key>,
    /// Attempts so far, with the one that is under way.
    pub(super) attempts: u32,
    /// Attempts that no longer count: those before the event was taken back from the dead letters.
    pub(super) spared: u32,
    pub(super) status: Status,
}

impl Entry {
    /// Attempts that count.
    pub(super) const fn spent(&self) -> u32 {
        self.attempts.saturating_sub(self.spared)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lane {
    members: BTreeSet<EventPosition>,
    in_flight: usize,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    entries: BTreeMap<EventPosition, Entry>,
    lanes: BTreeMap<Key, Lane>,
    ready: BTreeSet<EventPosition>,
    delayed: BTreeSet<(Timestamp, EventPosition)>,
    deadlines: BTreeSet<(Timestamp, EventPosition)>,
    in_flight: BTreeMap<ConsumerName, u32>,
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn first(&self) -> Option<EventPosition> {
        self.entries.keys().next().copied()
    }

    pub(super) fn get(&self, position: EventPosition) -> Option<&Entry> {
        self.entries.get(&position)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (EventPosition, &Entry)> {
        self.entries.iter().map(|(position, entry)| (*position, entry))
    }

    pub(super) fn in_flight_count(&self) -> usize {
        self.deadlines.len()
    }

    pub(super) fn delayed_count(&self) -> usize {
        let is_delayed = |entry: &&Entry| matches!(entry.status, Status::Delayed(_));
        self.entries.values().filter(is_delayed).count()
    }

    /// Consumers that have deliveries, and how many.
    pub(super) const fn consumers(&self) -> &BTreeMap<ConsumerName, u32> {
        &self.in_flight
    }

    /// Up to `count` events that can be delivered at `now`, in their order.
    pub(super) fn deliverable(&self, now: Timestamp, count: usize) -> Vec<EventPosition> {
        let mut due: Vec<EventPosition> = self.due(now).collect();
        due.extend(self.ready.iter().take(count));
        due.sort_unstable();
        due.truncate(count);
        due
    }

    pub(super) fn deliverable_count(&self, now: Timestamp) -> usize {
        self.ready.len() + self.due(now).count()
    }

    fn due(&self, now: Timestamp) -> impl Iterator<Item = EventPosition> {
        self.delayed.iter().take_while(move |(at, _)| *at <= now).map(|(_, position)| *position)
    }

    /// The events whose consumers' time is over at `now`.
    pub(super) fn overdue(&self, now: Timestamp) -> Vec<EventPosition> {
        let is_over = |(deadline, _): &&(Timestamp, EventPosition)| *deadline <= now;
        self.deadlines.iter().take_while(is_over).map(|(_, position)| *position).collect()
    }

    /// When the next delay or consumer's time is over.
    pub(super) fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        let delayed = self.delayed.iter().map(|(at, _)| *at).find(|at| *at > now);
        let deadline = self.deadlines.iter().next().map(|(at, _)| *at);
        delayed.into_iter().chain(deadline).min()
    }

    pub(super) fn insert(&mut self, position: EventPosition, entry: Entry) {
        self.list(position, entry.key, Listing::Off);
        if let Some(key) = entry.key {
            self.lanes.entry(key).or_default().members.insert(position);
        }
        let key = entry.key;
        self.enter(position, &entry);
        self.entries.insert(position, entry);
        self.list(position, key, Listing::On);
    }

    pub(super) fn remove(&mut self, position: EventPosition) -> Option<Entry> {
        let key = self.entries.get(&position)?.key;
        self.list(position, key, Listing::Off);
        let entry = self.entries.remove(&position)?;
        self.leave(position, &entry);
        if let Some(key) = key
            && let Some(lane) = self.lanes.get_mut(&key)
        {
            lane.members.remove(&position);
            if lane.members.is_empty() {
                self.lanes.remove(&key);
            }
        }
        self.list(position, key, Listing::On);
        Some(entry)
    }

    /// Gives an event another status; `attempts` more attempts.
    pub(super) fn change(&mut self, position: EventPosition, status: Status, attempts: u32) {
        let Some(before) = self.entries.get(&position).cloned() else {
            return;
        };
        let key = before.key;
        self.list(position, key, Listing::Off);
        self.leave(position, &before);
        let after = Entry { status, attempts: before.attempts.saturating_add(attempts), ..before };
        self.enter(position, &after);
        self.entries.insert(position, after);
        self.list(position, key, Listing::On);
    }

    /// Counts an event that is in flight.
    fn enter(&mut self, position: EventPosition, entry: &Entry) {
        if let Status::InFlight(consumer, deadline) = &entry.status {
            self.deadlines.insert((*deadline, position));
            *self.in_flight.entry(consumer.clone()).or_default() += 1;
            if let Some(lane) = entry.key.and_then(|key| self.lanes.get_mut(&key)) {
                lane.in_flight += 1;
            }
        }
    }

    /// The opposite.
    fn leave(&mut self, position: EventPosition, entry: &Entry) {
        if let Status::InFlight(consumer, deadline) = &entry.status {
            self.deadlines.remove(&(*deadline, position));
            if let Some(count) = self.in_flight.get_mut(consumer) {
                *count -= 1;
                if *count == 0 {
                    self.in_flight.remove(consumer);
                }
            }
            if let Some(lane) = entry.key.and_then(|key| self.lanes.get_mut(&key)) {
                lane.in_flight -= 1;
            }
        }
    }

    /// Puts what can be delivered of an event's lane on its list, or takes it off.
    fn list(&mut self, position: EventPosition, key: Option<Key>, listing: Listing) {
        let head = match key {
            None => Some(position),
            Some(key) => self
                .lanes
                .get(&key)
                .filter(|lane| lane.in_flight == 0)
                .and_then(|lane| lane.members.first().copied()),
        };
        let Some((head, entry)) = head.and_then(|head| Some((head, self.entries.get(&head)?)))
        else {
            return;
        };
        match (&entry.status, listing) {
            (Status::Waiting, Listing::On) => drop(self.ready.insert(head)),
            (Status::Waiting, Listing::Off) => drop(self.ready.remove(&head)),
            (Status::Delayed(at), Listing::On) => drop(self.delayed.insert((*at, head))),
            (Status::Delayed(at), Listing::Off) => drop(self.delayed.remove(&(*at, head))),
            (Status::InFlight(..), _) => {}
        }
    }
}

#[derive(Clone, Copy)]
enum Listing {
    On,
    Off,
}
