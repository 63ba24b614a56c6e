//! CloudEvents 1.0 and their JSON form (cloudevents.io, "CloudEvents" and "JSON Event Format", both 1.0.2).

mod attribute;
mod check;
mod json;
mod read;
mod write;

use std::{borrow::Cow, collections::BTreeMap};

use lombard_eventstore_core::{EventType, Tag};
use lombard_types::EventId;

pub(crate) use check::{InvalidEvent, Limits, check, invalid};
pub(crate) use json::{compact, write_string};
pub(crate) use read::{Members, read};
pub(crate) use write::{to_json, write};

/// The media type of one event.
pub(crate) const STRUCTURED: &str = "application/cloudevents+json";
/// The media type of a list of events.
pub(crate) const BATCH: &str = "application/cloudevents-batch+json";

/// An event that a client appends, as its edge has read it: of the right types, and not [checked](check) yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CloudEvent<'a> {
    pub(crate) id: EventId,
    pub(crate) event_type: EventType,
    /// In any order.
    pub(crate) tags: Vec<Tag>,
    pub(crate) content: EventContent<'a>,
}

/// Everything of an event but its id and type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventContent<'a> {
    /// A URI reference: where it happened.
    pub(crate) source: Cow<'a, str>,
    /// What it is about, within the source.
    pub(crate) subject: Option<Cow<'a, str>>,
    /// When it happened, as the client wrote it (RFC 3339).
    pub(crate) time: Option<Cow<'a, str>>,
    /// The media type of the data; JSON where it is not said.
    pub(crate) data_content_type: Option<Cow<'a, str>>,
    /// A URI of the schema that the data follows.
    pub(crate) data_schema: Option<Cow<'a, str>>,
    pub(crate) extensions: BTreeMap<Cow<'a, str>, Extension<'a>>,
    pub(crate) data: Data<'a>,
    /// The version of the type's schema that the data was checked against.
    pub(crate) schema_version: Option<u32>,
    /// Whose data it holds: it is [sealed](crate::subjects) with that subject's key.
    pub(crate) data_subject: Option<Cow<'a, str>>,
    /// The data, `subject` and the extension attributes, where they are sealed.
    pub(crate) sealed: Option<Cow<'a, [u8]>>,
}

impl<'a> EventContent<'a> {
    /// What stays readable, and what is sealed of an event with a data subject.
    pub(crate) fn split(self) -> (Self, Self) {
        let Self { subject, extensions, data, .. } = self;
        let hidden = Self { subject, extensions, data, ..Self::default() };
        let clear = Self {
            subject: None,
            extensions: BTreeMap::new(),
            data: Data::None,
            source: self.source,
            time: self.time,
            data_content_type: self.data_content_type,
            data_schema: self.data_schema,
            schema_version: self.schema_version,
            data_subject: self.data_subject,
            sealed: None,
        };
        (clear, hidden)
    }
}

/// The value of an extension attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extension<'a> {
    Text(Cow<'a, str>),
    Integer(i32),
    Boolean(bool),
}

impl Extension<'_> {
    pub(crate) fn into_owned(self) -> Extension<'static> {
        match self {
            Self::Text(text) => Extension::Text(text.into_owned().into()),
            Self::Integer(number) => Extension::Integer(number),
            Self::Boolean(is_true) => Extension::Boolean(is_true),
        }
    }
}

/// What the event carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Data<'a> {
    #[default]
    None,
    /// A JSON value as text, without white space between its tokens. Never parsed: numbers keep their digits.
    Json(Cow<'a, str>),
    Binary(Cow<'a, [u8]>),
}

/// Extension attributes that the store adds when an event is read, beside those that begin with [`OWN_PREFIX`]. A client
/// cannot set them.
const OWN_ATTRIBUTES: [&str; 4] = ["stream", "revision", "position", "storetime"];
/// The extension attribute of tags, separated by commas.
pub(crate) const TAGS: &str = "tags";
const OWN_PREFIX: &str = "lombard";
/// The extension "Distributed Tracing": the client's where it set it, else that of its HTTP request.
const TRACEPARENT: &str = "traceparent";

fn is_own_attribute(name: &str) -> bool {
    OWN_ATTRIBUTES.contains(&name) || name.starts_with(OWN_PREFIX)
}
