//! Parameters: their values as text, and as what their schema takes them for.

use std::borrow::Cow;

use boon::{SchemaIndex, Schemas};
use http::{HeaderMap, HeaderName};
use lombard_gateway_core::{Captures, NormalPath};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{Misfit, validate};

/// A parameter of an operation.
pub(super) struct Parameter {
    pub(super) name: Box<str>,
    pub(super) place: Place,
    pub(super) is_required: bool,
    pub(super) form: Form,
    pub(super) schema: Option<SchemaIndex>,
}

/// Where its value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The segment that this capture is.
    Path(usize),
    Query,
    Header(HeaderName),
}

/// How text becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    One(Kind),
    /// Each value is one element.
    Repeated(Kind),
    /// One value, with commas between the elements.
    List(Kind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Boolean,
}

impl Kind {
    /// What cannot be read as its kind stays text, which the schema then refuses.
    fn read(self, text: &str) -> Value {
        match (self, text) {
            (Self::Boolean, "true") => Value::Bool(true),
            (Self::Boolean, "false") => Value::Bool(false),
            (Self::Number, _) => match serde_json::from_str::<serde_json::Number>(text) {
                Ok(number) => Value::Number(number),
                Err(_) => text.into(),
            },
            _ => text.into(),
        }
    }
}

impl Parameter {
    /// All values that a request has for it.
    pub(super) fn values<'a>(
        &self,
        path: &'a NormalPath,
        captures: &Captures,
        query: Option<&'a str>,
        headers: &'a HeaderMap,
    ) -> Vec<Cow<'a, str>> {
        match &self.place {
            Place::Path(index) => {
                let segment = captures.get(path, *index);
                vec![percent_decode_str(segment).decode_utf8_lossy()]
            }
            Place::Query => url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .filter(|(name, _)| **name == *self.name)
                .map(|(_, value)| value)
                .collect(),
            Place::Header(name) => {
                let values = headers.get_all(name).iter();
                values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect()
            }
        }
    }

    pub(super) fn check(&self, values: &[Cow<'_, str>], schemas: &Schemas) -> Result<(), Misfit> {
        let Some(first) = values.first() else {
            return if self.is_required { Err(self.misfit("it is needed")) } else { Ok(()) };
        };
        let is_single = !matches!(self.form, Form::Repeated(_));
        if is_single && values.len() > 1 {
            return Err(self.misfit("it is there more than once"));
        }
        let value = match self.form {
            Form::One(kind) => kind.read(first),
            Form::Repeated(kind) => values.iter().map(|value| kind.read(value)).collect(),
            Form::List(kind) => first.split(',').map(|part| kind.read(part)).collect(),
        };
        let Some(schema) = self.schema else { return Ok(()) };
        validate(schemas, schema, &value)
            .map_err(|(pointer, reason)| Misfit { pointer, ..self.misfit(&reason) })
    }

    fn misfit(&self, reason: &str) -> Misfit {
        let place = match self.place {
            Place::Path(_) => "path",
            Place::Query => "query",
            Place::Header(_) => "header",
        };
        let (name, pointer) = (Some(self.name.clone()), String::new());
        Misfit { place, name, pointer, reason: reason.to_owned() }
    }
}
