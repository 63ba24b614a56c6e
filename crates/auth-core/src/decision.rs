//! What a command leads to.

/// A command's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<E, R> {
    /// The events happen, together.
    Commit(Vec<E>, R),
    /// Nothing new happens.
    Answer(R),
}

impl<E, R> Decision<E, R> {
    /// The same decision in the terms of whoever asked.
    pub(crate) fn into_terms<F: From<E>, S: From<R>>(self) -> Decision<F, S> {
        match self {
            Self::Commit(events, reply) => {
                Decision::Commit(events.into_iter().map(F::from).collect(), S::from(reply))
            }
            Self::Answer(reply) => Decision::Answer(S::from(reply)),
        }
    }
}
