//! The store on the engine.

use lombard_engine::{At, Decision, Machine};
use lombard_eventstore_core::{
    self as core, Append, AppendReply, Appended, Recorded, Rejection, Store,
};
use lombard_types::Timestamp;

/// The write side: one store, decided by one thread.
#[derive(Debug)]
pub struct EventStoreMachine {
    store: Store,
}

impl EventStoreMachine {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Machine for EventStoreMachine {
    type Command = Append;
    type Event = Appended;
    type Reply = AppendReply;
    type Rejection = Rejection;

    /// No rule of the store depends on the time; the engine records it.
    fn decide(
        &self,
        append: Append,
        _now: Timestamp,
    ) -> Result<Decision<Appended, AppendReply>, Rejection> {
        Ok(match self.store.decide(append)? {
            core::Decision::Commit(appended, reply) => {
                Decision::Commit { events: vec![appended], reply }
            }
            core::Decision::Answer(reply) => Decision::Answer(reply),
        })
    }

    fn apply(&mut self, appended: &Appended, at: At) {
        self.store.apply(appended, Recorded { position: at.position, time: at.time });
    }
}
