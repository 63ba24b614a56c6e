//! The gateway's problems: the only place that names their status codes.
//!
//! A failed request is told apart by what is known of its effect: nothing was sent, or the outcome is unknown.

use std::time::Duration;

use lombard_chassis::{Problem, ProblemType, problems};
use lombard_gateway_core::{ParsePathError, WireError};

use crate::{
    cluster::NotAdmitted,
    contract::{Misfit, Mismatch},
    limits::Exceeded,
    table::{LimitKind, RequiredLogin},
};

/// The request's bytes, target or headers can be read in more than one way.
pub const AMBIGUOUS_REQUEST: ProblemType =
    ProblemType::new(400, "ambiguous-request", "Ambiguous request");
/// The path can be read in more than one way.
pub const AMBIGUOUS_PATH: ProblemType = ProblemType::new(400, "ambiguous-path", "Ambiguous path");
/// The client stopped sending its body.
pub const BODY_STALLED: ProblemType = ProblemType::new(408, "body-stalled", "Body stalled");
/// No connection to the upstream: nothing was sent.
pub const UPSTREAM_UNREACHABLE: ProblemType =
    ProblemType::new(502, "upstream-unreachable", "Upstream unreachable");
/// The connection broke after the request was sent: the outcome is unknown.
pub const UPSTREAM_BROKEN: ProblemType =
    ProblemType::new(502, "upstream-broken", "Upstream broke off");
/// The upstream did not begin its response in time: the outcome is unknown.
pub const UPSTREAM_TIMEOUT: ProblemType =
    ProblemType::new(504, "upstream-timeout", "Upstream timeout");
/// No instance of the service is registered: nothing was sent.
pub const NO_INSTANCES: ProblemType = ProblemType::new(503, "no-instances", "No instances");
/// A role of the platform is not reachable: nothing was sent.
pub const ROLE_AWAY: ProblemType = ProblemType::new(503, "role-away", "Role away");

/// An upstream fails too often: nothing was sent.
pub const CIRCUIT_OPEN: ProblemType = ProblemType::new(503, "circuit-open", "Circuit breaker open");
/// Over a rate.
pub const RATE_LIMITED: ProblemType = ProblemType::new(429, "rate-limited", "Too many requests");
/// Over a quota.
pub const QUOTA_EXCEEDED: ProblemType = ProblemType::new(429, "quota-exceeded", "Quota used up");
/// Over a number of requests at once.
pub const CONCURRENCY_LIMITED: ProblemType =
    ProblemType::new(429, "concurrency-limited", "Too many requests at once");
/// Of an address that may not call.
pub const ADDRESS_NOT_ALLOWED: ProblemType =
    ProblemType::new(403, "address-not-allowed", "Address not allowed");
/// The person behind the token has not logged in as the route wants it (RFC 9470).
pub const INSUFFICIENT_USER_AUTHENTICATION: ProblemType =
    ProblemType::new(401, "insufficient-user-authentication", "Insufficient user authentication");
/// The caller's deadline passed.
pub const DEADLINE_EXCEEDED: ProblemType =
    ProblemType::new(504, "deadline-exceeded", "Deadline exceeded");
/// A configuration has mistakes.
pub const INVALID_CONFIG: ProblemType =
    ProblemType::new(422, "invalid-gateway-config", "Configuration with mistakes");

/// No Idempotency-Key where one is required.
pub const IDEMPOTENCY_KEY_MISSING: ProblemType =
    ProblemType::new(400, "idempotency-key-missing", "Idempotency-Key missing");
/// A key that is none.
pub const IDEMPOTENCY_KEY_INVALID: ProblemType =
    ProblemType::new(400, "idempotency-key-invalid", "Idempotency-Key invalid");
/// The key stands for another request.
pub const IDEMPOTENCY_KEY_REUSED: ProblemType =
    ProblemType::new(422, "idempotency-key-reused", "Idempotency-Key reused");
/// The first request with this key is not answered yet.
pub const IDEMPOTENCY_KEY_IN_PROGRESS: ProblemType =
    ProblemType::new(409, "idempotency-key-in-progress", "Idempotency-Key in progress");
/// It was done; what was answered was too long to be kept.
pub const RESPONSE_NOT_KEPT: ProblemType =
    ProblemType::new(409, "response-not-kept", "Response not kept");

/// What the service's OpenAPI document does not permit.
pub const UNFIT_REQUEST: ProblemType =
    ProblemType::new(400, "unfit-request", "Request does not fit");

/// All of the gateway's own, for documentation and its test.
pub const ALL: &[ProblemType] = &[
    AMBIGUOUS_REQUEST,
    AMBIGUOUS_PATH,
    BODY_STALLED,
    UPSTREAM_UNREACHABLE,
    UPSTREAM_BROKEN,
    UPSTREAM_TIMEOUT,
    NO_INSTANCES,
    ROLE_AWAY,
    CIRCUIT_OPEN,
    RATE_LIMITED,
    QUOTA_EXCEEDED,
    CONCURRENCY_LIMITED,
    ADDRESS_NOT_ALLOWED,
    INSUFFICIENT_USER_AUTHENTICATION,
    DEADLINE_EXCEEDED,
    INVALID_CONFIG,
    IDEMPOTENCY_KEY_MISSING,
    IDEMPOTENCY_KEY_INVALID,
    IDEMPOTENCY_KEY_REUSED,
    IDEMPOTENCY_KEY_IN_PROGRESS,
    RESPONSE_NOT_KEPT,
    UNFIT_REQUEST,
];

