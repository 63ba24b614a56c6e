//! The registry's problems: the only place that names their status codes.

use std::time::Duration;

use lombard_chassis::{Problem, ProblemType, problems};
use lombard_engine::{Lagging, QueryError, SubmitError};
use lombard_registry_core::{AttributesError, ParseAddressError, Rejection};

use crate::watch::TooManyWaiters;

// === what is wrong with the request ===

/// The URL is not `http://host:port`.
pub const INVALID_URL: ProblemType = ProblemType::new(400, "invalid-url", "Invalid URL");
/// The lease is shorter or longer than the limits.
pub const TTL_OUT_OF_RANGE: ProblemType =
    ProblemType::new(400, "ttl-out-of-range", "Time to live out of range");
/// More tags than the limit.
pub const TOO_MANY_TAGS: ProblemType = ProblemType::new(400, "too-many-tags", "Too many tags");
/// Metadata over the limit.
pub const METADATA_TOO_LARGE: ProblemType =
    ProblemType::new(400, "metadata-too-large", "Metadata too large");
/// The wait is longer than the limit.
pub const WAIT_TOO_LONG: ProblemType = ProblemType::new(400, "wait-too-long", "Wait too long");

// === what is not there, or somebody else's ===

/// The lease has run out, was replaced, or never was: register again.
pub const LEASE_UNKNOWN: ProblemType = ProblemType::new(404, "lease-unknown", "Lease unknown");
/// No such instance is registered.
pub const INSTANCE_NOT_FOUND: ProblemType =
    ProblemType::new(404, "instance-not-found", "Instance not found");
/// Of another registry's interface, this part is not served.
pub const NOT_SERVED: ProblemType = ProblemType::new(404, "not-served", "Not served");
/// The body is not XML, or none that is taken for a registration.
pub const MALFORMED_XML: ProblemType = ProblemType::new(400, "malformed-xml", "Malformed XML");
/// Of another registry's interface, this media type is not served.
pub const NOT_ACCEPTABLE: ProblemType = ProblemType::new(406, "not-acceptable", "Not acceptable");
/// An id that names no service is one of several services' instances.
pub const AMBIGUOUS_INSTANCE: ProblemType =
    ProblemType::new(409, "ambiguous-instance", "Ambiguous instance");
/// Another client has registered the instance, and its lease lives.
pub const INSTANCE_TAKEN: ProblemType = ProblemType::new(409, "instance-taken", "Instance taken");
/// Only the client that registered the instance, or an administrator, may take it out.
pub const NOT_REGISTRANT: ProblemType =
    ProblemType::new(403, "not-registrant", "Not the client that registered it");

// === limits ===

/// One service more would be over the limit.
pub const TOO_MANY_SERVICES: ProblemType =
    ProblemType::new(429, "too-many-services", "Too many services");
/// One instance of the service more would be over the limit.
pub const TOO_MANY_INSTANCES: ProblemType =
    ProblemType::new(429, "too-many-instances", "Too many instances");
/// One request more that waits for a change would be over the limit.
pub const TOO_MANY_WAITERS: ProblemType =
    ProblemType::new(429, "too-many-waiters", "Too many waiters");

/// All of the registry's own, for documentation and its test.
pub const ALL: &[ProblemType] = &[
    INVALID_URL,
    TTL_OUT_OF_RANGE,
    TOO_MANY_TAGS,
    METADATA_TOO_LARGE,
    WAIT_TOO_LONG,
    LEASE_UNKNOWN,
    INSTANCE_NOT_FOUND,
    NOT_SERVED,
    MALFORMED_XML,
    NOT_ACCEPTABLE,
    AMBIGUOUS_INSTANCE,
    INSTANCE_TAKEN,
    NOT_REGISTRANT,
    TOO_MANY_SERVICES,
    TOO_MANY_INSTANCES,
    TOO_MANY_WAITERS,
];

/// The answer to trouble that passes by itself.
const SOON: Duration = Duration::from_secs(1);
/// The answer where somebody must leave first.
const LATER: Duration = Duration::from_secs(10);

/// A command without known effect.
pub(crate) fn from_submit_error(error: SubmitError<Rejection>) -> Problem {
    let (kind, retry_after) = match &error {
        SubmitError::Rejected { rejection, .. } => return from_rejection(rejection),
        SubmitError::Overloaded | SubmitError::Expired => (&problems::OVERLOADED, Some(SOON)),
        SubmitError::DiskFull => (&problems::DISK_FULL, None),
        SubmitError::TooLarge { .. } => (&problems::BODY_TOO_LARGE, None),
        SubmitError::OutcomeUnknown => (&problems::OUTCOME_UNKNOWN, Some(SOON)),
        SubmitError::Stopped => (&problems::STOPPING, Some(SOON)),
    };
    let problem = Problem::new(kind).detail(error.to_string());
    match retry_after {
        Some(wait) => problem.retry_after(wait),
        None => problem,
    }
}

