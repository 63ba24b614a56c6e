//! Which instances changed lately, for clients that ask for what is new since a moment ago.

use std::collections::{BTreeMap, VecDeque};

use lombard_registry_core::{Event, Instance, InstanceKey, Reason, Services};
use lombard_types::Timestamp;

/// The newest changes of all services together. Where there were more than are kept, those who ask see less, and find by a
/// hash that they do.
#[derive(Debug)]
pub(super) struct Recent {
    changes: VecDeque<Change>,
    count_max: usize,
}

#[derive(Debug)]
struct Change {
    time: Timestamp,
    key: InstanceKey,
    is_new: bool,
    /// As it was, where it went away.
    gone: Option<Box<Instance>>,
}

impl Recent {
    pub(super) const fn new(count_max: usize) -> Self {
        Self { changes: VecDeque::new(), count_max }
    }

    /// `services` are as they were before the event.
    pub(super) fn push(&mut self, event: &Event, services: &Services, time: Timestamp) {
        let gone = match event {
            Event::Deregistered { reason: Reason::Replaced, .. } => return,
            Event::Deregistered { key, .. } => services.instance(key).cloned().map(Box::new),
            _ => None,
        };
        if self.changes.len() >= self.count_max {
            self.changes.pop_front();
        }
        let is_new = matches!(event, Event::Registered { .. });
        self.changes.push_back(Change { time, key: event.key().clone(), is_new, gone });
    }

    /// The instances that changed since then, each once: whether they came last, and what they were where they went.
    pub(super) fn since(
        &self,
        since: Timestamp,
    ) -> impl Iterator<Item = (&InstanceKey, (bool, Option<&Instance>))> {
        let newest = self.changes.iter().rev().take_while(|change| change.time >= since);
        let mut last = BTreeMap::new();
        for Change { key, is_new, gone, .. } in newest {
            last.entry(key).or_insert((*is_new, gone.as_deref()));
        }
        last.into_iter()
    }
}