/// The answer to trouble that passes by itself.
const SOON: Duration = Duration::from_secs(1);

pub(crate) fn from_wire_error(error: WireError) -> Problem {
    Problem::new(&AMBIGUOUS_REQUEST).detail(error.to_string())
}

pub(crate) fn ambiguous(detail: &'static str) -> Problem {
    Problem::new(&AMBIGUOUS_REQUEST).detail(detail)
}

pub(crate) fn from_path_error(error: ParsePathError) -> Problem {
    Problem::new(&AMBIGUOUS_PATH).detail(error.to_string())
}

/// A request that is none of those that the service takes.
pub(crate) fn from_mismatch(mismatch: Mismatch) -> Problem {
    match mismatch {
        Mismatch::Path => Problem::new(&problems::NOT_FOUND)
            .detail("the service's OpenAPI document has no such path"),
        Mismatch::Method => Problem::new(&problems::METHOD_NOT_ALLOWED)
            .detail("the service's OpenAPI document has no such operation at this path"),
        Mismatch::MediaType => Problem::new(&problems::UNSUPPORTED_MEDIA_TYPE)
            .detail("the service's OpenAPI document has no body of this kind here"),
        Mismatch::Value(Misfit { place, name, pointer, reason }) => {
            let problem = Problem::new(&UNFIT_REQUEST)
                .detail(format!("not sent: {reason}"))
                .with("in", place)
                .with("pointer", pointer);
            match name {
                Some(name) => problem.with("name", &*name),
                None => problem,
            }
        }
    }
}

pub(crate) fn not_found() -> Problem {
    Problem::new(&problems::NOT_FOUND)
        .detail("no such path; services are at /<name>/..., the platform's roles at /v1/<role>/...")
}

pub(crate) fn no_instances(upstream: &str) -> Problem {
    Problem::new(&NO_INSTANCES)
        .detail(format!("not sent: no instance of {upstream} is known; nothing happened"))
        .retry_after(SOON)
}

pub(crate) fn not_admitted(upstream: &str, reason: NotAdmitted) -> Problem {
    match reason {
        NotAdmitted::CircuitOpen { wait } => Problem::new(&CIRCUIT_OPEN)
            .detail(format!("not sent: {upstream} fails too often; nothing happened"))
            .retry_after(wait.max(SOON)),
        NotAdmitted::Full => Problem::new(&problems::OVERLOADED)
            .detail(format!("not sent: {upstream} has too many requests already; nothing happened"))
            .retry_after(SOON),
    }
}

pub(crate) fn overloaded() -> Problem {
    Problem::new(&problems::OVERLOADED)
        .detail("not sent: the gateway has too much to do; nothing happened")
        .retry_after(SOON)
}

pub(crate) fn limit_exceeded(exceeded: &Exceeded) -> Problem {
    let kind = match exceeded.kind {
        LimitKind::Rate(_) => &RATE_LIMITED,
        LimitKind::Quota(_) => &QUOTA_EXCEEDED,
        LimitKind::Concurrent(_) => &CONCURRENCY_LIMITED,
    };
    // In whole seconds, and never too early.
    let wait = Duration::from_secs(exceeded.retry_after.as_secs() + 1);
    Problem::new(kind)
        .detail("not sent: over the limit of this route; nothing happened")
        .retry_after(wait)
}

pub(crate) fn address_not_allowed() -> Problem {
    Problem::new(&ADDRESS_NOT_ALLOWED)
}

/// RFC 9470 section 3.
pub(crate) fn insufficient_user_authentication(login: &RequiredLogin) -> Problem {
    let mut challenge = "Bearer error=\"insufficient_user_authentication\"".to_owned();
    let mut problem = Problem::new(&INSUFFICIENT_USER_AUTHENTICATION)
        .detail("this takes a token of a person who has logged in more strongly, or later");
    if !login.acr_values.is_empty() {
        let values = login.acr_values.join(" ");
        challenge.push_str(&format!(", acr_values=\"{values}\""));
        problem = problem.with("acr_values", values);
    }
    if let Some(max_age) = login.max_age {
        challenge.push_str(&format!(", max_age=\"{}\"", max_age.as_secs()));
        problem = problem.with("max_age", max_age.as_secs());
    }
    problem.www_authenticate(&challenge)
}

pub(crate) fn insufficient_details(detail_type: &str) -> Problem {
    Problem::new(&problems::INSUFFICIENT_SCOPE)
        .detail(format!("this takes the authorization detail {detail_type}"))
        .with("required_authorization_detail", detail_type)
        .www_authenticate("Bearer error=\"insufficient_scope\"")
}

/// An upstream speaks another protocol though nobody asked it to.
pub(crate) fn unexpected_upgrade() -> Problem {
    Problem::new(&UPSTREAM_BROKEN).detail("the upstream changed the protocol without being asked")
}