/// A question that the writer did not answer.
pub(crate) fn from_query_error(error: QueryError) -> Problem {
    let kind = match error {
        QueryError::Overloaded => &problems::OVERLOADED,
        QueryError::Unavailable => &problems::STOPPING,
    };
    Problem::new(kind).detail(error.to_string()).retry_after(SOON)
}

/// The read side is behind.
pub(crate) fn from_lagging(lagging: Lagging, waited: Duration) -> Problem {
    let detail = match lagging.wanted.previous() {
        Some(record) => format!("record {record} was not reached in {} ms", waited.as_millis()),
        None => lagging.to_string(),
    };
    Problem::new(&problems::POSITION_NOT_REACHED).detail(detail).retry_after(SOON)
}

fn from_rejection(rejection: &Rejection) -> Problem {
    let problem = |kind: &ProblemType| Problem::new(kind).detail(rejection.to_string());
    match rejection {
        Rejection::InstanceNotFound => problem(&INSTANCE_NOT_FOUND),
        Rejection::InstanceTaken { .. } => problem(&INSTANCE_TAKEN),
        Rejection::NotRegistrant => problem(&NOT_REGISTRANT),
        Rejection::LeaseUnknown => problem(&LEASE_UNKNOWN),
        Rejection::TooManyServices { count_max } => {
            problem(&TOO_MANY_SERVICES).with("limit", *count_max).retry_after(LATER)
        }
        Rejection::TooManyInstances { count_max } => {
            problem(&TOO_MANY_INSTANCES).with("limit", *count_max).retry_after(LATER)
        }
    }
}

/// Nobody may wait any more.
pub(crate) fn from_too_many_waiters(error: TooManyWaiters) -> Problem {
    let TooManyWaiters { waiters_max } = error;
    Problem::new(&TOO_MANY_WAITERS)
        .detail(format!("{waiters_max} requests wait for a change already, which is the limit"))
        .with("limit", waiters_max)
        .retry_after(SOON)
}

/// A URL that is not an address.
pub(crate) fn from_parse_address_error(error: ParseAddressError) -> Problem {
    Problem::new(&INVALID_URL).detail(format!("url: {error}")).with("field", "url")
}

/// A time to live beyond the limits.
pub(crate) fn ttl_out_of_range(seconds: u64, seconds_min: u64, seconds_max: u64) -> Problem {
    Problem::new(&TTL_OUT_OF_RANGE)
        .detail(format!("ttl_seconds: must be {seconds_min} to {seconds_max}, not {seconds}"))
        .with("field", "ttl_seconds")
        .with("minimum", seconds_min)
        .with("maximum", seconds_max)
}

/// A wait beyond the limit.
pub(crate) fn wait_too_long(seconds: u64, seconds_max: u64) -> Problem {
    Problem::new(&WAIT_TOO_LONG)
        .detail(format!("wait_seconds: must be at most {seconds_max}, not {seconds}"))
        .with("parameter", "wait_seconds")
        .with("maximum", seconds_max)
}

/// Version, tags or metadata that are refused.
pub(crate) fn from_attributes_error(error: &AttributesError) -> Problem {
    let (kind, field) = match error {
        AttributesError::Version => (&problems::INVALID_BODY, "version"),
        AttributesError::Zone => (&problems::INVALID_BODY, "zone"),
        AttributesError::Tag | AttributesError::TagTwice => (&problems::INVALID_BODY, "tags"),
        AttributesError::TooManyTags { .. } => (&TOO_MANY_TAGS, "tags"),
        AttributesError::MetadataKey | AttributesError::MetadataValue => {
            (&problems::INVALID_BODY, "metadata")
        }
        AttributesError::MetadataTooLarge { .. } => (&METADATA_TOO_LARGE, "metadata"),
    };
    Problem::new(kind).detail(format!("{field}: {error}")).with("field", field)
}

/// A lease that cannot be renewed.
pub(crate) fn lease_unknown() -> Problem {
    Problem::new(&LEASE_UNKNOWN)
        .detail("the lease has run out, was replaced, or never was: register again")
}

/// A field of the body whose text is not of its grammar.
pub(crate) fn invalid_field(field: &'static str, error: impl std::fmt::Display) -> Problem {
    Problem::new(&problems::INVALID_BODY).detail(format!("{field}: {error}")).with("field", field)
}

/// A part of the path whose text is not of its grammar.
pub(crate) fn invalid_path(part: &'static str, error: impl std::fmt::Display) -> Problem {
    Problem::new(&problems::INVALID_PATH).detail(format!("{part}: {error}")).with("part", part)
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

    #[test]
    fn the_owner_of_a_taken_instance_stays_unsaid() {
        let rejection = Rejection::InstanceTaken { client_id: "their-client".parse().unwrap() };
        let body = from_rejection(&rejection).body(None, None);
        assert!(!String::from_utf8(body).unwrap().contains("their-client"));
    }
}
