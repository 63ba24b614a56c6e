//! Events, streams and documents.

use lombard_chassis::{ProblemType, problems};

use super::{Content, JSON, Operation, Parameter};
use crate::problem;

const TYPES: Parameter = ("types", "Event types separated by commas; any of them");
const TAGS: Parameter = ("tags", "Tags separated by commas; all of them");
const QUERY: Parameter =
    ("query", "JSON: [{\"types\": [...], \"tags\": [...]}, ...], any of which must be met");
const UNTIL: Parameter = ("until", "The last position to be looked at");
const AS_OF: Parameter = ("as_of", "Only what had been recorded at this time (RFC 3339)");
const AT_LEAST: Parameter = ("at_least", "Waits until this record of the log can be read");
const LIMIT: Parameter = ("limit", "Items of the page, at most");
const DIRECTION: Parameter = ("direction", "forwards (the default) or backwards");
const SCHEMA_VERSION: Parameter = (
    "schema_version",
    "The version of the types' schemas that data is shown in; the newest by default",
);
const PREFIX: Parameter = ("prefix", "Streams whose name begins so");

const PRECONDITIONS: &[Parameter] = &[
    ("If-Match", "\"REVISION\" or *: what must be there"),
    ("If-None-Match", "*: nothing may be there"),
];
const LAST_EVENT_ID: &[Parameter] =
    &[("Last-Event-ID", "With text/event-stream: goes on after this event")];
const EVENTS: &[Content] = &[
    ("application/cloudevents-batch+json", "list of CloudEvent"),
    ("text/event-stream", "CloudEvent"),
];
const NOT_REACHED: ProblemType = problems::POSITION_NOT_REACHED;

/// What an append may answer.
const APPEND: &[ProblemType] = &[
    problems::INVALID_HEADER,
    problems::DISK_FULL,
    problems::OUTCOME_UNKNOWN,
    problem::INVALID_EVENT,
    problem::EVENT_ID_REPEATED,
    problem::NO_EVENTS,
    problem::TOO_MANY_EVENTS,
    problem::TOO_MANY_STREAMS,
    problem::STREAM_REPEATED,
    problem::EVENT_TOO_LARGE,
    problem::EVENT_ID_REUSED,
    problem::WRONG_EXPECTED_REVISION,
    problem::CONDITION_FAILED,
    problem::CONDITION_TOO_COSTLY,
    problem::SCHEMA_MISMATCH,
    problem::SUBJECT_ERASED,
    problem::TOO_MANY_SUBJECTS,
    problem::SUBJECT_KEYS_FAILED,
];
/// What storing a document may answer.
const PUT: &[ProblemType] = &[
    problems::INVALID_HEADER,
    problems::DISK_FULL,
    problems::OUTCOME_UNKNOWN,
    problem::STREAM_NOT_FOUND,
    problem::DOCUMENT_TOO_LARGE,
    problem::WRONG_DOCUMENT_REVISION,
];

const fn put(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    body: &'static [Content],
) -> Operation {
    Operation {
        method: "put",
        path,
        id,
        summary,
        scope: "events:append:STREAM",
        query: &[],
        headers: PRECONDITIONS,
        body,
        status: 204,
        answer: "Stored; 201 the first time. ETag has the document's revision",
        content: &[],
        problems: PUT,
    }
}

const fn get_document(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    content: &'static [Content],
) -> Operation {
    Operation {
        method: "get",
        path,
        id,
        summary,
        scope: "events:read:STREAM",
        query: &[],
        headers: &[],
        body: &[],
        status: 200,
        answer: "The newest; ETag has its revision",
        content,
        problems: &[problem::DOCUMENT_NOT_FOUND, NOT_REACHED],
    }
}

