//! The event store's problems: the only place that names their status codes.

use std::time::Duration;

use lombard_chassis::{Problem, ProblemType, problems};
use lombard_engine::SubmitError;
use lombard_eventstore_core::{DocumentKey, Rejection, Unreadable, group};
use lombard_types::{Position, StreamName};

use crate::{
    cloud_event::InvalidEvent,
    prepare::{Reason, Refused},
    query::QueryError,
    schema::InvalidSchema,
    subjects::{OpenError, SubjectKeysError},
};

// === what is wrong with the request ===

/// An event is not a CloudEvent 1.0, or has an attribute that the store does not take.
pub const INVALID_EVENT: ProblemType = ProblemType::new(400, "invalid-event", "Invalid event");
/// Two events of one append have the same id.
pub const EVENT_ID_REPEATED: ProblemType =
    ProblemType::new(400, "event-id-repeated", "Event id repeated");
/// The append has no event.
pub const NO_EVENTS: ProblemType = ProblemType::new(400, "no-events", "No events");
/// The append has more events than the limit.
pub const TOO_MANY_EVENTS: ProblemType =
    ProblemType::new(413, "too-many-events", "Too many events");
/// The append has more streams than the limit.
pub const TOO_MANY_STREAMS: ProblemType =
    ProblemType::new(413, "too-many-streams", "Too many streams");
/// The append names a stream twice.
pub const STREAM_REPEATED: ProblemType =
    ProblemType::new(400, "stream-repeated", "Stream repeated");
/// A condition would take the writer too long to check.
pub const CONDITION_TOO_COSTLY: ProblemType =
    ProblemType::new(422, "condition-too-costly", "Condition too costly");
/// A snapshot, metadata or a schema is larger than the limit.
pub const DOCUMENT_TOO_LARGE: ProblemType =
    ProblemType::new(413, "document-too-large", "Document too large");
/// An event's data is not as its type's schema wants it.
pub const SCHEMA_MISMATCH: ProblemType =
    ProblemType::new(422, "schema-mismatch", "Schema mismatch");
/// A schema, or its upcaster, cannot be used.
pub const INVALID_SCHEMA: ProblemType = ProblemType::new(422, "invalid-schema", "Invalid schema");
/// There are as many schemas, or versions of this one, as the limits allow.
pub const TOO_MANY_SCHEMAS: ProblemType =
    ProblemType::new(409, "too-many-schemas", "Too many schemas");
/// The data subject of an event, or of a request, is erased.
pub const SUBJECT_ERASED: ProblemType =
    ProblemType::new(409, "subject-erased", "Data subject erased");
/// There are as many data subjects as the limit allows.
pub const TOO_MANY_SUBJECTS: ProblemType =
    ProblemType::new(409, "too-many-subjects", "Too many data subjects");
/// No event was ever marked with this data subject, and it is not erased.
pub const SUBJECT_NOT_FOUND: ProblemType =
    ProblemType::new(404, "subject-not-found", "Data subject not found");
/// The keys of data subjects cannot be used before the role has started again.
pub const SUBJECT_KEYS_FAILED: ProblemType =
    ProblemType::new(503, "subject-keys-failed", "Keys of data subjects failed");
/// One event is larger than the limit.
pub const EVENT_TOO_LARGE: ProblemType =
    ProblemType::new(413, "event-too-large", "Event too large");

// === what does not fit with what is there ===

/// The stream that is read does not exist.
pub const STREAM_NOT_FOUND: ProblemType =
    ProblemType::new(404, "stream-not-found", "Stream not found");
/// There is no snapshot, metadata or schema of that name.
pub const DOCUMENT_NOT_FOUND: ProblemType =
    ProblemType::new(404, "document-not-found", "Document not found");
/// An event's id was spent by an append that is not this one.
pub const EVENT_ID_REUSED: ProblemType =
    ProblemType::new(409, "event-id-reused", "Event id reused");
/// The stream is not at the revision that the request expects.
pub const WRONG_EXPECTED_REVISION: ProblemType =
    ProblemType::new(412, "wrong-expected-revision", "Wrong expected revision");

/// An event that meets the append's condition has been recorded.
pub const CONDITION_FAILED: ProblemType =
    ProblemType::new(412, "condition-failed", "Condition failed");
/// The document is not at the revision that the request expects.
pub const WRONG_DOCUMENT_REVISION: ProblemType =
    ProblemType::new(412, "wrong-document-revision", "Wrong document revision");

