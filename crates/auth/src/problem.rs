//! The problems of the administration: the only place that names their status codes.

use std::time::Duration;

use lombard_auth_core::Rejection;
use lombard_chassis::{Problem, ProblemType, problems};
use lombard_engine::SubmitError;

/// The `client_id`, name, scope or key is not of its form.
pub const INVALID_CLIENT: ProblemType =
    ProblemType::new(400, "invalid-client-metadata", "Invalid client metadata");
/// A client with this id exists and is another one.
pub const CLIENT_EXISTS: ProblemType = ProblemType::new(409, "client-exists", "Client exists");
/// There is no such client.
pub const CLIENT_NOT_FOUND: ProblemType =
    ProblemType::new(404, "client-not-found", "Client not found");
/// The client authenticates with a key and has no secret to rotate.
pub const CLIENT_HAS_NO_SECRET: ProblemType =
    ProblemType::new(409, "client-has-no-secret", "Client has no secret");
/// There are as many clients as there may be.
pub const TOO_MANY_CLIENTS: ProblemType =
    ProblemType::new(507, "too-many-clients", "Too many clients");
/// The `Idempotency-Key` is not 1 to 255 visible ASCII characters.
pub const IDEMPOTENCY_KEY_INVALID: ProblemType =
    ProblemType::new(400, "idempotency-key-invalid", "Idempotency-Key invalid");

/// There are as many revocations as are kept.
pub const TOO_MANY_REVOCATIONS: ProblemType =
    ProblemType::new(503, "too-many-revocations", "Too many revocations");

/// All of this role's own, for documentation and its test.
pub const ALL: &[ProblemType] = &[
    INVALID_CLIENT,
    CLIENT_EXISTS,
    CLIENT_NOT_FOUND,
    CLIENT_HAS_NO_SECRET,
    TOO_MANY_CLIENTS,
    IDEMPOTENCY_KEY_INVALID,
    TOO_MANY_REVOCATIONS,
];

pub(crate) fn from_submit_error(error: SubmitError<Rejection>) -> Problem {
    let again = Duration::from_secs(1);
    match error {
        SubmitError::Rejected { rejection, .. } => from_rejection(rejection),
        SubmitError::Overloaded | SubmitError::Expired => {
            Problem::new(&problems::OVERLOADED).detail("nothing was done").retry_after(again)
        }
        SubmitError::DiskFull => Problem::new(&problems::DISK_FULL).retry_after(again),
        SubmitError::TooLarge { .. } => {
            Problem::new(&problems::BODY_TOO_LARGE).detail("the client is too large to be recorded")
        }
        SubmitError::OutcomeUnknown => Problem::new(&problems::OUTCOME_UNKNOWN)
            .detail("the change may or may not have happened: look, or repeat it with the same Idempotency-Key"),
        SubmitError::Stopped => Problem::new(&problems::STOPPING).retry_after(again),
    }
}

fn from_rejection(rejection: Rejection) -> Problem {
    match rejection {
        Rejection::ClientExists => Problem::new(&CLIENT_EXISTS).detail(
            "a client with this id exists and is another one, or was registered by somebody else",
        ),
        Rejection::TooManyClients => Problem::new(&TOO_MANY_CLIENTS),
        Rejection::ClientNotFound => Problem::new(&CLIENT_NOT_FOUND),
        Rejection::HasNoSecret => Problem::new(&CLIENT_HAS_NO_SECRET)
            .detail("the client authenticates with a private key"),
        Rejection::TooManyRevocations => {
            Problem::new(&TOO_MANY_REVOCATIONS).retry_after(Duration::from_secs(10))
        }
    }
}
