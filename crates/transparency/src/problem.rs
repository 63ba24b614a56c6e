//! The problems of proofs: the only place that names their status codes.

use std::time::Duration;

use lombard_chassis::{Problem, ProblemType, problems};
use lombard_log::{ReadError, merkle::MerkleError};

/// The position or size lies beyond what the log holds.
pub const NOT_IN_LOG: ProblemType = ProblemType::new(404, "not-in-log", "Not in the log");
/// The tree has not come to what was asked for yet.
pub const PROOF_NOT_READY: ProblemType =
    ProblemType::new(503, "proof-not-ready", "Proof not ready");
/// What is stored is not what was written.
pub const LOG_DAMAGED: ProblemType = ProblemType::new(500, "log-damaged", "Log damaged");

/// One request more that waits for records would be over the limit.
pub const TOO_MANY_WAITERS: ProblemType =
    ProblemType::new(429, "too-many-waiters", "Too many waiters");

/// All of them, for documentation and its test.
pub const ALL: &[ProblemType] = &[NOT_IN_LOG, PROOF_NOT_READY, LOG_DAMAGED, TOO_MANY_WAITERS];

pub(crate) fn not_in_log(durable: u64) -> Problem {
    Problem::new(&NOT_IN_LOG)
        .detail(format!("the log has {durable} records"))
        .with("durable", durable)
}

pub(crate) fn too_many_waiters(waiters_max: usize) -> Problem {
    Problem::new(&TOO_MANY_WAITERS)
        .detail(format!("{waiters_max} requests wait for records already, which is the limit"))
        .with("limit", u64::try_from(waiters_max).unwrap_or(u64::MAX))
        .retry_after(Duration::from_secs(1))
}

pub(crate) fn not_ready() -> Problem {
    Problem::new(&PROOF_NOT_READY)
        .detail("the tree has not come that far yet")
        .retry_after(Duration::from_secs(1))
}

pub(crate) fn log_damaged(detail: String) -> Problem {
    tracing::error!(detail, "what is stored is not what was written");
    Problem::new(&LOG_DAMAGED).detail(detail)
}

pub(crate) fn from_merkle_error(error: MerkleError) -> Problem {
    match error {
        MerkleError::Beyond { .. } => not_ready(),
        MerkleError::Leaves { position } => {
            log_damaged(format!("the leaf hashes do not fit record {position}"))
        }
        MerkleError::Read(error) => from_read_error(error),
        MerkleError::Io { .. } => {
            tracing::error!(%error, "no proof could be made");
            Problem::new(&problems::INTERNAL)
        }
        MerkleError::Closed => {
            Problem::new(&problems::STOPPING).retry_after(Duration::from_secs(1))
        }
    }
}

pub(crate) fn from_read_error(error: ReadError) -> Problem {
    match error {
        ReadError::Damaged { position, .. } => {
            // Where it is stored is for the log of the role only.
            tracing::error!(%error, "a record is damaged");
            log_damaged(format!("record {position} is not what was written"))
        }
        ReadError::Trimmed { first, .. } => Problem::new(&NOT_IN_LOG)
            .detail(format!("the first record that is kept is {first}"))
            .with("first", first.get()),
        ReadError::Io { .. } => {
            tracing::error!(%error, "the log could not be read");
            Problem::new(&problems::INTERNAL)
        }
    }
}
