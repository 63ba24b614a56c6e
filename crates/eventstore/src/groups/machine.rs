//! The groups on an engine of their own, so that moving cursors does not fill the events' log.

use lombard_engine::{
    At, Decided, Decision, DecodeError, Machine, Snapshot, StateReader, StateWriter,
};
use lombard_eventstore_core::group::{self, Command, Event, Groups, Limits, Rejection, Reply};
use lombard_types::Timestamp;

use super::snapshot;

/// All groups, decided by one thread.
#[derive(Clone, Debug)]
pub(crate) struct GroupMachine {
    pub(crate) groups: Groups,
    limits: Limits,
}

impl GroupMachine {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { groups: Groups::default(), limits }
    }
}

impl Machine for GroupMachine {
    type Command = Command;
    type Event = Event;
    type Reply = Reply;
    type Rejection = Rejection;

    fn decide(&self, command: Command, now: Timestamp) -> Result<Decided<Self>, Rejection> {
        let (events, reply) = group::decide(&self.groups, self.limits, command, now)?;
        Ok(if events.is_empty() {
            Decision::Answer(reply)
        } else {
            Decision::Commit { events, reply }
        })
    }

    fn apply(&mut self, event: &Event, at: At) {
        self.groups.apply(event, at.time);
    }
}

impl Snapshot for GroupMachine {
    /// For ever: the log is trimmed behind snapshots. What changes has a version of its own in `snapshot.rs`.
    const VERSION: u16 = 1;

    fn write_state(&self, state: &mut StateWriter<'_>) {
        snapshot::write(&self.groups, state);
    }

    fn read_state(self, state: &mut StateReader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { groups: snapshot::read(state)?, ..self })
    }
}
