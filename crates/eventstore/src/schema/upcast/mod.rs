//! Brings data of an older version into the form of a newer one, on reading: a list of steps, each of which names places
//! by JSON Pointers (RFC 6901).
//!
//! | step                                              | what it does                                                |
//! |---------------------------------------------------|-------------------------------------------------------------|
//! | `{"op": "rename", "path": "/a/b", "to": "c"}`     | gives a member another name, at its place                   |
//! | `{"op": "move", "from": "/a", "to": "/b/c"}`      | takes a member from one object to another                   |
//! | `{"op": "default", "path": "/a", "value": 1}`     | adds a member where there is none                           |
//! | `{"op": "remove", "path": "/a"}`                  | takes a member away                                         |
//! | `{"op": "wrap", "path": "/a", "as": "b"}`         | puts an object around a value, in which it is the member `b`|
//!
//! **Laws.** A step is a pure, total function of the data. One whose place is not there, or whose new place is taken or
//! inside something that is no object, changes nothing; `move` and `default` make the objects that are missing on the way.
//! What no step names stays as it was: members keep their order and numbers their digits.

mod tree;

use serde::Deserialize;
use serde_json::value::RawValue;

use self::tree::Tree;
use super::InvalidSchema;

/// Names on the way to a place.
const DEPTH_MAX: usize = 32;

/// One step of an upcaster.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Rename { path: Pointer, to: Box<str> },
    Move { from: Pointer, to: Pointer },
    Default { path: Pointer, value: Box<RawValue> },
    Remove { path: Pointer },
    Wrap { path: Pointer, name: Box<str> },
}

/// A place in JSON: the names of members, or indexes of items, that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pointer(Box<[Box<str>]>);

impl Pointer {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Ok(Self(Box::default()));
        }
        let text = text.strip_prefix('/').ok_or("a JSON Pointer is empty or begins with /")?;
        let names: Result<Box<[Box<str>]>, _> = text.split('/').map(unescape).collect();
        let names = names?;
        if names.len() > DEPTH_MAX {
            return Err("a JSON Pointer here has at most 32 parts");
        }
        Ok(Self(names))
    }

    /// The way to the object, and the member's name; `None` for the whole.
    fn split_last(&self) -> Option<(&[Box<str>], &str)> {
        let (last, way) = self.0.split_last()?;
        Some((way, last))
    }
}

/// RFC 6901 section 3: `~1` is a slash, `~0` a tilde, and nothing else follows a tilde.
fn unescape(part: &str) -> Result<Box<str>, &'static str> {
    let mut name = String::with_capacity(part.len());
    let mut characters = part.chars();
    while let Some(character) = characters.next() {
        match character {
            '~' => match characters.next() {
                Some('0') => name.push('~'),
                Some('1') => name.push('/'),
                _ => return Err("in a JSON Pointer, ~ is followed by 0 or 1"),
            },
            character => name.push(character),
        }
    }
    Ok(name.into())
}

/// A step in JSON.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Form {
    Rename { path: String, to: Box<str> },
    Move { from: String, to: String },
    Remove { path: String },
    Wrap { path: String, r#as: Box<str> },
}

/// The one step that holds a value, whose digits are to stay as they are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DefaultForm {
    #[serde(rename = "op")]
    _op: DefaultOp,
    path: String,
    value: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DefaultOp {
    Default,
}

/// Which step it is.
#[derive(Debug, Deserialize)]
struct Op {
    op: String,
}

/// Reads a list of steps.
pub(super) fn read(text: &str) -> Result<Box<[Step]>, InvalidSchema> {
    let items: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|error| InvalidSchema::new("/upcast", error.to_string()))?;
    let read = |(index, item): (usize, &&RawValue)| {
        read_step(item.get())
            .map_err(|reason| InvalidSchema::new(format!("/upcast/{index}"), reason))
    };
    items.iter().enumerate().map(read).collect()
}

fn read_step(text: &str) -> Result<Step, String> {
    let said = |error: serde_json::Error| error.to_string();
    let Op { op } = serde_json::from_str(text).map_err(said)?;
    if op == "default" {
        let DefaultForm { path, value, .. } = serde_json::from_str(text).map_err(said)?;
        return Ok(Step::Default { path: Pointer::parse(&path)?, value });
    }
    Ok(match serde_json::from_str(text).map_err(said)? {
        Form::Rename { path, to } => Step::Rename { path: Pointer::parse(&path)?, to },
        Form::Move { from, to } => {
            Step::Move { from: Pointer::parse(&from)?, to: Pointer::parse(&to)? }
        }
        Form::Remove { path } => Step::Remove { path: Pointer::parse(&path)? },
        Form::Wrap { path, r#as } => Step::Wrap { path: Pointer::parse(&path)?, name: r#as },
    })
}

/// Takes the steps, one after the other. `None` where nothing changes: no step, or data that is not JSON.
pub(crate) fn apply<'s>(data: &str, steps: impl Iterator<Item = &'s Step>) -> Option<String> {
    let mut steps = steps.peekable();
    steps.peek()?;
    let mut tree = Tree::read(data)?;
    for step in steps {
        take(step, &mut tree);
    }
    let mut text = String::with_capacity(data.len());
    tree.write(&mut text);
    Some(text)
}

fn take<'a>(step: &'a Step, tree: &mut Tree<'a>) {
    match step {
        Step::Rename { path, to } => {
            if let Some((way, name)) = path.split_last()
                && let Some(object) = tree.at(way)
            {
                object.rename(name, to);
            }
        }
        Step::Move { from, to } => {
            if let (Some((from_way, from)), Some((to_way, to))) =
                (from.split_last(), to.split_last())
                && tree.has_room(to_way, to)
                && let Some(value) = tree.at(from_way).and_then(|object| object.remove(from))
            {
                // What was taken away may have been on the way to the new place.
                tree.insert(to_way, to, value);
            }
        }
        Step::Default { path, value } => {
            if let Some((way, name)) = path.split_last()
                && tree.has_room(way, name)
            {
                tree.insert(way, name, Tree::Text(value.get()));
            }
        }
        Step::Remove { path } => {
            if let Some((way, name)) = path.split_last()
                && let Some(object) = tree.at(way)
            {
                object.remove(name);
            }
        }
        Step::Wrap { path, name } => {
            if let Some(value) = tree.at(&path.0) {
                value.wrap(name);
            }
        }
    }
}

#[cfg(test)]
mod tests;
