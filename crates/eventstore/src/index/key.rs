//! The fixed-size keys and values of the index. Numbers are big endian, so that keys are in order of them.

use aws_lc_rs::digest;
use lombard_eventstore_core::{DocumentKey, DocumentKind, EventPosition};
use lombard_types::{EventId, Position, Revision, StreamName};

/// Positions are kept in 48 bits: at a million events a second that is enough for nine years, and it is checked.
pub(super) const POSITION_BYTES: usize = 6;
/// One position after the last that the index can hold.
pub(super) const POSITIONS_MAX: u64 = 1 << 48;

/// What a name of any length is known by: the first half of its SHA-256. Two names with equal halves take 2^64 tries to
/// find, and what is read by it is compared with the name itself.
pub(super) type Hash = [u8; 16];
/// Tells the types of a tag's events apart.
pub(super) type TypeHash = [u8; 8];

pub(super) type IdKey = [u8; 16];
pub(super) type IdValue = [u8; 6];
/// Stream, first revision.
pub(super) type StreamKey = [u8; 24];
/// Record, first position, count.
pub(super) type StreamValue = [u8; 16];
/// The beginning of the name, hash.
pub(super) type NameKey = [u8; 48];
pub(super) type NameValue = [u8; 6];
/// Tag, type, position: of events of a record that stand next to each other with equal types and tags, the last one's.
pub(super) type TagKey = [u8; 30];
pub(super) type TagValue = [u8; 6];
/// Type, last position of that type in the record.
pub(super) type TypeKey = [u8; 22];
pub(super) type TypeValue = [u8; 6];
/// First position of a record.
pub(super) type StartKey = [u8; 6];
pub(super) type StartValue = [u8; 6];
/// Kind and name.
pub(super) type DocumentHash = [u8; 16];
/// Record, revision.
pub(super) type DocumentValue = [u8; 14];

/// Kind, record.
pub(super) type CatalogKey = [u8; 7];
/// Nothing: that it is there says all.
pub(super) type CatalogValue = [u8; 1];

/// How much of a stream's name is in its key: within it, names are in their order.
pub(super) const NAME_BYTES: usize = 32;

pub(super) fn hash(text: &str) -> Hash {
    half(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn half(digest: &[u8]) -> Hash {
    let mut half = [0; 16];
    half.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    half
}

pub(super) fn type_hash(hash: Hash) -> TypeHash {
    let mut short = [0; 8];
    short.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    short
}

/// Joins parts that are as long as the whole.
pub(super) fn join<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    debug_assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), N, "the length of a key");
    let mut whole = [0; N];
    whole.iter_mut().zip(parts.iter().copied().flatten()).for_each(|(to, from)| *to = *from);
    whole
}

/// The `N` bytes at `offset`.
pub(super) fn part<const N: usize>(whole: &[u8], offset: usize) -> [u8; N] {
    let mut part = [0; N];
    part.iter_mut().zip(whole.iter().skip(offset)).for_each(|(to, from)| *to = *from);
    part
}

/// The low 48 bits, which are all there are.
pub(super) fn six(number: u64) -> [u8; POSITION_BYTES] {
    part(&number.min(POSITIONS_MAX - 1).to_be_bytes(), 2)
}

pub(super) fn number(six: [u8; POSITION_BYTES]) -> u64 {
    u64::from_be_bytes(join(&[&[0, 0], &six]))
}

pub(super) fn record(six: [u8; POSITION_BYTES]) -> Position {
    Position::new(number(six))
}

pub(super) fn position(six: [u8; POSITION_BYTES]) -> EventPosition {
    EventPosition::new(number(six))
}

pub(super) fn id_key(id: EventId) -> IdKey {
    id.as_u128().to_be_bytes()
}

pub(super) fn stream_key(stream: Hash, revision: Revision) -> StreamKey {
    join(&[&stream, &revision.get().to_be_bytes()])
}

pub(super) fn name_key(stream: &StreamName, hash: Hash) -> NameKey {
    join(&[&name_start(stream.as_str()), &hash])
}

/// The beginning of a name, filled up with zeros.
pub(super) fn name_start(name: &str) -> [u8; NAME_BYTES] {
    part(name.as_bytes(), 0)
}

pub(super) fn tag_key(tag: Hash, event_type: TypeHash, position: u64) -> TagKey {
    join(&[&tag, &event_type, &six(position)])
}

pub(super) fn type_key(event_type: Hash, position: u64) -> TypeKey {
    join(&[&event_type, &six(position)])
}

const fn kind_number(kind: DocumentKind) -> u8 {
    match kind {
        DocumentKind::StreamSnapshot => 1,
        DocumentKind::StreamMetadata => 2,
        DocumentKind::Schema => 3,
        DocumentKind::ErasedSubject => 4,
    }
}

pub(super) fn catalog_key(kind: DocumentKind, record: u64) -> CatalogKey {
    join(&[&[kind_number(kind)], &six(record)])
}

pub(super) fn document_key(key: &DocumentKey) -> DocumentHash {
    let mut whole = digest::Context::new(&digest::SHA256);
    whole.update(&[kind_number(key.kind)]);
    whole.update(key.name.as_bytes());
    half(whole.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_order_and_value() {
        let numbers = [0, 1, 255, 256, 1 << 40, POSITIONS_MAX - 1];
        assert!(numbers.windows(2).all(|pair| six(pair[0]) < six(pair[1])));
        for number_in in numbers {
            assert_eq!(number(six(number_in)), number_in);
        }
    }

    #[test]
    fn names_keep_their_order_as_far_as_they_are_kept() {
        let long = "a".repeat(40);
        let names = ["a", "a-b", "a.b", long.as_str(), "b"];
        let mut keys: Vec<NameKey> =
            names.iter().map(|name| name_key(&name.parse().unwrap(), hash(name))).collect();
        let unsorted = keys.clone();
        keys.sort();
        assert_eq!(keys, unsorted);
    }
}
