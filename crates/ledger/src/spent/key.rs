//! Keys and values of the maps, in bytes that sort as they should.

use aws_lc_rs::digest::{SHA256, digest};
use lombard_ledger_core::{ExternalId, Spent, SpentStatus};
use lombard_types::{Position, TransferId};

/// A set's id.
pub(super) type IdKey = [u8; 16];
/// A record in 6 bytes, and how the set stands.
pub(super) type IdValue = [u8; 7];
/// The beginning of an external id's SHA-256.
pub(super) type ExternalKey = [u8; 16];
/// A record.
pub(super) type ExternalValue = [u8; 6];
/// A set's id, and the transfer of it.
pub(super) type ReversedKey = [u8; 18];
/// Minor units.
pub(super) type ReversedValue = [u8; 16];
/// A payment authority.
pub(super) type UsesKey = [u8; 16];
/// How often.
pub(super) type UsesValue = [u8; 4];

/// In the order of their codes, which are in people's files.
const STATUSES: [SpentStatus; 8] = [
    SpentStatus::Posted,
    SpentStatus::Voiding,
    SpentStatus::Refused,
    SpentStatus::Pending,
    SpentStatus::PendingPosted,
    SpentStatus::PendingPostedOnTime,
    SpentStatus::PendingVoided,
    SpentStatus::PendingExpired,
];

pub(super) fn id_key(id: TransferId) -> IdKey {
    id.as_u128().to_be_bytes()
}

pub(super) fn id_value(spent: Spent) -> IdValue {
    let [a, b, c, d, e, f] = record(spent.position);
    let code = (0..).zip(STATUSES).find(|(_, status)| *status == spent.status);
    [a, b, c, d, e, f, code.map_or(u8::MAX, |(code, _)| code)]
}

/// `None` for a status that this version does not know.
pub(super) fn spent(value: IdValue) -> Option<Spent> {
    let [a, b, c, d, e, f, code] = value;
    let status = STATUSES.get(usize::from(code)).copied()?;
    Some(Spent { position: position([a, b, c, d, e, f]), status })
}

/// Two external ids with one beginning of their hashes are not found in the life of any book.
pub(super) fn external_key(id: &ExternalId) -> ExternalKey {
    let hash = digest(&SHA256, id.as_str().as_bytes());
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

pub(super) fn reversed_key(id: TransferId, transfer: u16) -> ReversedKey {
    let mut key = [0; 18];
    let bytes = id.as_u128().to_be_bytes().into_iter().chain(transfer.to_be_bytes());
    key.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    key
}

/// A log has fewer than 2^48 records.
pub(super) fn record(position: Position) -> [u8; 6] {
    let [_, _, bytes @ ..] = position.get().to_be_bytes();
    bytes
}

pub(super) fn position([a, b, c, d, e, f]: [u8; 6]) -> Position {
    Position::new(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_trip() {
        for status in STATUSES {
            let known = Spent { position: Position::new(0x0102_0304_0506), status };
            assert_eq!(spent(id_value(known)), Some(known));
        }
        assert_eq!(spent([0, 0, 0, 0, 0, 0, 8]), None);
        // Golden: these bytes are in people's files.
        let known = Spent { position: Position::new(7), status: SpentStatus::Pending };
        assert_eq!(id_value(known), [0, 0, 0, 0, 0, 7, 3]);
    }
}
