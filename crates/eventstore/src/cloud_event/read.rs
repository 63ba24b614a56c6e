//! Reads an event that a client sent, strictly.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lombard_eventstore_core::Tag;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{
    CloudEvent, Data, EventContent, Extension, TAGS, attribute, is_own_attribute, json::compact,
};

/// The members of an event as JSON texts. Reading them refuses a member that is said twice.
#[derive(Debug)]
pub(crate) struct Members(BTreeMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CloudEvent, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if members.contains_key(&name) {
                return Err(de::Error::custom(format_args!("the member {name:?} is said twice")));
            }
            members.insert(name, value);
        }
        Ok(Members(members))
    }
}

/// What one event may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) extensions_max: usize,
    pub(crate) attribute_bytes_max: usize,
    pub(crate) tags_max: usize,
}

/// An event is not a CloudEvent, or not one that the store takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{attribute}: {reason}")]
pub(crate) struct InvalidEvent {
    pub(crate) attribute: String,
    pub(crate) reason: String,
}

fn invalid(attribute: &str, reason: impl Into<String>) -> InvalidEvent {
    InvalidEvent { attribute: attribute.to_owned(), reason: reason.into() }
}

pub(crate) fn read(members: Members, limits: Limits) -> Result<CloudEvent, InvalidEvent> {
    let mut members = Attributes { members: members.0, limits };
    let version = members.required("specversion", "must be \"1.0\"", |text| text == "1.0");
    version?;
    let id = members.required("id", "must be a UUID", |_| true)?;
    let id = id.parse().map_err(|error| invalid("id", format!("{error}")))?;
    let event_type = members.required("type", "must not be empty", |_| true)?;
    let event_type = event_type.parse().map_err(|error| invalid("type", format!("{error}")))?;
    let source =
        members.required("source", "must be a URI reference", attribute::is_uri_reference)?;
    let subject = members.optional("subject", "must not be empty", |_| true)?;
    let time = members.optional(
        "time",
        "must be an RFC 3339 instant from 1970 on, such as 2026-01-31T09:30:00Z",
        attribute::is_instant,
    )?;
    let data_content_type =
        members.optional("datacontenttype", "must be a media type", attribute::is_media_type)?;
    let data_schema = members.optional("dataschema", "must be a URI", attribute::is_uri)?;
    let tags = members.tags()?;
    let data = members.data()?;
    let extensions = members.extensions()?;
    let content =
        EventContent { source, subject, time, data_content_type, data_schema, extensions, data };
    Ok(CloudEvent { id, event_type, tags, content })
}

/// Members that are not read yet.
struct Attributes {
    members: BTreeMap<String, Box<RawValue>>,
    limits: Limits,
}

impl Attributes {
    /// The value of an attribute. Null counts as absent, as the JSON Event Format asks in section 2.2.
    fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.members.remove(name).filter(|json| json.get() != "null")
    }

    fn required(
        &mut self,
        name: &str,
        wanted: &str,
        fits: fn(&str) -> bool,
    ) -> Result<Box<str>, InvalidEvent> {
        self.optional(name, wanted, fits)?.ok_or_else(|| invalid(name, "is required"))
    }

    fn optional(
        &mut self,
        name: &str,
        wanted: &str,
        fits: fn(&str) -> bool,
    ) -> Result<Option<Box<str>>, InvalidEvent> {
        let Some(json) = self.take(name) else {
            return Ok(None);
        };
        let text: String =
            serde_json::from_str(json.get()).map_err(|_| invalid(name, "must be a string"))?;
        self.check_text(name, &text)?;
        if text.is_empty() {
            return Err(invalid(name, "must not be empty"));
        }
        if !fits(&text) {
            return Err(invalid(name, wanted));
        }
        Ok(Some(text.into()))
    }

    fn check_text(&self, name: &str, text: &str) -> Result<(), InvalidEvent> {
        let bytes_max = self.limits.attribute_bytes_max;
        if text.len() > bytes_max {
            return Err(invalid(name, format!("is over the limit of {bytes_max} bytes")));
        }
        if text.chars().any(char::is_control) {
            return Err(invalid(name, "must not have control characters"));
        }
        Ok(())
    }

    fn tags(&mut self) -> Result<Box<[Tag]>, InvalidEvent> {
        let Some(text) = self.optional(TAGS, "", |_| true)? else {
            return Ok(Box::default());
        };
        let tags: Result<BTreeSet<Tag>, _> = text.split(',').map(str::parse).collect();
        let tags = tags.map_err(|error| invalid(TAGS, error.to_string()))?;
        let tags_max = self.limits.tags_max;
        if tags.len() > tags_max {
            return Err(invalid(TAGS, format!("{} are over the limit of {tags_max}", tags.len())));
        }
        Ok(tags.into_iter().collect())
    }

    fn data(&mut self) -> Result<Data, InvalidEvent> {
        let binary = self.take("data_base64");
        // Null is a value here: the data is there, and is null.
        match (self.members.remove("data"), binary) {
            (Some(_), Some(_)) => Err(invalid("data_base64", "cannot stand beside data")),
            (Some(json), None) => Ok(Data::Json(compact(json.get()).into())),
            (None, None) => Ok(Data::None),
            (None, Some(json)) => {
                let not_base64 = || invalid("data_base64", "must be a string in base64");
                let text: String = serde_json::from_str(json.get()).map_err(|_| not_base64())?;
                let data = STANDARD.decode(text).map_err(|_| not_base64())?;
                Ok(Data::Binary(data.into()))
            }
        }
    }

    /// Everything that is left.
    fn extensions(&mut self) -> Result<BTreeMap<Box<str>, Extension>, InvalidEvent> {
        let mut extensions = BTreeMap::new();
        let extensions_max = self.limits.extensions_max;
        for (name, json) in std::mem::take(&mut self.members) {
            if !attribute::is_attribute_name(&name) {
                let reason = "names of attributes are made of small letters and digits only";
                return Err(invalid(&name, reason));
            }
            if is_own_attribute(&name) {
                return Err(invalid(&name, "is set by the store"));
            }
            self.check_text(&name, &name)?;
            if json.get() == "null" {
                continue;
            }
            if extensions.len() == extensions_max {
                let reason = format!("is over the limit of {extensions_max} extension attributes");
                return Err(invalid(&name, reason));
            }
            let value = self.extension(&name, &json)?;
            extensions.insert(name.into(), value);
        }
        Ok(extensions)
    }

    fn extension(&self, name: &str, json: &RawValue) -> Result<Extension, InvalidEvent> {
        let reason = "must be a string, a boolean, or an integer from -2147483648 to 2147483647";
        let wrong_type = || invalid(name, reason);
        match serde_json::from_str(json.get()).map_err(|_| wrong_type())? {
            Value::String(text) => {
                self.check_text(name, &text)?;
                Ok(Extension::Text(text.into()))
            }
            Value::Bool(is_true) => Ok(Extension::Boolean(is_true)),
            Value::Number(number) => {
                let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
                number.map(Extension::Integer).ok_or_else(wrong_type)
            }
            Value::Null | Value::Array(_) | Value::Object(_) => Err(wrong_type()),
        }
    }
}
