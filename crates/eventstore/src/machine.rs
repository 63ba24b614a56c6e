//! The store on the engine.

use lombard_engine::{At, Decision, Machine};
use lombard_eventstore_core::{
    self as core, Append, Command, Event, Limits, Rejection, StreamRange,
};
use lombard_types::{Position, Revision, Timestamp};

use crate::{index::EventIndex, schema::Schemas};

/// The write side: one store, decided by one thread. Its state is the index, and the schemas.
#[derive(Debug)]
pub struct EventStoreMachine {
    index: EventIndex,
    schemas: Schemas,
    limits: Limits,
}

/// What the writer answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Where the events of an append stand: one for each stream, in the append's order.
    Appended(Vec<StreamRange>),
    /// An event of the append is in this record already: whether it is a retry, the record tells.
    Recorded(Position, Append),
    /// The revision of the document that was stored.
    Stored(Revision),
}

impl EventStoreMachine {
    pub(crate) const fn new(index: EventIndex, schemas: Schemas, limits: Limits) -> Self {
        Self { index, schemas, limits }
    }
}

impl Machine for EventStoreMachine {
    type Command = Command;
    type Event = Event;
    type Reply = Reply;
    type Rejection = Rejection;

    /// No rule of the store depends on the time; the engine records it.
    fn decide(
        &self,
        command: Command,
        _now: Timestamp,
    ) -> Result<Decision<Event, Reply, Command>, Rejection> {
        Ok(match core::decide(&self.index, self.limits, command)? {
            core::Decision::Commit(event, reply) => {
                let reply = match reply {
                    core::Reply::Appended(ranges) => Reply::Appended(ranges),
                    core::Reply::Stored(revision) => Reply::Stored(revision),
                };
                Decision::Commit { events: vec![event], reply }
            }
            core::Decision::Recorded(record, append) => {
                Decision::Answer(Reply::Recorded(record, append))
            }
        })
    }

    fn apply(&mut self, event: &Event, at: At) {
        if let Event::Stored(stored) = event {
            self.schemas.learn(stored, at.position, at.time);
        }
        self.index.apply(event, at);
    }
}