pub(crate) fn idempotency_key_missing() -> Problem {
    Problem::new(&IDEMPOTENCY_KEY_MISSING).detail("this route takes an Idempotency-Key header")
}

pub(crate) fn idempotency_key_invalid() -> Problem {
    Problem::new(&IDEMPOTENCY_KEY_INVALID)
        .detail("send one Idempotency-Key of 1 to 255 visible ASCII characters")
}

pub(crate) fn idempotency_key_reused() -> Problem {
    Problem::new(&IDEMPOTENCY_KEY_REUSED)
        .detail("not sent: the key was used for another request; nothing happened now")
}

pub(crate) fn idempotency_key_in_progress() -> Problem {
    Problem::new(&IDEMPOTENCY_KEY_IN_PROGRESS)
        .detail("not sent again: the first request with this key is not answered yet")
        .retry_after(SOON)
}

pub(crate) fn idempotency_outcome_unknown() -> Problem {
    Problem::new(&problems::OUTCOME_UNKNOWN)
        .detail("not sent again: the first request with this key was sent, and no answer came")
}

/// A body that is needed whole is not there.
pub(crate) fn body_not_kept() -> Problem {
    Problem::new(&problems::INTERNAL)
}

pub(crate) fn response_not_kept(status: http::StatusCode) -> Problem {
    Problem::new(&RESPONSE_NOT_KEPT)
        .detail(format!("not sent again: it was done, and answered with {status}"))
        .with("first_status", status.as_u16())
}

pub(crate) fn idempotency_store_away() -> Problem {
    Problem::new(&ROLE_AWAY)
        .detail("not sent: the event store, which remembers keys, is away; nothing happened")
        .retry_after(SOON)
}

pub(crate) fn invalid_config(mistakes: &[String]) -> Problem {
    Problem::new(&INVALID_CONFIG)
        .detail("the configuration before stays in use")
        .with("mistakes", mistakes.to_vec())
}

/// What became of a request that got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Never sent.
    Unreachable { is_role: bool },
    /// Sent, at least in part, and then the connection broke.
    Broken,
    /// No response in time.
    Timeout,
    /// The body is over the limit.
    BodyTooLarge { bytes_max: u64 },
    /// The client broke off.
    BodyIncomplete,
    /// The client stopped sending.
    BodyStalled,
    /// The caller does not wait any more, and the request was sent.
    DeadlinePassed,
    /// The caller did not wait any more before it was sent.
    DeadlineBefore,
}

impl Failure {
    /// Its name in metrics, where it is an upstream's.
    pub(crate) const fn upstream_kind(self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => Some("unreachable"),
            Self::Broken => Some("broken"),
            Self::Timeout => Some("timeout"),
            Self::BodyTooLarge { .. }
            | Self::BodyIncomplete
            | Self::BodyStalled
            | Self::DeadlinePassed
            | Self::DeadlineBefore => None,
        }
    }

    /// Whether the upstream may have got the request.
    pub(crate) const fn was_sent(self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::DeadlineBefore)
    }

    /// `is_safe`: the request only reads, so that repeating it is never wrong.
    pub(crate) fn problem(self, upstream: &str, is_safe: bool) -> Problem {
        let unknown = if is_safe {
            "it only reads, so repeat it"
        } else {
            "outcome unknown; repeat it with the same Idempotency-Key"
        };
        match self {
            Self::Unreachable { is_role } => {
                let kind = if is_role { &ROLE_AWAY } else { &UPSTREAM_UNREACHABLE };
                Problem::new(kind)
                    .detail(format!("not sent: {upstream} is not reachable; nothing happened"))
                    .retry_after(SOON)
            }
            Self::Broken => Problem::new(&UPSTREAM_BROKEN)
                .detail(format!("{upstream} broke off before it responded: {unknown}"))
                .retry_after(SOON),
            Self::Timeout => Problem::new(&UPSTREAM_TIMEOUT)
                .detail(format!("{upstream} did not respond in time: {unknown}"))
                .retry_after(SOON),
            Self::BodyTooLarge { bytes_max } => Problem::new(&problems::BODY_TOO_LARGE)
                .detail(format!("the body is longer than {bytes_max} bytes")),
            Self::BodyIncomplete => {
                Problem::new(&problems::BODY_INCOMPLETE).detail("the body did not arrive whole")
            }
            Self::DeadlinePassed => Problem::new(&DEADLINE_EXCEEDED)
                .detail(format!("{upstream} did not respond before the deadline: {unknown}")),
            Self::DeadlineBefore => Problem::new(&DEADLINE_EXCEEDED)
                .detail("not sent: the deadline had passed; nothing happened"),
            Self::BodyStalled => {
                Problem::new(&BODY_STALLED).detail("the rest of the body did not arrive in time")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn slugs_are_unique_and_well_formed() {
        let all = ALL.iter().chain(problems::ALL);
        let slugs: BTreeSet<&str> = all.clone().map(|kind| kind.slug).collect();
        assert_eq!(slugs.len(), all.count());
        for slug in slugs {
            assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{slug}");
        }
    }
}
