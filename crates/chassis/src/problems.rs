//! The problems that every role can answer. A role's own are in its own table.

use crate::ProblemType;

/// No such resource, or the caller may not know of it.
pub const NOT_FOUND: ProblemType = ProblemType::new(404, "not-found", "Not found");
/// The resource exists but not with this method.
pub const METHOD_NOT_ALLOWED: ProblemType =
    ProblemType::new(405, "method-not-allowed", "Method not allowed");
/// The body is not of the media type that is expected.
pub const UNSUPPORTED_MEDIA_TYPE: ProblemType =
    ProblemType::new(415, "unsupported-media-type", "Unsupported media type");
/// The body is longer than the limit.
pub const BODY_TOO_LARGE: ProblemType = ProblemType::new(413, "body-too-large", "Body too large");
/// The body did not arrive whole.
pub const BODY_INCOMPLETE: ProblemType =
    ProblemType::new(400, "body-incomplete", "Body incomplete");
/// The body is not JSON.
pub const MALFORMED_JSON: ProblemType = ProblemType::new(400, "malformed-json", "Malformed JSON");
/// The body is JSON but not of the expected form.
pub const INVALID_BODY: ProblemType = ProblemType::new(400, "invalid-body", "Invalid body");
/// A query parameter is unknown, missing or not of the expected form.
pub const INVALID_QUERY: ProblemType = ProblemType::new(400, "invalid-query", "Invalid query");
/// A part of the path is not of the expected form.
pub const INVALID_PATH: ProblemType = ProblemType::new(400, "invalid-path", "Invalid path");
/// A header is missing, repeated or not of the expected form.
pub const INVALID_HEADER: ProblemType = ProblemType::new(400, "invalid-header", "Invalid header");
/// No token, or one that is not accepted.
pub const UNAUTHENTICATED: ProblemType =
    ProblemType::new(401, "unauthenticated", "Not authenticated");
/// The token is good but does not carry the scope.
pub const INSUFFICIENT_SCOPE: ProblemType =
    ProblemType::new(403, "insufficient-scope", "Insufficient scope");
/// The keys to verify tokens with are not known yet.
pub const AUTH_AWAY: ProblemType =
    ProblemType::new(503, "auth-away", "Tokens cannot be verified right now");
/// Too much at once; nothing was done.
pub const OVERLOADED: ProblemType = ProblemType::new(503, "overloaded", "Overloaded");
/// The role is stopping; nothing was done.
pub const STOPPING: ProblemType = ProblemType::new(503, "stopping", "Stopping");
/// No space to record the change; nothing was done.
pub const DISK_FULL: ProblemType = ProblemType::new(507, "disk-full", "No disk space left");
/// The change may or may not have happened.
pub const OUTCOME_UNKNOWN: ProblemType =
    ProblemType::new(504, "outcome-unknown", "Outcome unknown");
/// A defect of ours.
pub const INTERNAL: ProblemType = ProblemType::new(500, "internal", "Internal error");
/// The read model has not reached the position that was asked for.
pub const POSITION_NOT_REACHED: ProblemType =
    ProblemType::new(503, "position-not-reached", "Position not reached in time");

/// All of them, for documentation and its test.
pub const ALL: &[ProblemType] = &[
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    UNSUPPORTED_MEDIA_TYPE,
    BODY_TOO_LARGE,
    BODY_INCOMPLETE,
    MALFORMED_JSON,
    INVALID_BODY,
    INVALID_QUERY,
    INVALID_PATH,
    INVALID_HEADER,
    UNAUTHENTICATED,
    INSUFFICIENT_SCOPE,
    AUTH_AWAY,
    OVERLOADED,
    STOPPING,
    DISK_FULL,
    OUTCOME_UNKNOWN,
    INTERNAL,
    POSITION_NOT_REACHED,
];
