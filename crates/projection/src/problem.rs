//! The problems of projections: the only place that names their status codes.

use lombard_chassis::{Problem, ProblemType};

/// The configuration has no projection of the name.
pub const PROJECTION_NOT_FOUND: ProblemType =
    ProblemType::new(404, "projection-not-found", "Projection not found");

/// All of them, for documentation and its test.
pub const ALL: &[ProblemType] = &[PROJECTION_NOT_FOUND];

pub(crate) fn not_found() -> Problem {
    Problem::new(&PROJECTION_NOT_FOUND)
        .detail("the configuration of this process has no projection of this name")
}
