//! The book on the engine.

use lombard_engine::{At, Decision, Machine};
use lombard_ledger_core::{
    self as core, Book, Command, Event, HashSeed, Recorded, Rejection, Reply,
};
use lombard_types::Timestamp;

/// The write side: one book, decided by one thread.
#[derive(Debug)]
pub struct LedgerMachine {
    book: Book,
    seed: HashSeed,
}

impl LedgerMachine {
    /// A machine without history.
    pub(crate) fn empty(seed: HashSeed) -> Self {
        Self::new(Book::new(seed), seed)
    }

    /// A machine with a book that was made with this seed.
    pub(crate) fn new(book: Book, seed: HashSeed) -> Self {
        Self { book, seed }
    }

    pub(crate) fn seed(&self) -> HashSeed {
        self.seed
    }

    /// The state, for linearizable questions.
    pub(crate) fn book(&self) -> &Book {
        &self.book
    }
}

impl Machine for LedgerMachine {
    type Command = Command;
    type Event = Event;
    type Reply = Reply;
    type Rejection = Rejection;

    fn decide(
        &self,
        command: Command,
        now: Timestamp,
    ) -> Result<Decision<Event, Reply>, Rejection> {
        Ok(match self.book.decide(command, now)? {
            core::Decision::Commit(event, reply) => Decision::Commit { events: vec![event], reply },
            core::Decision::Answer(reply) => Decision::Answer(reply),
        })
    }

    fn apply(&mut self, event: &Event, at: At) {
        self.book.apply(event, Recorded { position: at.position, time: at.time });
    }
}
