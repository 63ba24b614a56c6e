//! What happens after an append.

use std::fmt;

use lombard_types::Position;

use crate::AppendError;

type Outcome = Result<Position, AppendError>;

/// Is told the outcome of an append, on whatever thread knows it first: so it must be quick, and must not wait for
/// anything. An append that nobody can answer any more is closed; nobody is left untold.
pub struct Then(Option<Box<dyn FnOnce(Outcome) + Send>>);

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then").finish_non_exhaustive()
    }
}

impl Then {
    /// Tells `told`.
    pub fn new(told: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self(Some(Box::new(told)))
    }

    /// Tells the outcome.
    pub fn tell(mut self, outcome: Outcome) {
        if let Some(told) = self.0.take() {
            told(outcome);
        }
    }
}

impl Drop for Then {
    fn drop(&mut self) {
        if let Some(told) = self.0.take() {
            told(Err(AppendError::Closed));
        }
    }
}
