//! Tags: what an event is about, across streams.

use std::{fmt, str::FromStr};

/// What an event is about: `order:42`. Appends may depend on it ([`crate::Condition`]), and events are found by it.
///
/// 1 to 255 bytes of any characters but control characters, commas and spaces.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// Longest tag, in bytes.
    pub const BYTES_MAX: usize = 255;

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = ParseTagError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_foreign = |c: char| c.is_control() || c == ',' || c.is_whitespace();
        if text.is_empty() || text.len() > Self::BYTES_MAX || text.chars().any(is_foreign) {
            return Err(ParseTagError);
        }
        Ok(Self(text.into()))
    }
}

/// A text is not a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tag is 1 to 255 bytes without commas, white space and control characters")]
pub struct ParseTagError;
