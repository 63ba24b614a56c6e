//! Reads an event that a client sent as JSON.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lombard_eventstore_core::Tag;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{
    CloudEvent, Data, EventContent, Extension, TAGS,
    check::{InvalidEvent, check_extension_name, invalid},
    json::compact,
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

pub(crate) fn read(members: Members) -> Result<CloudEvent<'static>, InvalidEvent> {
    let mut members = Attributes(members.0);
    if members.required("specversion")? != "1.0" {
        return Err(invalid("specversion", "must be \"1.0\""));
    }
    let id = members.required("id")?;
    let id = id.parse().map_err(|error| invalid("id", format!("{error}")))?;
    let event_type = members.required("type")?;
    let event_type = event_type.parse().map_err(|error| invalid("type", format!("{error}")))?;
    let content = EventContent {
        source: members.required("source")?,
        subject: members.optional("subject")?,
        time: members.optional("time")?,
        data_content_type: members.optional("datacontenttype")?,
        data_schema: members.optional("dataschema")?,
        data: members.data()?,
        ..EventContent::default()
    };
    let tags = members.tags()?;
    let content = EventContent { extensions: members.extensions()?, ..content };
    Ok(CloudEvent { id, event_type, tags, content })
}

/// Members that are not read yet.
struct Attributes(BTreeMap<String, Box<RawValue>>);

impl Attributes {
    /// The value of an attribute. Null counts as absent, as the JSON Event Format asks in section 2.2.
    fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.0.remove(name).filter(|json| json.get() != "null")
    }

    fn required(&mut self, name: &str) -> Result<Cow<'static, str>, InvalidEvent> {
        self.optional(name)?.ok_or_else(|| invalid(name, "is required"))
    }

    fn optional(&mut self, name: &str) -> Result<Option<Cow<'static, str>>, InvalidEvent> {
        let Some(json) = self.take(name) else {
            return Ok(None);
        };
        let text: String =
            serde_json::from_str(json.get()).map_err(|_| invalid(name, "must be a string"))?;
        Ok(Some(text.into()))
    }

    fn tags(&mut self) -> Result<Vec<Tag>, InvalidEvent> {
        let Some(text) = self.optional(TAGS)? else {
            return Ok(Vec::new());
        };
        let tags: Result<Vec<Tag>, _> = text.split(',').map(str::parse).collect();
        tags.map_err(|error| invalid(TAGS, error.to_string()))
    }

    fn data(&mut self) -> Result<Data<'static>, InvalidEvent> {
        let binary = self.take("data_base64");
        // Null is a value here: the data is there, and is null.
        match (self.0.remove("data"), binary) {
            (Some(_), Some(_)) => Err(invalid("data_base64", "cannot stand beside data")),
            (Some(json), None) => {
                let compacted = match compact(json.get()) {
                    Cow::Owned(text) => Some(text),
                    Cow::Borrowed(_) => None,
                };
                let text = compacted.unwrap_or_else(|| Box::<str>::from(json).into_string());
                Ok(Data::Json(text.into()))
            }
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
    fn extensions(
        &mut self,
    ) -> Result<BTreeMap<Cow<'static, str>, Extension<'static>>, InvalidEvent> {
        let mut extensions = BTreeMap::new();
        for (name, json) in std::mem::take(&mut self.0) {
            if json.get() == "null" {
                check_extension_name(&name)?;
                continue;
            }
            let value = extension(&name, &json)?;
            extensions.insert(name.into(), value);
        }
        Ok(extensions)
    }
}

fn extension(name: &str, json: &RawValue) -> Result<Extension<'static>, InvalidEvent> {
    let reason = "must be a string, a boolean, or an integer from -2147483648 to 2147483647";
    let wrong_type = || invalid(name, reason);
    match serde_json::from_str(json.get()).map_err(|_| wrong_type())? {
        Value::String(text) => Ok(Extension::Text(text.into())),
        Value::Bool(is_true) => Ok(Extension::Boolean(is_true)),
        Value::Number(number) => {
            let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
            number.map(Extension::Integer).ok_or_else(wrong_type)
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Err(wrong_type()),
    }
}
