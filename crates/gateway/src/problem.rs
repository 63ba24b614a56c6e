//! The gateway's problems: the only place that names their status codes.
//!
//! A failed request is told apart by what is known of its effect: nothing was sent, or the outcome is unknown.

use std::time::Duration;

use lombard_chassis::{Problem, ProblemType, problems};
use lombard_gateway_core::{ParsePathError, WireError};
use lombard_types::ServiceName;

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

pub(crate) fn not_found() -> Problem {
    Problem::new(&problems::NOT_FOUND)
        .detail("no such path; services are at /<name>/..., the platform's roles at /v1/<role>/...")
}

pub(crate) fn no_instances(service: &ServiceName) -> Problem {
    Problem::new(&NO_INSTANCES)
        .detail(format!("not sent: no instance of {service} is registered; nothing happened"))
        .retry_after(SOON)
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
}

impl Failure {
    /// Its name in metrics, where it is an upstream's.
    pub(crate) const fn upstream_kind(self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => Some("unreachable"),
            Self::Broken => Some("broken"),
            Self::Timeout => Some("timeout"),
            Self::BodyTooLarge { .. } | Self::BodyIncomplete | Self::BodyStalled => None,
        }
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
