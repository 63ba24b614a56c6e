//! The events of an append, each told by what it has in common with the one before it: they come from one client at one
//! time, so that their ids begin with the same time, and their contents with the same words.
//!
//! ```text
//!  1 byte    bits 0 to 3: bytes that the id has in common with the id before, from its beginning
//!            bit 4: the type is the one before; bit 5: the tags are those before
//!  the rest  of the id, big endian (as a UUID is written)
//!  number    type, where it is another: which of the append's, from 0
//!  count     tags, where they are others; for each: text
//!  1 byte    bytes that the content has in common with the content before, from its beginning
//!  slice     the rest of the content, see `content.rs`
//! ```
//!
//! Before the first event are: an id of zeros, no type, no tags, and no content.

use lombard_engine::DecodeError;
use lombard_eventstore_core::{Content, EventType, NewEvent, Tag};
use lombard_types::EventId;

use super::bytes::{Reader, Writer};

const ID_BYTES: usize = 16;
const ID_COMMON: u8 = 0b1111;
const SAME_TYPE: u8 = 1 << 4;
const SAME_TAGS: u8 = 1 << 5;
const KNOWN_BITS: u8 = ID_COMMON | SAME_TYPE | SAME_TAGS;

/// Writes events one after the other.
pub(super) struct EventsWriter<'a> {
    types: &'a [&'a EventType],
    before: Option<&'a NewEvent>,
}

impl<'a> EventsWriter<'a> {
    pub(super) const fn new(types: &'a [&'a EventType]) -> Self {
        Self { types, before: None }
    }

    pub(super) fn write(&mut self, event: &'a NewEvent, out: &mut Writer<'_>) {
        let NewEvent { id, event_type, tags, content } = event;
        let before = self.before.replace(event);
        let id = id.as_u128().to_be_bytes();
        let id_before = before.map_or(0, |before| before.id.as_u128()).to_be_bytes();
        let id_common = common(&id, &id_before, usize::from(ID_COMMON));
        let is_same_type = before.is_some_and(|before| before.event_type == *event_type);
        let tags_before = before.map_or(&[][..], |before| &before.tags);
        let is_same_tags = tags_before == &**tags;
        let content_before = before.map_or(&[][..], |before| &before.content.0);
        let content_common = common(&content.0, content_before, usize::from(u8::MAX));
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        out.byte(byte(id_common) | flag(is_same_type, SAME_TYPE) | flag(is_same_tags, SAME_TAGS));
        out.put(id.get(id_common..).unwrap_or_default());
        if !is_same_type {
            // Most appends have one type, or a few.
            out.count(self.types.iter().position(|known| *known == event_type).unwrap_or_default());
        }
        if !is_same_tags {
            out.count(tags.len());
            tags.iter().for_each(|tag| out.text(tag.as_str()));
        }
        out.byte(byte(content_common));
        out.slice(content.0.get(content_common..).unwrap_or_default());
    }
}

/// How many bytes two byte strings have in common at their beginnings, up to `most`. Looks at eight at a time: most events
/// have many.
fn common(one: &[u8], other: &[u8], most: usize) -> usize {
    let most = most.min(one.len()).min(other.len());
    let (words, rest) = one.get(..most).unwrap_or_default().as_chunks::<8>();
    let (other_words, other_rest) = other.get(..most).unwrap_or_default().as_chunks::<8>();
    for (at, (word, other)) in words.iter().zip(other_words).enumerate() {
        let differing = u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other);
        if differing != 0 {
            return at * 8 + differing.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8 + rest.iter().zip(other_rest).take_while(|(one, other)| one == other).count()
}

/// What was limited to a byte.
fn byte(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

/// Reads events one after the other.
pub(super) struct EventsReader<'a> {
    types: &'a [EventType],
    id: [u8; ID_BYTES],
    event_type: Option<&'a EventType>,
    tags: Box<[Tag]>,
}

impl<'a> EventsReader<'a> {
    pub(super) fn new(types: &'a [EventType]) -> Self {
        Self { types, id: [0; ID_BYTES], event_type: None, tags: Box::default() }
    }

    /// The next event; `before` are those that were read.
    pub(super) fn read(
        &mut self,
        bytes: &mut Reader<'_>,
        before: Option<&NewEvent>,
    ) -> Result<NewEvent, DecodeError> {
        let head = bytes.byte()?;
        if head & !KNOWN_BITS != 0 {
            return Err(DecodeError("an event begins in an unknown way"));
        }
        let id_rest = self.id.get_mut(usize::from(head & ID_COMMON)..).unwrap_or_default();
        let length = u64::try_from(id_rest.len()).unwrap_or_default();
        id_rest.copy_from_slice(bytes.take(length)?);
        let id = EventId::from_u128(u128::from_be_bytes(self.id))
            .map_err(|_| DecodeError("an event's id is malformed"))?;
        if head & SAME_TYPE == 0 {
            let number = usize::try_from(bytes.number()?).ok();
            self.event_type = number.and_then(|number| self.types.get(number));
        }
        let event_type = self.event_type.ok_or(DecodeError("an event's type is not listed"))?;
        if head & SAME_TAGS == 0 {
            self.tags = (0..bytes.count()?).map(|_| read_tag(bytes)).collect::<Result<_, _>>()?;
        }
        let content = read_content(bytes, before.map_or(&[], |before| &before.content.0))?;
        Ok(NewEvent { id, event_type: event_type.clone(), tags: self.tags.clone(), content })
    }
}

fn read_tag(bytes: &mut Reader<'_>) -> Result<Tag, DecodeError> {
    bytes.text()?.parse().map_err(|_| DecodeError("an event's tag is malformed"))
}

fn read_content(bytes: &mut Reader<'_>, before: &[u8]) -> Result<Content, DecodeError> {
    let common = usize::from(bytes.byte()?);
    let common = before.get(..common).ok_or(DecodeError("an event's content has no beginning"))?;
    let rest = bytes.slice()?;
    let mut content = Vec::with_capacity(common.len() + rest.len());
    content.extend_from_slice(common);
    content.extend_from_slice(rest);
    Ok(Content(content.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_common_ends_at_the_first_byte_that_differs() {
        let one: Vec<u8> = (0..60).collect();
        for differs_at in 0..one.len() {
            let mut other = one.clone();
            other[differs_at] ^= 0x80;
            for most in [0, 7, 8, 40, 255] {
                assert_eq!(common(&one, &other, most), differs_at.min(most));
            }
            assert_eq!(common(&one, &one[..differs_at], 255), differs_at);
        }
    }
}
