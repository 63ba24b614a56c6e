//! Appends to several streams, and what they may depend on.

use serde::{Deserialize, Serialize};

use super::{Expected, NewEvent};

/// What to append to one stream.
#[derive(Clone, Debug)]
pub struct StreamAppend {
    /// The stream.
    pub stream: String,
    /// Where the writer believes it to be.
    pub expected: Expected,
    /// At least one.
    pub events: Vec<NewEvent>,
}

/// That something has not happened since the writer looked: a dynamic consistency boundary.
#[derive(Clone, Debug, Serialize)]
pub struct Condition {
    /// No event that meets one of these...
    pub none_of: Vec<Criterion>,
    /// ...may stand after this position, up to which the writer has read; without it, anywhere.
    #[serde(serialize_with = "text")]
    pub after: Option<u64>,
}

/// Events of some types with some tags.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Criterion {
    /// One of these types; empty: any.
    pub types: Vec<String>,
    /// All of these tags; empty: any.
    pub tags: Vec<String>,
}

/// What an append to several streams did.
#[derive(Clone, Debug, Deserialize)]
pub struct AppendedAll {
    /// One for each stream, in their order.
    pub streams: Vec<super::Appended>,
}

#[derive(Serialize)]
pub(super) struct Body<'a> {
    streams: Vec<Part<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'a Condition>,
}

#[derive(Serialize)]
struct Part<'a> {
    stream: &'a str,
    expected: String,
    events: &'a [NewEvent],
}

pub(super) fn body<'a>(streams: &'a [StreamAppend], condition: Option<&'a Condition>) -> Body<'a> {
    let part = |append: &'a StreamAppend| Part {
        stream: &append.stream,
        expected: match append.expected {
            Expected::Any => "any".to_owned(),
            Expected::NoStream => "absent".to_owned(),
            Expected::Revision(revision) => revision.to_string(),
        },
        events: &append.events,
    };
    Body { streams: streams.iter().map(part).collect(), condition }
}

#[expect(clippy::ref_option, reason = "the shape that serde asks for")]
fn text<S: serde::Serializer>(number: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => serializer.collect_str(number),
        None => serializer.serialize_none(),
    }
}
