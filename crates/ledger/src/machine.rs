//! The book on the engine.

use lombard_engine::{At, Decision, Machine};
use lombard_ledger_core::{
    self as core, Book, Command, Event, HashSeed, Recorded, Rejection, Reply,
};
use lombard_types::Timestamp;

use crate::{directory::Directory, spent::SpentIndex};

/// The write side: one book, decided by one thread.
#[derive(Debug)]
pub struct LedgerMachine {
    book: Book,
    spent: SpentIndex,
    directory: Directory,
    seed: HashSeed,
}

impl LedgerMachine {
    /// A machine without history.
    pub(crate) fn empty(seed: HashSeed, spent: SpentIndex, directory: Directory) -> Self {
        Self { book: Book::new(seed), spent, directory, seed }
    }

    /// The machine with a book that was made with its seed.
    pub(crate) fn with_book(self, book: Book) -> Self {
        self.directory.learn_book(&book);
        Self { book, ..self }
    }

    pub(crate) fn seed(&self) -> HashSeed {
        self.seed
    }

    /// The state, for linearizable questions.
    pub(crate) fn book(&self) -> &Book {
        &self.book
    }

    /// Which ids are spent.
    pub(crate) fn past(&self) -> &SpentIndex {
        &self.spent
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
    ) -> Result<Decision<Event, Reply, Command>, Rejection> {
        Ok(match self.book.decide(&self.spent, command, now)? {
            core::Decision::Commit(event, reply) => Decision::Commit { events: vec![event], reply },
            core::Decision::Answer(reply) => Decision::Answer(reply),
            core::Decision::First(event, command) => {
                Decision::First { events: vec![event], command }
            }
        })
    }

    fn apply(&mut self, event: &Event, at: At) {
        self.book.apply(event, Recorded { position: at.position, time: at.time });
        self.spent.learn(event, at);
        self.directory.learn(event, at);
    }
}