/// There is no consumer group of that name.
pub const GROUP_NOT_FOUND: ProblemType =
    ProblemType::new(404, "group-not-found", "Consumer group not found");
/// There is a consumer group of that name with other settings.
pub const GROUP_EXISTS: ProblemType =
    ProblemType::new(409, "group-exists", "Consumer group exists with other settings");
/// As many consumer groups, or consumers of one, as the limit allows.
pub const TOO_MANY_GROUPS: ProblemType =
    ProblemType::new(409, "too-many-groups", "Too many consumer groups");
/// As many consumers have deliveries of the group as the limit allows.
pub const TOO_MANY_CONSUMERS: ProblemType =
    ProblemType::new(429, "too-many-consumers", "Too many consumers");

/// All of the event store's own, for documentation and its test.
pub const ALL: &[ProblemType] = &[
    INVALID_EVENT,
    EVENT_ID_REPEATED,
    NO_EVENTS,
    TOO_MANY_EVENTS,
    TOO_MANY_STREAMS,
    STREAM_REPEATED,
    CONDITION_TOO_COSTLY,
    DOCUMENT_TOO_LARGE,
    EVENT_TOO_LARGE,
    SCHEMA_MISMATCH,
    INVALID_SCHEMA,
    TOO_MANY_SCHEMAS,
    SUBJECT_ERASED,
    TOO_MANY_SUBJECTS,
    SUBJECT_NOT_FOUND,
    SUBJECT_KEYS_FAILED,
    STREAM_NOT_FOUND,
    DOCUMENT_NOT_FOUND,
    EVENT_ID_REUSED,
    WRONG_EXPECTED_REVISION,
    CONDITION_FAILED,
    WRONG_DOCUMENT_REVISION,
    GROUP_NOT_FOUND,
    GROUP_EXISTS,
    TOO_MANY_GROUPS,
    TOO_MANY_CONSUMERS,
];

/// An append without known effect.
pub(crate) fn from_submit_error(error: SubmitError<Rejection>) -> Problem {
    from_submit(error, from_rejection)
}

/// A command about a consumer group without known effect.
pub(crate) fn from_group_error(error: SubmitError<group::Rejection>) -> Problem {
    from_submit(error, |rejection, _| from_group_rejection(&rejection))
}

pub(crate) fn from_group_rejection(rejection: &group::Rejection) -> Problem {
    let problem = match rejection {
        group::Rejection::NotFound { group } => {
            Problem::new(&GROUP_NOT_FOUND).with("group", group.as_str())
        }
        group::Rejection::OtherSettings { group } => {
            Problem::new(&GROUP_EXISTS).with("group", group.as_str())
        }
        group::Rejection::TooManyGroups { count_max } => {
            Problem::new(&TOO_MANY_GROUPS).with("limit", *count_max)
        }
        group::Rejection::TooManyConsumers { count_max } => {
            Problem::new(&TOO_MANY_CONSUMERS).with("limit", *count_max).retry_after(SOON)
        }
        // Told only to whoever reads ahead, which tries again.
        group::Rejection::Stale => Problem::new(&problems::OVERLOADED).retry_after(SOON),
    };
    problem.detail(rejection.to_string())
}

fn from_submit<R>(
    error: SubmitError<R>,
    from_rejection: impl FnOnce(R, Option<Position>) -> Problem,
) -> Problem {
    match error {
        SubmitError::Rejected { rejection, position } => from_rejection(rejection, position),
        SubmitError::Overloaded | SubmitError::Expired => {
            Problem::new(&problems::OVERLOADED).detail(error.to_string()).retry_after(SOON)
        }
        SubmitError::DiskFull => Problem::new(&problems::DISK_FULL).detail(error.to_string()),
        SubmitError::TooLarge { .. } => {
            Problem::new(&problems::BODY_TOO_LARGE).detail(error.to_string())
        }
        SubmitError::OutcomeUnknown => {
            Problem::new(&problems::OUTCOME_UNKNOWN).detail(error.to_string()).retry_after(SOON)
        }
        SubmitError::Stopped => {
            Problem::new(&problems::STOPPING).detail(error.to_string()).retry_after(SOON)
        }
    }
}

/// The answer to trouble that passes by itself.
const SOON: Duration = Duration::from_secs(1);

