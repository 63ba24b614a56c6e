//! The problems that both sides answer with.

use std::fmt::Display;

use lombard_chassis::{Problem, ProblemType, problems};

/// No account has the id or path, or the caller may not know of it.
pub const ACCOUNT_NOT_FOUND: ProblemType =
    ProblemType::new(404, "account-not-found", "Account not found");
/// No posting set has the id, or the caller may not know of it.
pub const TRANSFER_NOT_FOUND: ProblemType =
    ProblemType::new(404, "transfer-not-found", "Transfer not found");

/// A period ends before it begins, or has not ended yet.
pub const INVALID_PERIOD: ProblemType = ProblemType::new(422, "invalid-period", "Invalid period");
/// A statement does not go on from the account's last one.
pub const STATEMENT_OUT_OF_ORDER: ProblemType =
    ProblemType::new(409, "statement-out-of-order", "Statement out of order");

/// A query parameter whose text is not of its grammar.
pub fn invalid_parameter(name: &'static str, error: impl Display) -> Problem {
    Problem::new(&problems::INVALID_QUERY)
        .detail(format!("{name}: {error}"))
        .with("parameter", name)
}

/// A part of the path whose text is not of its grammar.
pub fn invalid_path(error: impl Display) -> Problem {
    Problem::new(&problems::INVALID_PATH).detail(error.to_string())
}
