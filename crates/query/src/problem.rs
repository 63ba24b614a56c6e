//! The read side's problems: the only place that names their status codes.

use std::time::Duration;

use lombard_chassis::{Problem, ProblemType, problems};
use lombard_engine::Lagging;

pub use lombard_ledger_api::problem::{
    ACCOUNT_NOT_FOUND, INVALID_PERIOD, STATEMENT_OUT_OF_ORDER, TRANSFER_NOT_FOUND,
};
pub(crate) use lombard_ledger_api::problem::{invalid_parameter, invalid_path};

use crate::TooMany;

/// The answer is not kept ready, and making it takes more than the configuration allows.
pub const TOO_MUCH_TO_EXAMINE: ProblemType =
    ProblemType::new(422, "too-much-to-examine", "Too much to examine");

/// The account has no statement with this number.
pub const STATEMENT_NOT_FOUND: ProblemType =
    ProblemType::new(404, "statement-not-found", "Statement not found");
/// A format cannot say what the ledger has to say.
pub const NOT_EXPRESSIBLE: ProblemType =
    ProblemType::new(422, "not-expressible", "Not expressible in this format");

/// All of the read side, for documentation and its test.
pub const ALL: &[ProblemType] = &[
    ACCOUNT_NOT_FOUND,
    TRANSFER_NOT_FOUND,
    TOO_MUCH_TO_EXAMINE,
    STATEMENT_NOT_FOUND,
    NOT_EXPRESSIBLE,
    INVALID_PERIOD,
    STATEMENT_OUT_OF_ORDER,
];

pub(crate) fn period_not_over() -> Problem {
    Problem::new(&INVALID_PERIOD).detail("until: the period has not ended yet")
}

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

/// What a linearizable answer depends on cannot be known.
pub(crate) fn ledger_away() -> Problem {
    Problem::new(&problems::POSITION_NOT_REACHED)
        .detail("the ledger cannot be asked how far it is; with as_of, what is known is told")
        .retry_after(Duration::from_secs(1))
}

/// A file of the index, or the log, cannot be read: whoever runs the ledger has to look.
pub(crate) fn internal(error: &impl std::error::Error) -> Problem {
    tracing::error!(%error, "a read of the ledger failed");
    Problem::new(&problems::INTERNAL)
}
