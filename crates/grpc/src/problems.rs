//! The problems of the protocol itself, beside those that every role can answer (`lombard_chassis::problems`).

use lombard_chassis::{Problem, ProblemType, problems};
use lombard_proto::FrameError;

/// There is no such method.
pub const UNKNOWN_METHOD: ProblemType = ProblemType::new(501, "unknown-method", "Unknown method");
/// The message is compressed, or asks for something else that is not offered.
pub const UNSUPPORTED_ENCODING: ProblemType =
    ProblemType::new(501, "unsupported-encoding", "Unsupported encoding");
/// What was sent is not a message of the type that the method takes.
pub const MALFORMED_MESSAGE: ProblemType =
    ProblemType::new(400, "malformed-message", "Malformed message");
/// The call's deadline has passed; it had no effect.
pub const DEADLINE_EXCEEDED: ProblemType =
    ProblemType::new(504, "deadline-exceeded", "Deadline exceeded");

/// All of them, for documentation and its test.
pub const ALL: &[ProblemType] =
    &[UNKNOWN_METHOD, UNSUPPORTED_ENCODING, MALFORMED_MESSAGE, DEADLINE_EXCEEDED];

/// Something else than messages arrived.
pub(crate) fn from_frame_error(error: FrameError) -> Problem {
    let kind = match error {
        FrameError::Compressed => &UNSUPPORTED_ENCODING,
        FrameError::Flag(_) => &MALFORMED_MESSAGE,
        FrameError::TooLarge { .. } => &problems::BODY_TOO_LARGE,
    };
    let problem = Problem::new(kind).detail(error.to_string());
    match error {
        FrameError::TooLarge { bytes_max, .. } => problem.with("limit_bytes", bytes_max),
        _ => problem,
    }
}

/// The call's messages did not arrive whole.
pub(crate) fn incomplete() -> Problem {
    Problem::new(&problems::BODY_INCOMPLETE).detail("the call ended in the middle of a message")
}
