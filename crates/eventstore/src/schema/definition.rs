//! One version as its owner sends it, and as it is stored.

use lombard_eventstore_core::Content;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::cloud_event::compact;

use super::{
    limits,
    upcast::{self, Step},
    validator::Validator,
};

/// The schema of one version, and how the version before becomes it.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    schema: Box<str>,
    upcast: Box<str>,
    steps: Box<[Step]>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    upcast: Option<&'a RawValue>,
}

/// What a definition may be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DefinitionLimits {
    /// Subschemas, with each `$ref` counted as what it refers to.
    pub(crate) nodes_max: usize,
    /// Steps of its upcaster.
    pub(crate) steps_max: usize,
}

/// A definition cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct InvalidSchema {
    /// Where in the request's body (JSON Pointer, RFC 6901).
    pub(crate) pointer: String,
    pub(crate) reason: String,
}

impl InvalidSchema {
    pub(super) fn new(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), reason: reason.into() }
    }
}

impl Definition {
    /// Reads and checks what an owner sends. Answers it with the text to be stored.
    pub(crate) fn read(
        body: &[u8],
        limits: DefinitionLimits,
    ) -> Result<(Self, Content), InvalidSchema> {
        let form = read_form(body)?;
        let definition = Self::from_form(&form)?;
        let schema = definition.schema()?;
        limits::check(&schema, limits.nodes_max)?;
        let count = definition.steps.len();
        if count > limits.steps_max {
            let reason = format!("{count} steps are over the limit of {}", limits.steps_max);
            return Err(InvalidSchema::new("/upcast", reason));
        }
        Validator::compile(&schema)?;
        let Self { schema, upcast, .. } = &definition;
        let stored = format!("{{\"schema\":{schema},\"upcast\":{upcast}}}");
        Ok((definition, Content(stored.into_bytes().into())))
    }

    /// Reads what was stored.
    pub(super) fn from_stored(content: &Content) -> Result<Self, InvalidSchema> {
        Self::from_form(&read_form(&content.0)?)
    }

    fn from_form(form: &Form<'_>) -> Result<Self, InvalidSchema> {
        let steps = match form.upcast {
            Some(text) => upcast::read(text.get())?,
            None => Box::default(),
        };
        let upcast =
            form.upcast.map_or_else(|| "[]".to_owned(), |raw| compact(raw.get()).into_owned());
        Ok(Self { schema: compact(form.schema.get()).into(), upcast: upcast.into(), steps })
    }

    /// What permits all data, and changes none.
    pub(super) fn anything() -> Self {
        Self { schema: "true".into(), upcast: "[]".into(), steps: Box::default() }
    }

    /// The schema.
    pub(super) fn schema(&self) -> Result<Value, InvalidSchema> {
        serde_json::from_str(&self.schema)
            .map_err(|error| InvalidSchema::new("/schema", error.to_string()))
    }

    /// The schema as text.
    pub(crate) fn schema_text(&self) -> &str {
        &self.schema
    }

    /// The upcaster as text: a list of steps.
    pub(crate) fn upcast_text(&self) -> &str {
        &self.upcast
    }

    /// Whether both say the same, white space aside.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.schema == other.schema && self.upcast == other.upcast
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How long it is, as text.
    pub(crate) fn bytes(&self) -> usize {
        self.schema.len() + self.upcast.len()
    }
}

fn read_form(text: &[u8]) -> Result<Form<'_>, InvalidSchema> {
    serde_json::from_slice(text).map_err(|error| InvalidSchema::new("", error.to_string()))
}
