//! What an event is delivered in order with, and the id of its delivery.

use std::borrow::Cow;

use aws_lc_rs::digest::{Context, SHA256};
use lombard_eventstore_core::{
    Tag,
    group::{Key, Order},
};
use lombard_types::{EventId, GroupName};

use crate::{
    cloud_event::{EventContent, Extension},
    showing::Shown,
    subjects::DATA_SUBJECT,
};

/// The digest of what `order` names of the event.
pub(super) fn key_of(order: &Order, shown: &Shown<'_>) -> Option<Key> {
    let named: Option<(&str, Cow<'_, str>)> = match order {
        Order::Unordered => return None,
        Order::Stream => None,
        Order::Tag(begin) => {
            let is_meant = |tag: &&Tag| {
                tag.as_str().strip_prefix(&**begin).is_some_and(|rest| rest.starts_with(':'))
            };
            let tag = shown.placed.event.tags.iter().find(is_meant);
            tag.map(|tag| ("tag", tag.as_str().into()))
        }
        Order::Attribute(name) => attribute(name, shown).map(|value| ("attribute", value)),
    };
    let (kind, value) = named.unwrap_or_else(|| ("stream", shown.placed.stream.as_str().into()));
    let digest = digest(&[kind.as_bytes(), value.as_bytes()]);
    let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
    Some(Key(u64::from_le_bytes(*first)))
}

/// Of an event that is sealed for a data subject, what is sealed is no key: keys are stored, and a digest of what is to be
/// forgotten would stay. Its data subject is the key then, before an erasure and after.
fn attribute<'a>(name: &str, shown: &'a Shown<'_>) -> Option<Cow<'a, str>> {
    let EventContent { source, subject, extensions, .. } = &shown.content;
    let is_sealed = !matches!(name, "source" | "type");
    let name = if is_sealed && extensions.contains_key(DATA_SUBJECT) { DATA_SUBJECT } else { name };
    match name {
        "source" => Some(Cow::Borrowed(source)),
        "subject" => subject.as_deref().map(Cow::Borrowed),
        "type" => Some(shown.placed.event.event_type.as_str().into()),
        _ => match extensions.get(name)? {
            Extension::Text(text) => Some(Cow::Borrowed(text)),
            Extension::Integer(number) => Some(number.to_string().into()),
            Extension::Boolean(is_true) => Some(is_true.to_string().into()),
        },
    }
}

/// The same for every attempt at an event, also from the dead letters, and for the same event in any group of this name:
/// what consumers remember in order to do nothing twice. A UUID of version 8 (RFC 9562 section 5.8).
pub(super) fn delivery_id(group: &GroupName, event: EventId) -> String {
    let event = event.as_u128().to_be_bytes();
    let digest = digest(&[b"delivery", group.as_str().as_bytes(), &event]);
    let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 16], &[]));
    let id = u128::from_be_bytes(*first);
    let id = (id & !(0xf << 76) & !(0x3 << 62)) | (0x8 << 76) | (0x2 << 62);
    let hex = format!("{id:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    parts.join("-")
}

/// SHA-256 over parts, each with its length, so that no two lists of parts are one text.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_ids_are_of_the_group_and_the_event() {
        let event = |number| EventId::from_u128(number).unwrap();
        let (mail, bank): (GroupName, GroupName) =
            ("mail".parse().unwrap(), "bank".parse().unwrap());
        let id = delivery_id(&mail, event(7));
        assert_eq!(id, delivery_id(&mail, event(7)));
        assert_ne!(id, delivery_id(&mail, event(8)));
        assert_ne!(id, delivery_id(&bank, event(7)));
        // Consumers keep them: another version must not make others. Computed with another program.
        assert_eq!(id, "3b3e6137-3171-8ce6-8763-a738706efae9");
        assert!(id.as_bytes()[14] == b'8' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }
}