pub(super) const ALL: &[Operation] = &[
    Operation {
        method: "get",
        path: "/streams",
        id: "listStreams",
        summary: "The streams whose name begins so",
        scope: "events:read",
        query: &[PREFIX, ("after", "Streams after this one"), LIMIT, AT_LEAST],
        headers: &[],
        body: &[],
        status: 200,
        answer: "Those that the caller may read",
        content: &[(JSON, "StreamPage")],
        problems: &[NOT_REACHED],
    },
    Operation {
        method: "get",
        path: "/streams/{stream}/events",
        id: "readStream",
        summary: "A stream's events from a revision on, or live with Accept: text/event-stream",
        scope: "events:read:STREAM",
        query: &[
            ("from", "The first revision; without it the first, or backwards the last"),
            LIMIT,
            DIRECTION,
            TYPES,
            TAGS,
            QUERY,
            UNTIL,
            AS_OF,
            AT_LEAST,
            SCHEMA_VERSION,
        ],
        headers: LAST_EVENT_ID,
        body: &[],
        status: 200,
        answer: "A page. Link has the next; ETag has the stream's last revision",
        content: EVENTS,
        problems: &[
            problem::STREAM_NOT_FOUND,
            NOT_REACHED,
            problems::INVALID_HEADER,
            problem::SUBJECT_KEYS_FAILED,
        ],
    },
    Operation {
        method: "post",
        path: "/streams/{stream}/events",
        id: "append",
        summary: "Appends one event or a list of them, all or none; the same again has no second effect",
        scope: "events:append:STREAM",
        query: &[],
        headers: PRECONDITIONS,
        body: &[
            ("application/cloudevents+json", "CloudEvent"),
            ("application/cloudevents-batch+json", "list of CloudEvent"),
        ],
        status: 201,
        answer: "Where the events stand; Idempotency-Replayed: true on the answer to a repetition",
        content: &[(JSON, "Appended")],
        problems: APPEND,
    },
    put(
        "/streams/{stream}/snapshot",
        "putSnapshot",
        "Stores a stream's state at a revision",
        &[(JSON, "Snapshot")],
    ),
    get_document(
        "/streams/{stream}/snapshot",
        "getSnapshot",
        "A stream's stored state",
        &[(JSON, "Snapshot")],
    ),
    put(
        "/streams/{stream}/metadata",
        "putMetadata",
        "Stores what a stream's owner notes of it",
        &[(JSON, "Metadata")],
    ),
    get_document(
        "/streams/{stream}/metadata",
        "getMetadata",
        "What a stream's owner noted of it",
        &[(JSON, "Metadata")],
    ),
    Operation {
        method: "get",
        path: "/events",
        id: "readAll",
        summary: "The events of all streams in one order without gaps, or live with Accept: text/event-stream",
        scope: "events:read, or events:read:PREFIX* with prefix",
        query: &[
            ("after", "Events after this position"),
            ("before", "Backwards: events before this position"),
            LIMIT,
            DIRECTION,
            PREFIX,
            TYPES,
            TAGS,
            QUERY,
            UNTIL,
            AS_OF,
            AT_LEAST,
            SCHEMA_VERSION,
        ],
        headers: LAST_EVENT_ID,
        body: &[],
        status: 200,
        answer: "A page. Link has the next",
        content: EVENTS,
        problems: &[NOT_REACHED, problems::INVALID_HEADER, problem::SUBJECT_KEYS_FAILED],
    },
    Operation {
        method: "post",
        path: "/appends",
        id: "appendToStreams",
        summary: "Appends to several streams at once, on a condition; all or nothing",
        scope: "events:append:STREAM for each stream",
        query: &[],
        headers: &[],
        body: &[(JSON, "Append")],
        status: 201,
        answer: "Where the events stand",
        content: &[(JSON, "AppendedToStreams")],
        problems: APPEND,
    },
    Operation {
        method: "get",
        path: "/schemas",
        id: "listSchemas",
        summary: "The event types that have a schema",
        scope: "events:read for anything",
        query: &[("prefix", "Types that begin so"), ("after", "Types after this one"), LIMIT],
        headers: &[],
        body: &[],
        status: 200,
        answer: "With their newest versions",
        content: &[(JSON, "SchemaPage")],
        problems: &[],
    },
    Operation {
        method: "get",
        path: "/schemas/{type}",
        id: "getSchema",
        summary: "An event type's schema and how older data is brought into its form",
        scope: "events:read for anything, or events:schema:TYPE",
        query: &[("version", "Which; the newest by default")],
        headers: &[],
        body: &[],
        status: 200,
        answer: "The version that was asked for",
        content: &[(JSON, "Schema")],
        problems: &[problem::DOCUMENT_NOT_FOUND],
    },
    Operation {
        method: "put",
        path: "/schemas/{type}",
        id: "putSchema",
        summary: "Puts the next version of an event type's schema",
        scope: "events:schema:TYPE",
        query: &[],
        headers: PRECONDITIONS,
        body: &[(JSON, "NewSchema")],
        status: 201,
        answer: "The next version; 200 where it is the newest already",
        content: &[(JSON, "SchemaSummary")],
        problems: &[
            problems::INVALID_HEADER,
            problems::DISK_FULL,
            problems::OUTCOME_UNKNOWN,
            problem::INVALID_SCHEMA,
            problem::TOO_MANY_SCHEMAS,
            problem::DOCUMENT_TOO_LARGE,
            problem::WRONG_DOCUMENT_REVISION,
        ],
    },
    Operation {
        method: "get",
        path: "/subjects/{subject}",
        id: "getSubject",
        summary: "Whether a data subject is erased",
        scope: "events:erase:SUBJECT",
        query: &[],
        headers: &[],
        body: &[],
        status: 200,
        answer: "What is known of it",
        content: &[(JSON, "Subject")],
        problems: &[problem::SUBJECT_NOT_FOUND, problem::SUBJECT_KEYS_FAILED],
    },
    Operation {
        method: "delete",
        path: "/subjects/{subject}",
        id: "eraseSubject",
        summary: "Destroys the key that a data subject's events are sealed with",
        scope: "events:erase:SUBJECT",
        query: &[],
        headers: &[],
        body: &[],
        status: 200,
        answer: "It is erased, now or before",
        content: &[(JSON, "Subject")],
        problems: &[problems::DISK_FULL, problems::OUTCOME_UNKNOWN, problem::SUBJECT_KEYS_FAILED],
    },
];
