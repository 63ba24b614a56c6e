//! What is registered, on the engine.

use lombard_engine::{At, Decision, Machine};
use lombard_registry_core::{
    self as core, Command, Event, Limits, Recorded, Rejection, Reply, Services,
};
use lombard_types::Timestamp;

/// The write side: all registrations, decided by one thread.
#[derive(Debug)]
pub struct RegistryMachine {
    services: Services,
    limits: Limits,
}

impl RegistryMachine {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { services: Services::default(), limits }
    }

    /// The state.
    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    /// This machine with another state.
    pub(crate) fn with_services(self, services: Services) -> Self {
        Self { services, ..self }
    }
}

impl Machine for RegistryMachine {
    type Command = Command;
    type Event = Event;
    type Reply = Reply;
    type Rejection = Rejection;

    fn decide(
        &self,
        command: Command,
        now: Timestamp,
    ) -> Result<Decision<Event, Reply, Command>, Rejection> {
        Ok(match self.services.decide(command, self.limits, now)? {
            core::Decision::Commit(events, reply) => Decision::Commit { events, reply },
            core::Decision::Answer(reply) => Decision::Answer(reply),
        })
    }

    fn apply(&mut self, event: &Event, at: At) {
        self.services.apply(event, Recorded { position: at.position, time: at.time });
    }
}
