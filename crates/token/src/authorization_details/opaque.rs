//! A detail of a type that the platform knows nothing of.

use serde_json::{Map, Value};

use super::DetailType;

/// A detail for a service of the platform's users: its type, where it is good, and the rest as it was given.
///
/// It is granted and compared as a whole: what would be narrower, only the service knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpaqueDetail {
    detail_type: DetailType,
    location: Option<Box<str>>,
    /// All members, `type` and `locations` too.
    members: Map<String, Value>,
}

impl OpaqueDetail {
    pub(super) fn new(
        detail_type: DetailType,
        location: Option<Box<str>>,
        members: Map<String, Value>,
    ) -> Self {
        Self { detail_type, location, members }
    }

    /// Its type.
    pub fn detail_type(&self) -> &DetailType {
        &self.detail_type
    }

    /// The one resource that it is for, where it says so (`locations`, RFC 9396 section 2.2).
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// A member of it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// All of it, as JSON text: for whoever must see exactly what is permitted.
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    pub(super) fn to_value(&self) -> Value {
        Value::Object(self.members.clone())
    }
}
