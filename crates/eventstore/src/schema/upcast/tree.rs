//! JSON that is read only as far as somebody looks into it. What is not looked into is written again as it was.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// A JSON value.
#[derive(Clone, Debug)]
pub(super) enum Tree<'a> {
    /// As it was.
    Text(&'a str),
    /// Each name once.
    Object(Vec<(Cow<'a, str>, Self)>),
    Array(Vec<Self>),
}

/// Members in their order; of those with one name the last one's value counts, as most readers have it.
struct Members<'a>(Vec<(Cow<'a, str>, Tree<'a>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members: Vec<(Cow<'de, str>, Tree<'de>)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            let value = Tree::Text(value.get());
            match members.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => members.push((Cow::Owned(name), value)),
            }
        }
        Ok(Members(members))
    }
}

impl<'a> Tree<'a> {
    /// `None` where the text is not JSON.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let raw: &'a RawValue = serde_json::from_str(text).ok()?;
        Some(Self::Text(raw.get()))
    }

    /// Reads one level of it.
    fn open(&mut self) {
        let Self::Text(text) = *self else { return };
        match text.as_bytes().first() {
            Some(b'{') => {
                if let Ok(Members(members)) = serde_json::from_str(text) {
                    *self = Self::Object(members);
                }
            }
            Some(b'[') => {
                if let Ok(items) = serde_json::from_str::<Vec<&'a RawValue>>(text) {
                    *self =
                        Self::Array(items.into_iter().map(|raw| Self::Text(raw.get())).collect());
                }
            }
            _ => {}
        }
    }

    fn child(&mut self, name: &str) -> Option<&mut Self> {
        self.open();
        match self {
            Self::Object(members) => {
                members.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
            }
            Self::Array(items) => {
                let index: usize = name.parse().ok()?;
                // "01" and "+1" name no item.
                if index.to_string() == name { items.get_mut(index) } else { None }
            }
            Self::Text(_) => None,
        }
    }

    /// The value at the end of a way.
    pub(super) fn at(&mut self, way: &[Box<str>]) -> Option<&mut Self> {
        way.iter().try_fold(self, |tree, name| tree.child(name))
    }

    /// Whether a member can be added at the end of a way, of which the last objects may be missing.
    pub(super) fn has_room(&mut self, way: &[Box<str>], name: &str) -> bool {
        let mut tree = self;
        for step in way {
            tree.open();
            let is_object = matches!(tree, Self::Object(_));
            match tree.child(step) {
                Some(child) => tree = child,
                None => return is_object,
            }
        }
        tree.open();
        matches!(tree, Self::Object(_)) && tree.child(name).is_none()
    }

    /// Adds a member, and the objects that are missing on the way. Where there is no room, nothing happens.
    pub(super) fn insert(&mut self, way: &[Box<str>], name: &'a str, value: Self) {
        self.open();
        match (way.split_first(), &mut *self) {
            (Some((first, rest)), Self::Object(members)) => {
                let at = members.iter().position(|(known, _)| **known == **first);
                let at = at.unwrap_or_else(|| {
                    let first: String = first.to_string();
                    members.push((Cow::Owned(first), Self::Object(Vec::new())));
                    members.len() - 1
                });
                if let Some((_, child)) = members.get_mut(at) {
                    child.insert(rest, name, value);
                }
            }
            (Some((first, rest)), Self::Array(_)) => {
                if let Some(child) = self.child(first) {
                    child.insert(rest, name, value);
                }
            }
            (None, Self::Object(members)) => members.push((Cow::Borrowed(name), value)),
            (None | Some(_), _) => {}
        }
    }

    /// Takes a member away.
    pub(super) fn remove(&mut self, name: &str) -> Option<Self> {
        self.open();
        let Self::Object(members) = self else { return None };
        let at = members.iter().position(|(known, _)| known == name)?;
        Some(members.remove(at).1)
    }

    /// Gives a member another name, where none has that.
    pub(super) fn rename(&mut self, name: &str, to: &'a str) {
        self.open();
        let Self::Object(members) = self else { return };
        if members.iter().any(|(known, _)| known == to) {
            return;
        }
        if let Some((known, _)) = members.iter_mut().find(|(known, _)| known == name) {
            *known = Cow::Borrowed(to);
        }
    }

    /// Puts an object around it.
    pub(super) fn wrap(&mut self, name: &'a str) {
        let value = std::mem::replace(self, Self::Object(Vec::new()));
        *self = Self::Object(vec![(Cow::Borrowed(name), value)]);
    }

    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    crate::cloud_event::write_string(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
        }
    }
}