/// A command that was rejected; `position` is the last record that the rejection depends on.
pub(crate) fn from_rejection(rejection: Rejection, position: Option<Position>) -> Problem {
    let detail = rejection.to_string();
    let problem = match rejection {
        Rejection::NoEvents => Problem::new(&NO_EVENTS),
        Rejection::TooManyEvents { count, count_max } => {
            Problem::new(&TOO_MANY_EVENTS).with("count", count).with("limit", count_max)
        }
        Rejection::TooManyStreams { count, count_max } => {
            Problem::new(&TOO_MANY_STREAMS).with("count", count).with("limit", count_max)
        }
        Rejection::StreamRepeated { stream } => {
            Problem::new(&STREAM_REPEATED).with("stream", stream.as_str())
        }
        Rejection::EventIdRepeated { id } => {
            Problem::new(&EVENT_ID_REPEATED).with("id", id.to_string())
        }
        Rejection::EventIdReused { id, .. } => {
            Problem::new(&EVENT_ID_REUSED).with("id", id.to_string())
        }
        Rejection::WrongExpectedRevision { stream, expected, actual } => {
            Problem::new(&WRONG_EXPECTED_REVISION)
                .with("stream", stream.as_str())
                .with("expected", expected.to_string())
                .with("actual", actual.map(|revision| revision.to_string()))
        }
        Rejection::ConditionFailed { position } => {
            Problem::new(&CONDITION_FAILED).with("event_position", position.to_string())
        }
        Rejection::WrongDocumentRevision { expected, actual, .. } => {
            Problem::new(&WRONG_DOCUMENT_REVISION)
                .with("expected", expected.to_string())
                .with("actual", actual.map(|revision| revision.to_string()))
        }
        Rejection::Unreadable(Unreadable::TooCostly { .. }) => Problem::new(&CONDITION_TOO_COSTLY),
        Rejection::Unreadable(Unreadable::Storage { cause }) => {
            tracing::error!(%cause, "a command was not decided: the index cannot be read");
            return Problem::new(&problems::INTERNAL);
        }
    };
    with_position(problem.detail(detail), position)
}

/// Says the record that an answer depends on.
pub(crate) fn with_position(problem: Problem, position: Option<Position>) -> Problem {
    match position {
        Some(position) => problem.with("log_position", position.to_string()),
        None => problem,
    }
}

/// The event at `index` of the body (from 0) is not one that the store takes.
pub(crate) fn from_invalid_event(index: usize, error: &InvalidEvent) -> Problem {
    Problem::new(&INVALID_EVENT)
        .detail(error.to_string())
        .with("index", index)
        .with("attribute", error.attribute.as_str())
}

/// An event that cannot be appended.
pub(crate) fn from_refused(refused: &Refused) -> Problem {
    let index = refused.index;
    match &refused.source {
        Reason::Invalid(error) => from_invalid_event(index, error),
        Reason::TooLarge { bytes, bytes_max } => event_too_large(index, *bytes, *bytes_max),
        Reason::Mismatch { version, source } => Problem::new(&SCHEMA_MISMATCH)
            .detail(format!("{}: {source}", refused.source))
            .with("index", index)
            .with("pointer", source.pointer.as_str())
            .with("keyword", source.keyword.as_deref())
            .with("version", version.0),
        Reason::SubjectErased => Problem::new(&SUBJECT_ERASED)
            .detail("nothing more is recorded of a data subject that is erased")
            .with("index", index),
        Reason::NoKeys => subject_keys_failed(),
        Reason::Seal => Problem::new(&problems::INTERNAL),
    }
}

pub(crate) fn subject_not_found(subject: &str) -> Problem {
    Problem::new(&SUBJECT_NOT_FOUND)
        .detail("no event was marked with this data subject")
        .with("subject", subject)
}

/// A key that was not made, destroyed or found.
pub(crate) fn from_subject_keys_error(error: &SubjectKeysError) -> Problem {
    match error {
        SubjectKeysError::TooMany { subjects_max } => {
            Problem::new(&TOO_MANY_SUBJECTS).detail(error.to_string()).with("limit", *subjects_max)
        }
        SubjectKeysError::DiskFull => Problem::new(&problems::DISK_FULL).detail(error.to_string()),
        SubjectKeysError::Poisoned => subject_keys_failed(),
        SubjectKeysError::File(_) => {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(%error, cause, "failed to use the keys of data subjects");
            Problem::new(&problems::INTERNAL)
        }
    }
}

