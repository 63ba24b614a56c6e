//! The read side's problems: the only place that names their status codes.

use std::{fmt::Display, time::Duration};

use lombard_chassis::{Problem, ProblemType, problems};
use lombard_engine::Lagging;

use crate::TooMany;

/// No account has the id, or the caller may not know of it.
pub const ACCOUNT_NOT_FOUND: ProblemType =
    ProblemType::new(404, "account-not-found", "Account not found");
/// The answer is not kept ready, and making it takes more than the configuration allows.
pub const TOO_MUCH_TO_EXAMINE: ProblemType =
    ProblemType::new(422, "too-much-to-examine", "Too much to examine");

pub(crate) fn too_many(error: TooMany) -> Problem {
    Problem::new(&TOO_MUCH_TO_EXAMINE)
        .detail(error.to_string())
        .with("examined_max", u64::try_from(error.examined_max).unwrap_or(u64::MAX))
}

pub(crate) fn lagging(error: Lagging) -> Problem {
    let problem = Problem::new(&problems::POSITION_NOT_REACHED)
        .detail("the record that was asked for is not there yet, or was not read in time")
        .retry_after(Duration::from_secs(1));
    match error.reached.previous() {
        Some(position) => problem.with("position", position.to_string()),
        None => problem,
    }
}

/// A file of the index, or the log, cannot be read: whoever runs the ledger has to look.
pub(crate) fn internal(error: &impl std::error::Error) -> Problem {
    tracing::error!(%error, "a read of the ledger failed");
    Problem::new(&problems::INTERNAL)
}

pub(crate) fn invalid_parameter(name: &'static str, error: impl Display) -> Problem {
    Problem::new(&problems::INVALID_QUERY)
        .detail(format!("{name}: {error}"))
        .with("parameter", name)
}

pub(crate) fn invalid_path(error: impl Display) -> Problem {
    Problem::new(&problems::INVALID_PATH).detail(error.to_string())
}
