//! The state on the engine: the write side, and the copy that requests read.

use lombard_auth_core::{self as core, Command, Event, Rejection, Reply, State};
use lombard_engine::{At, Decision, Machine, View};
use lombard_types::Timestamp;

/// All that the authorization server knows. As a [`Machine`] it decides; as a [`View`] it follows.
#[derive(Debug, Default)]
pub struct AuthMachine {
    pub(crate) state: State,
}

impl Machine for AuthMachine {
    type Command = Command;
    type Event = Event;
    type Reply = Reply;
    type Rejection = Rejection;

    fn decide(
        &self,
        command: Command,
        now: Timestamp,
    ) -> Result<Decision<Event, Reply, Command>, Rejection> {
        Ok(match self.state.decide(command, now)? {
            core::Decision::Commit(events, reply) => Decision::Commit { events, reply },
            core::Decision::Answer(reply) => Decision::Answer(reply),
        })
    }

    fn apply(&mut self, event: &Event, at: At) {
        self.state.apply(event, at.time);
    }
}

impl View for AuthMachine {
    type Event = Event;

    fn apply(&mut self, event: &Event, at: At) {
        self.state.apply(event, at.time);
    }
}
