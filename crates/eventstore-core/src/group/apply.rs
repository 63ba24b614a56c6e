//! Makes what happened part of the state.

use lombard_types::Timestamp;

use super::{Cause, DeadLetter, Event, Failure, Found, Group, Groups, Next, Status, window::Entry};
use crate::EventPosition;

impl Groups {
    /// Makes an event part of the state; `at` is when it was decided.
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::Created { group, settings, first, created_by } => {
                self.epochs += 1;
                let made =
                    Group::new(settings.clone(), *first, self.epochs, at, created_by.clone());
                self.groups.insert(group.clone(), made);
            }
            Event::Deleted { group } => drop(self.groups.remove(group)),
            Event::Rewound { group, end } => {
                self.epochs += 1;
                let epochs = self.epochs;
                if let Some(group) = self.groups.get_mut(group) {
                    group.rewind(*end, epochs);
                }
            }
            Event::Read { group, .. }
            | Event::Delivered { group, .. }
            | Event::Acked { group, .. }
            | Event::Failed { group, .. }
            | Event::Extended { group, .. }
            | Event::Replayed { group, .. }
            | Event::Discarded { group, .. } => {
                if let Some(group) = self.groups.get_mut(group) {
                    group.apply(event, at);
                }
            }
        }
    }
}

impl Group {
    fn apply(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::Read { to, found, .. } => {
                self.read_to = *to;
                for Found { position, key } in found {
                    let status = Status::Waiting;
                    let entry = Entry { key: *key, attempts: 0, spared: 0, status };
                    self.window.insert(*position, entry);
                }
            }
            Event::Delivered { consumer, deadline, positions, .. } => {
                for position in positions {
                    let attempts = self.window.get(*position).map_or(0, |entry| entry.attempts);
                    self.redelivered += u64::from(attempts > 0);
                    let status = Status::InFlight(consumer.clone(), *deadline);
                    self.window.change(*position, status, 1);
                }
            }
            Event::Acked { positions, .. } => {
                positions.iter().for_each(|position| drop(self.window.remove(*position)));
            }
            Event::Failed { cause, failures, .. } => {
                failures.iter().for_each(|failure| self.fail(failure, cause, at));
            }
            Event::Extended { deadline, positions, .. } => {
                positions.iter().for_each(|position| self.extend(*position, *deadline));
            }
            Event::Replayed { positions, .. } => {
                positions.iter().for_each(|position| self.replay(*position));
            }
            Event::Discarded { positions, .. } => {
                positions.iter().for_each(|position| drop(self.dead.remove(position)));
            }
            // About which groups there are.
            Event::Created { .. } | Event::Deleted { .. } | Event::Rewound { .. } => {}
        }
    }

    fn fail(&mut self, failure: &Failure, cause: &Cause, at: Timestamp) {
        match failure.next {
            // Without a delay it waits as it did before.
            Next::Retry(due) if due <= at => {
                self.window.change(failure.position, Status::Waiting, 0);
            }
            Next::Retry(due) => self.window.change(failure.position, Status::Delayed(due), 0),
            Next::Dead => {
                if let Some(Entry { key, attempts, .. }) = self.window.remove(failure.position) {
                    let letter = DeadLetter { key, attempts, cause: cause.clone(), at };
                    self.dead.insert(failure.position, letter);
                }
            }
        }
    }

    fn extend(&mut self, position: EventPosition, deadline: Timestamp) {
        let status = self.window.get(position).map(|entry| entry.status.clone());
        if let Some(Status::InFlight(consumer, _)) = status {
            self.window.change(position, Status::InFlight(consumer, deadline), 0);
        }
    }

    fn replay(&mut self, position: EventPosition) {
        if let Some(DeadLetter { key, attempts, .. }) = self.dead.remove(&position) {
            let status = Status::Waiting;
            self.window.insert(position, Entry { key, attempts, spared: attempts, status });
        }
    }

    fn rewind(&mut self, end: EventPosition, epoch: u64) {
        self.epoch = epoch;
        self.read_to = self.read_to.min(end);
        self.first = self.first.min(end);
        let gone: Vec<EventPosition> =
            self.window.iter().map(|(position, _)| position).filter(|at| *at >= end).collect();
        gone.into_iter().for_each(|position| drop(self.window.remove(position)));
        self.dead.retain(|position, _| *position < end);
    }
}
