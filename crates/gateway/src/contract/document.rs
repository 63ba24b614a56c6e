//! A place in a document, which knows its own name and follows references within the document.

use serde_json::Value;

/// References to references; more are a circle.
const REFERENCES_MAX: usize = 8;

/// A value, and where it is (JSON Pointer).
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    root: &'a Value,
    pub(super) value: &'a Value,
    pub(super) pointer: String,
}

impl<'a> Node<'a> {
    pub(super) fn root(root: &'a Value) -> Self {
        Self { root, value: root, pointer: String::new() }
    }

    /// The member with this name, as it stands.
    pub(super) fn plain(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name)?;
        let name = name.replace('~', "~0").replace('/', "~1");
        Some(Self { root: self.root, value, pointer: format!("{}/{name}", self.pointer) })
    }

    /// The member with this name, or what it refers to. None where a reference leads nowhere, or out of the document.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        self.plain(name)?.followed()
    }

    /// What stands here, or what it refers to.
    pub(super) fn followed(self) -> Option<Self> {
        let mut node = self;
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = node.value.get("$ref").and_then(Value::as_str) else {
                return Some(node);
            };
            let pointer = reference.strip_prefix('#')?.to_owned();
            let value = node.root.pointer(&pointer)?;
            node = Self { root: node.root, value, pointer };
        }
        None
    }

    /// All members of an object, as they stand.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let members = self.value.as_object().into_iter().flatten();
        members.filter_map(|(name, _)| Some((name.as_str(), self.plain(name)?)))
    }

    /// All elements of a list, or what they refer to; None for one that leads nowhere.
    pub(super) fn elements(&self) -> impl Iterator<Item = Option<Self>> {
        let elements = self.value.as_array().into_iter().flatten().enumerate();
        elements.map(|(index, value)| {
            let pointer = format!("{}/{index}", self.pointer);
            Self { root: self.root, value, pointer }.followed()
        })
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.value.get(name)?.as_str()
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.value.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
}
