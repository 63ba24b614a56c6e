//! Reservations, and how they ended.

use lombard_index::ReadError;
use lombard_ledger_core::{Ending, EntrySide};
use lombard_types::{Amount, Timestamp, TransferId};

use super::{EntryKind, Store, entries};
use crate::{
    bytes::{join, part, u32_at, u64_at, u128_at},
    place::{AccountNumber, PLACE_BYTES, Place},
};

/// Both accounts, amount, id, due time, flags, place of the ending, amount posted of it.
pub(super) const VALUE: usize = 4 + 4 + 16 + 16 + 8 + 1 + PLACE_BYTES + 16;
/// Account, time, place of the ending.
pub(super) const LAPSED_KEY: usize = 4 + 8 + PLACE_BYTES;

/// A pending transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredPending {
    pub(crate) debit: AccountNumber,
    pub(crate) credit: AccountNumber,
    pub(crate) amount: Amount,
    pub(crate) id: TransferId,
    /// When it ends by itself, and how.
    pub(crate) ends: Option<(Timestamp, Ending)>,
    pub(crate) ended: Option<Ended>,
}

/// How a pending transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Where.
    pub(crate) place: Place,
    /// [`EntryKind::Post`], [`EntryKind::Void`], [`EntryKind::Expired`] or [`EntryKind::PostedOnTime`].
    pub(crate) kind: EntryKind,
    /// How much of it was moved.
    pub(crate) posted: Amount,
}

const NEVER: u64 = u64::MAX;
const SCHEDULED: u8 = 1;

impl StoredPending {
    fn encode(&self) -> [u8; VALUE] {
        let (due, is_scheduled) = match self.ends {
            Some((time, ending)) => (time.unix_nanos(), ending == Ending::Posted),
            None => (NEVER, false),
        };
        let (how, place, posted) = match self.ended {
            None => (0, Place::FIRST, Amount::ZERO),
            Some(Ended { place, kind, posted }) => {
                let how = match kind {
                    EntryKind::Post => 1,
                    EntryKind::Void => 2,
                    EntryKind::Expired => 3,
                    _ => 4,
                };
                (how, place, posted)
            }
        };
        join(&[
            &self.debit.0.to_be_bytes(),
            &self.credit.0.to_be_bytes(),
            &self.amount.minor_units().to_be_bytes(),
            &self.id.as_u128().to_be_bytes(),
            &due.to_be_bytes(),
            &[how << 1 | if is_scheduled { SCHEDULED } else { 0 }],
            &place.to_bytes(),
            &posted.minor_units().to_be_bytes(),
        ])
    }

    fn decode(value: &[u8; VALUE]) -> Option<Self> {
        let [flags] = part::<1>(value, 48);
        let ending = if flags & SCHEDULED == 0 { Ending::Expired } else { Ending::Posted };
        let due = u64_at(value, 40);
        let kind = match flags >> 1 {
            0 => None,
            1 => Some(EntryKind::Post),
            2 => Some(EntryKind::Void),
            3 => Some(EntryKind::Expired),
            _ => Some(EntryKind::PostedOnTime),
        };
        Some(Self {
            debit: AccountNumber(u32_at(value, 0)),
            credit: AccountNumber(u32_at(value, 4)),
            amount: Amount::from_minor_units(u128_at(value, 8)),
            id: TransferId::from_u128(u128_at(value, 24)).ok()?,
            ends: (due != NEVER).then(|| (Timestamp::from_unix_nanos(due), ending)),
            ended: kind.map(|kind| Ended {
                place: Place::from_bytes(part(value, 49)),
                kind,
                posted: Amount::from_minor_units(u128_at(value, 58)),
            }),
        })
    }

    pub(crate) fn sides(&self) -> [(AccountNumber, EntrySide); 2] {
        [(self.debit, EntrySide::Debit), (self.credit, EntrySide::Credit)]
    }
}

fn lapsed_key(account: AccountNumber, at: Timestamp, place: Place) -> [u8; LAPSED_KEY] {
    join(&[&account.0.to_be_bytes(), &at.unix_nanos().to_be_bytes(), &place.to_bytes()])
}

impl Store {
    pub(crate) fn put_pending(&self, place: Place, pending: &StoredPending) {
        self.pendings.insert(place.to_bytes(), pending.encode());
        if pending.ended.is_none() {
            for (account, side) in pending.sides() {
                let side = [u8::from(side == EntrySide::Credit)];
                self.holds.insert(entries::key(account, place), side);
            }
        }
    }

    /// Time ended a pending transfer `at` its due time, recorded at `ended`.
    pub(crate) fn put_lapsed(
        &self,
        place: Place,
        pending: &StoredPending,
        at: Timestamp,
        ended: Place,
    ) {
        for (account, _) in pending.sides() {
            self.lapsed.insert(lapsed_key(account, at, ended), place.to_bytes());
        }
    }

    pub(crate) fn pending(&self, place: Place) -> Result<Option<StoredPending>, ReadError> {
        let value = self.pendings.get(&place.to_bytes())?;
        Ok(value.as_ref().and_then(StoredPending::decode))
    }

    /// The transfers of a pending set, from the place of the first.
    pub(crate) fn pendings_from(
        &self,
        first: Place,
    ) -> impl Iterator<Item = Result<(Place, StoredPending), ReadError>> {
        let range = self.pendings.range(&first.to_bytes(), &[u8::MAX; PLACE_BYTES]);
        range.filter_map(|entry| match entry {
            Ok((key, value)) => Some(Ok((Place::from_bytes(key), StoredPending::decode(&value)?))),
            Err(error) => Some(Err(error)),
        })
    }

    /// Pending transfers that an account is part of, from one place to another, both included.
    pub(crate) fn holds(
        &self,
        account: AccountNumber,
        from: Place,
        to: Place,
    ) -> impl Iterator<Item = Result<Place, ReadError>> {
        let range = self.holds.range(&entries::key(account, from), &entries::key(account, to));
        range.map(|entry| entry.map(|(key, _)| entries::place_of(&key)))
    }

    /// Pending transfers of an account that time had ended by `until`, newest first, with the place where that was
    /// recorded. The later one ended, the later it was recorded.
    pub(crate) fn lapsed_back(
        &self,
        account: AccountNumber,
        until: Timestamp,
    ) -> impl Iterator<Item = Result<(Place, Place), ReadError>> {
        let last = Place { position: lombard_types::Position::new(u64::MAX), ordinal: u32::MAX };
        let from = lapsed_key(account, Timestamp::EPOCH, Place::FIRST);
        let range = self.lapsed.range_back(&from, &lapsed_key(account, until, last));
        range.map(|entry| {
            let (key, value) = entry?;
            Ok((Place::from_bytes(value), Place::from_bytes(part(&key, 12))))
        })
    }
}
