//! What deciding needs to know of the past.

use lombard_types::{EventId, Position, Revision, StreamName};

use crate::{Criterion, DocumentKey, EventPosition};

/// What has happened, as far as a decision depends on it. Kept by the shell, which may have more of it than fits in
/// memory; [`crate::MemoryPast`] is the plain definition.
pub trait Past {
    /// The position that the next event gets, which is also how many there are.
    fn next_position(&self) -> EventPosition;

    /// The record that holds the event with this id.
    fn record_of(&self, id: EventId) -> Result<Option<Position>, Unreadable>;

    /// The revision of a stream's last event; `None` where it does not exist.
    fn last_revision(&self, stream: &StreamName) -> Result<Option<Revision>, Unreadable>;

    /// Where an event stands that meets the criterion, at `from` or later; any of them.
    fn find(
        &self,
        criterion: &Criterion,
        from: EventPosition,
    ) -> Result<Option<EventPosition>, Unreadable>;

    /// The revision of a document; `None` where it was never stored.
    fn document(&self, key: &DocumentKey) -> Result<Option<Revision>, Unreadable>;
}

/// The past cannot be looked at. Nothing is decided on a guess.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// What is stored of it does not give an answer.
    #[error("the index of the store cannot be read: {cause}")]
    Storage {
        /// What went wrong.
        cause: Box<str>,
    },
    /// The answer takes more steps than one decision may.
    #[error(
        "a condition on several tags that are seldom together takes over {steps_max} steps to check"
    )]
    TooCostly {
        /// The limit.
        steps_max: usize,
    },
}
