//! Where transfers, accounts and assets are found by name.

use aws_lc_rs::digest;
use lombard_index::ReadError;
use lombard_ledger_core::ExternalId;
use lombard_types::{Position, Timestamp, TransferId};

use super::{Store, entries};
use crate::{
    bytes::{from, join, part, u32_at},
    place::{AccountNumber, AssetNumber, PLACE_BYTES, Place},
};

/// Where an account was opened: the record, and which event of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) place: Place,
    pub(crate) is_closed: bool,
}

/// The first half of the SHA-256. Two ids with equal halves take 2^64 tries to find, and what is found is compared.
fn hash(external: &ExternalId) -> [u8; 16] {
    part(digest::digest(&digest::SHA256, external.as_str().as_bytes()).as_ref(), 0)
}

impl Store {
    pub(crate) fn put_transfer(&self, id: TransferId, place: Place) {
        self.transfers.insert(id.as_u128().to_be_bytes(), place.to_bytes());
    }

    /// The place of the first transfer of a set.
    pub(crate) fn transfer(&self, id: TransferId) -> Result<Option<Place>, ReadError> {
        let value = self.transfers.get(&id.as_u128().to_be_bytes())?;
        Ok(value.map(Place::from_bytes))
    }

    pub(crate) fn put_external(&self, external: &ExternalId, place: Place) {
        self.externals.insert(hash(external), place.to_bytes());
    }

    pub(crate) fn external(&self, external: &ExternalId) -> Result<Option<Place>, ReadError> {
        Ok(self.externals.get(&hash(external))?.map(Place::from_bytes))
    }

    pub(crate) fn put_reversal(&self, of: Place, by: Place) {
        self.reversals.insert(join(&[&of.to_bytes(), &by.to_bytes()]), [0]);
    }

    /// The transfers that reversed a transfer, up to a place.
    pub(crate) fn reversals(
        &self,
        of: Place,
        until: Place,
    ) -> impl Iterator<Item = Result<Place, ReadError>> {
        let key = |by: Place| join(&[&of.to_bytes(), &by.to_bytes()]);
        let range = self.reversals.range(&key(Place::FIRST), &key(until));
        range.map(|entry| entry.map(|(key, _)| Place::from_bytes(part(&key, PLACE_BYTES))))
    }

    pub(crate) fn put_account(&self, number: AccountNumber, opened: Opened) {
        let value = join(&[&opened.place.to_bytes(), &[u8::from(opened.is_closed)]]);
        self.accounts.insert(number.0.to_be_bytes(), value);
    }

    /// An account was closed, or opened again.
    pub(crate) fn put_closing(&self, account: AccountNumber, place: Place, is_closed: bool) {
        self.closings.insert(entries::key(account, place), [u8::from(is_closed)]);
    }

    /// Whether an account was closed at a place.
    pub(crate) fn was_closed(
        &self,
        account: AccountNumber,
        until: Place,
    ) -> Result<bool, ReadError> {
        let (from, to) = (entries::key(account, Place::FIRST), entries::key(account, until));
        Ok(self.closings.last_in(&from, &to)?.is_some_and(|(_, value)| value == [1]))
    }

    /// All accounts in the order of their numbers.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = Result<Opened, ReadError>> {
        self.accounts.range(&[0; 4], &[u8::MAX; 4]).map(|entry| {
            let (_, value) = entry?;
            let [is_closed] = part::<1>(&value, PLACE_BYTES);
            Ok(Opened { place: Place::from_bytes(part(&value, 0)), is_closed: is_closed == 1 })
        })
    }

    pub(crate) fn put_asset(&self, number: AssetNumber, place: Place) {
        self.assets.insert(number.0.to_be_bytes(), place.to_bytes());
    }

    /// The assets that were created, in order.
    pub(crate) fn assets(&self) -> impl Iterator<Item = Result<(AssetNumber, Place), ReadError>> {
        self.assets.range(&[0; 4], &[u8::MAX; 4]).map(|entry| {
            let (key, value) = entry?;
            Ok((AssetNumber(u32_at(&key, 0)), Place::from_bytes(value)))
        })
    }

    /// The position of the first record at a time or later.
    pub(crate) fn position_from(&self, time: Timestamp) -> Result<Position, ReadError> {
        match time.unix_nanos().checked_sub(1) {
            Some(before) => self.position_after(Timestamp::from_unix_nanos(before)),
            None => Ok(Position::START),
        }
    }

    /// How many records there were up to a time: the position of the first later one.
    pub(crate) fn position_after(&self, time: Timestamp) -> Result<Position, ReadError> {
        let last = self.times.last_in(&[0; 8], &time.unix_nanos().to_be_bytes())?;
        Ok(last.map_or(Position::START, |(_, value)| {
            let place: [u8; PLACE_BYTES] = join(&[&value, from(&[0; 3], 0)]);
            Place::from_bytes(place).position.next()
        }))
    }
}
