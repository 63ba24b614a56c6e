//! What has changed lately, for those who ask why. The log has all of it; this is what is at hand.

use std::{collections::VecDeque, sync::Arc};

use lombard_registry_core::{Event, Evidence, InstanceKey, Liveness, Recorded};
use lombard_types::{ServiceName, Timestamp};

/// The newest changes of all services together.
#[derive(Debug)]
pub(super) struct History {
    changes: VecDeque<Change>,
    count_max: usize,
}

/// One change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) index: u64,
    pub(super) time: Timestamp,
    pub(super) key: InstanceKey,
    /// What happened: `registered`, `expired`, or what state the instance is in since.
    pub(super) what: &'static str,
    pub(super) note: Box<str>,
    /// Who asked.
    pub(super) by: Option<Arc<Evidence>>,
}

impl History {
    pub(super) const fn new(count_max: usize) -> Self {
        Self { changes: VecDeque::new(), count_max }
    }

    pub(super) fn push(&mut self, event: &Event, recorded: Recorded) {
        let (what, note) = match event {
            Event::Registered { .. } => ("registered", ""),
            Event::Stood { standing, .. } => (standing.state(), standing.note.as_str()),
            Event::Observed { health, note, .. } => (health.name(), note.as_str()),
            Event::LivenessChanged { liveness: Liveness::Confirmed, .. } => ("confirmed", ""),
            Event::LivenessChanged { liveness: Liveness::Unknown(doubt), .. } => {
                ("unknown", doubt.reason())
            }
            Event::LivenessChanged { liveness: Liveness::Lapsed, .. } => {
                ("critical", "the lease has run out")
            }
            Event::DampingChanged { is_damped: true, .. } => ("damped", "it goes up and down"),
            Event::DampingChanged { is_damped: false, .. } => ("released", ""),
            Event::Suspected { note, .. } => ("suspected", note.as_str()),
            Event::Deregistered { reason, .. } => (reason.name(), ""),
        };
        let by = event.evidence().cloned();
        if self.changes.len() >= self.count_max {
            self.changes.pop_front();
        }
        self.changes.push_back(Change {
            index: recorded.index(),
            time: recorded.time,
            key: event.key().clone(),
            what,
            note: note.into(),
            by,
        });
    }

    /// Those of a service, the newest first.
    pub(super) fn of<'a>(&'a self, name: &'a ServiceName) -> impl Iterator<Item = &'a Change> {
        self.changes.iter().rev().filter(move |change| change.key.service == *name)
    }
}
