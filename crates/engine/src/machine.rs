//! What a domain supplies: `decide` and `apply`.

use lombard_types::{Position, Timestamp};

/// A deterministic state machine: the state is `self`.
///
/// Both functions are pure. They see no clock, no randomness and no hash order, so that replaying the log on any
/// machine gives the same state.
pub trait Machine: Send + 'static {
    /// What a caller asks for. Ids, nonces and secrets' digests are in it, made by the shell.
    type Command: Send + 'static;
    /// What happened. The only thing that is stored.
    type Event: Send + Sync + 'static;
    /// What the caller is told when the command took effect, or had taken effect before.
    type Reply: Send + 'static;
    /// Why the command has no effect: an answer, not an error.
    type Rejection: Send + 'static;

    /// What would happen. `now` is later than at every command before, also across restarts.
    fn decide(
        &self,
        command: Self::Command,
        now: Timestamp,
    ) -> Result<Decided<Self>, Self::Rejection>;

    /// Makes an event part of the state. Cannot fail.
    fn apply(&mut self, event: &Self::Event, at: At);
}

/// The outcome of a machine's command that was not rejected.
pub type Decided<M> =
    Decision<<M as Machine>::Event, <M as Machine>::Reply, <M as Machine>::Command>;

/// The outcome of a command that was not rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<E, R, C> {
    /// These events happen together, as one record.
    Commit {
        /// At least one; none is the same as [`Decision::Answer`].
        events: Vec<E>,
        /// For the caller, once the events are durable.
        reply: R,
    },
    /// These events happen first, as a record of their own; then the command is decided again, at a later time. What
    /// time has brought about is recorded so, before anything is decided on it.
    First {
        /// At least one, and such that the machine does not answer the same for ever.
        events: Vec<E>,
        /// The command, to be decided after them.
        command: C,
    },
    /// Nothing new happens: for example a retry, answered as the first time.
    Answer(R),
}

/// Where and when an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The record that holds the event.
    pub position: Position,
    /// Which event of that record, from 0.
    pub index: u32,
    /// When it was decided.
    pub time: Timestamp,
}
