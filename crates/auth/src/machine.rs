//! The clients on the engine: the write side, and the copy that the token endpoint reads.

use lombard_auth_core::{self as core, Clients, Command, Event, Rejection, Reply};
use lombard_engine::{At, Decision, Machine, View};
use lombard_types::Timestamp;

/// All clients. As a [`Machine`] it decides; as a [`View`] it follows.
#[derive(Debug, Default)]
pub struct AuthMachine {
    pub(crate) clients: Clients,
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
        Ok(match self.clients.decide(command, now)? {
            core::Decision::Commit(events, reply) => Decision::Commit { events, reply },
            core::Decision::Answer(reply) => Decision::Answer(reply),
        })
    }

    fn apply(&mut self, event: &Event, _at: At) {
        self.clients.apply(event);
    }
}

impl View for AuthMachine {
    type Event = Event;

    fn apply(&mut self, event: &Event, _at: At) {
        self.clients.apply(event);
    }
}
