//! The entries of accounts, with the totals after each.

use lombard_index::ReadError;
use lombard_ledger_core::{EntrySide, Totals};

use super::Store;
use crate::{
    bytes::{join, part, u128_at},
    place::{AccountNumber, PLACE_BYTES, Place},
};

pub(super) const KEY: usize = 4 + PLACE_BYTES;
/// Version, kind and side, debits and credits posted.
pub(super) const VALUE: usize = 6 + 1 + 32;

/// What made an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// Money moved at once.
    Single,
    /// Money was reserved.
    Pending,
    /// A reservation was posted, in full or in part.
    Post,
    /// A reservation was voided.
    Void,
    /// Money moved back.
    Reversal,
    /// A reservation's time was over.
    Expired,
    /// A scheduled transfer's time came.
    PostedOnTime,
}

impl EntryKind {
    const ALL: [Self; 7] = [
        Self::Single,
        Self::Pending,
        Self::Post,
        Self::Void,
        Self::Reversal,
        Self::Expired,
        Self::PostedOnTime,
    ];

    /// Its name in answers and exports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Pending => "pending",
            Self::Post => "post",
            Self::Void => "void",
            Self::Reversal => "reversal",
            Self::Expired => "expired",
            Self::PostedOnTime => "posted_on_time",
        }
    }

    /// Whether time did it, and no transfer.
    pub const fn is_by_time(self) -> bool {
        matches!(self, Self::Expired | Self::PostedOnTime)
    }
}

/// A text is no kind of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be single, pending, post, void, reversal, expired or posted_on_time")]
pub struct ParseEntryKindError;

impl std::str::FromStr for EntryKind {
    type Err = ParseEntryKindError;

    fn from_str(text: &str) -> Result<Self, ParseEntryKindError> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(ParseEntryKindError)
    }
}

/// What happened to one account at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) account: AccountNumber,
    pub(crate) place: Place,
    pub(crate) kind: EntryKind,
    pub(crate) side: EntrySide,
    pub(crate) before: Totals,
    pub(crate) after: Totals,
    /// How many entries the account has with this one.
    pub(crate) version: u64,
}

/// An entry as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredEntry {
    pub(crate) place: Place,
    pub(crate) version: u64,
    pub(crate) kind: EntryKind,
    pub(crate) side: EntrySide,
    /// Without what is pending, which is kept apart.
    pub(crate) posted: Totals,
}

pub(super) fn key(account: AccountNumber, place: Place) -> [u8; KEY] {
    join(&[&account.0.to_be_bytes(), &place.to_bytes()])
}

pub(super) fn place_of(key: &[u8; KEY]) -> Place {
    Place::from_bytes(part(key, 4))
}

impl StoredEntry {
    fn decode(key: &[u8; KEY], value: &[u8; VALUE]) -> Self {
        let kind_and_side = part::<1>(value, 6)[0];
        let version = u64::from_be_bytes(join(&[&[0; 2], &part::<6>(value, 0)]));
        let kind = EntryKind::ALL.get(usize::from(kind_and_side >> 1)).copied();
        Self {
            place: place_of(key),
            version,
            // The blocks have checksums: nothing else was ever written.
            kind: kind.unwrap_or(EntryKind::Single),
            side: if kind_and_side & 1 == 1 { EntrySide::Credit } else { EntrySide::Debit },
            posted: Totals {
                debits_posted: u128_at(value, 7),
                credits_posted: u128_at(value, 23),
                ..Totals::default()
            },
        }
    }
}

impl Store {
    pub(crate) fn put_entry(&self, effect: &Effect) {
        let Effect { account, place, kind, side, before, after, version } = *effect;
        let key = key(account, place);
        let kind = EntryKind::ALL.iter().position(|of| *of == kind);
        let kind = u8::try_from(kind.unwrap_or_default()).unwrap_or_default();
        let value = join(&[
            &part::<6>(&version.to_be_bytes(), 2),
            &[kind << 1 | u8::from(side == EntrySide::Credit)],
            &after.debits_posted.to_be_bytes(),
            &after.credits_posted.to_be_bytes(),
        ]);
        self.entries.insert(key, value);
        let pending = |totals: Totals| (totals.debits_pending, totals.credits_pending);
        if pending(before) != pending(after) {
            let value =
                join(&[&after.debits_pending.to_be_bytes(), &after.credits_pending.to_be_bytes()]);
            self.reserved.insert(key, value);
        }
    }

    /// The last entry of an account up to a place, with all four totals as they were after it.
    pub(crate) fn last_entry(
        &self,
        account: AccountNumber,
        until: Place,
    ) -> Result<Option<(StoredEntry, Totals)>, ReadError> {
        let (from, to) = (key(account, Place::FIRST), key(account, until));
        let Some((at, value)) = self.entries.last_in(&from, &to)? else {
            return Ok(None);
        };
        let entry = StoredEntry::decode(&at, &value);
        let mut totals = entry.posted;
        if let Some((_, value)) = self.reserved.last_in(&from, &to)? {
            totals.debits_pending = u128_at(&value, 0);
            totals.credits_pending = u128_at(&value, 16);
        }
        Ok(Some((entry, totals)))
    }

    /// The entries of an account from one place to another, both included, oldest first.
    pub(crate) fn entries(
        &self,
        account: AccountNumber,
        from: Place,
        to: Place,
    ) -> impl Iterator<Item = Result<StoredEntry, ReadError>> {
        let range = self.entries.range(&key(account, from), &key(account, to));
        range.map(|entry| entry.map(|(key, value)| StoredEntry::decode(&key, &value)))
    }

    /// The same, newest first.
    pub(crate) fn entries_back(
        &self,
        account: AccountNumber,
        from: Place,
        to: Place,
    ) -> impl Iterator<Item = Result<StoredEntry, ReadError>> {
        let range = self.entries.range_back(&key(account, from), &key(account, to));
        range.map(|entry| entry.map(|(key, value)| StoredEntry::decode(&key, &value)))
    }
}