fn subject_keys_failed() -> Problem {
    Problem::new(&SUBJECT_KEYS_FAILED)
        .detail("a key could not be written; what is sealed can be read after a restart")
        .retry_after(SOON)
}

/// A definition that its owner has to change.
pub(crate) fn from_invalid_schema(error: &InvalidSchema) -> Problem {
    Problem::new(&INVALID_SCHEMA)
        .detail(format!("{}: {}", error.pointer, error.reason))
        .with("pointer", error.pointer.as_str())
}

/// A limit on schemas; `what` there are too many of.
pub(crate) fn too_many_schemas(what: &'static str, limit: usize) -> Problem {
    Problem::new(&TOO_MANY_SCHEMAS)
        .detail(format!("the limit of {limit} {what} is reached"))
        .with("limit", limit)
}

/// The event at `index` of the body is over the limit.
fn event_too_large(index: usize, bytes: usize, bytes_max: usize) -> Problem {
    Problem::new(&EVENT_TOO_LARGE)
        .detail(format!("an event of {bytes} bytes is over the limit of {bytes_max}"))
        .with("index", index)
        .with("limit_bytes", bytes_max)
}

pub(crate) fn stream_not_found(stream: &StreamName) -> Problem {
    Problem::new(&STREAM_NOT_FOUND)
        .detail(format!("no event was ever appended to {stream}"))
        .with("stream", stream.as_str())
}

pub(crate) fn document_not_found(key: &DocumentKey) -> Problem {
    Problem::new(&DOCUMENT_NOT_FOUND)
        .detail(format!("nothing was stored for {}", key.name))
        .with("name", &*key.name)
}

/// A document that is over the limit.
pub(crate) fn document_too_large(bytes: usize, bytes_max: usize) -> Problem {
    Problem::new(&DOCUMENT_TOO_LARGE)
        .detail(format!("a document of {bytes} bytes is over the limit of {bytes_max}"))
        .with("limit_bytes", bytes_max)
}

/// Events that the log did not give: a defect or damage, for the log of the role.
pub(crate) fn from_query_error(error: &QueryError) -> Problem {
    if let QueryError::Show { source: OpenError::NoKeys, .. } = error {
        return subject_keys_failed();
    }
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, cause, "failed to read events");
    Problem::new(&problems::INTERNAL)
}

/// A record that holds something else than the index says.
pub(crate) fn not_where_indexed(record: Position) -> Problem {
    from_query_error(&QueryError::Missing { record })
}

/// An event that cannot be shown: where that is a defect, it is for the log of the role.
pub(crate) fn from_open_error(error: OpenError) -> Problem {
    match error {
        OpenError::NoKeys => subject_keys_failed(),
        OpenError::Decode(error) => {
            tracing::error!(%error, "failed to decode the content of an event");
            Problem::new(&problems::INTERNAL)
        }
    }
}

/// A member of the body whose value is not of its grammar.
pub(crate) fn invalid_member(name: &'static str, error: impl std::fmt::Display) -> Problem {
    Problem::new(&problems::INVALID_BODY).detail(format!("{name}: {error}")).with("field", name)
}

/// A number of the body that has to be within its limits.
pub(crate) fn within<T: PartialOrd + std::fmt::Display>(
    name: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<T, Problem> {
    if value >= least && value <= most {
        return Ok(value);
    }
    Err(invalid_member(name, format!("must be from {least} to {most}")))
}

/// A header whose value is not of its grammar.
pub(crate) fn invalid_header(name: &'static str, reason: &'static str) -> Problem {
    Problem::new(&problems::INVALID_HEADER).detail(format!("{name}: {reason}"))
}

/// A query parameter whose text is not of its grammar.
pub(crate) fn invalid_parameter(name: &'static str, error: impl std::fmt::Display) -> Problem {
    Problem::new(&problems::INVALID_QUERY)
        .detail(format!("{name}: {error}"))
        .with("parameter", name)
}

/// A subscription that asks for an end, or the other way.
pub(crate) fn not_for_subscriptions() -> Problem {
    Problem::new(&problems::INVALID_QUERY)
        .detail("limit, until, as_of and direction=backwards do not go with text/event-stream")
}

/// A part of the path whose text is not of its grammar.
pub(crate) fn invalid_path(error: impl std::fmt::Display) -> Problem {
    Problem::new(&problems::INVALID_PATH).detail(error.to_string())
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
