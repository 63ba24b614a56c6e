//! Sums by effective time, of the transfers that say one.
//!
//! Most transfers count when they are recorded, and the entries are in that order. Those with an effective time of their
//! own may come in any order, so their sums are kept per span of time, in a few sizes: each is added to the span of each
//! size that it is in, and the sum up to a time is that of the spans before it, at most 256 of a size.

use lombard_index::{Map, ReadError};
use lombard_ledger_core::EntrySide;
use lombard_types::Timestamp;

use super::{Store, entries};
use crate::{
    bytes::{join, u64_at, u128_at},
    place::{AccountNumber, Place},
};

/// Effective time, sums of debits and credits.
pub(super) const DATED_VALUE: usize = 8 + 32;
/// Account, level, number of the span.
pub(super) const SPAN_KEY: usize = 4 + 1 + 8;

/// Spans of 2^n nanoseconds: an instant, 69 seconds, 5 hours, 52 days, 36 years. Within the second smallest there may be
/// any number of instants, but few have more than one a second.
const LEVELS: [u32; 5] = [0, 36, 44, 52, 60];

/// What was debited and credited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) debits: u128,
    pub(crate) credits: u128,
}

impl Moved {
    fn to_bytes(self) -> [u8; 32] {
        join(&[&self.debits.to_be_bytes(), &self.credits.to_be_bytes()])
    }

    fn from_bytes(bytes: &[u8], offset: usize) -> Self {
        Self { debits: u128_at(bytes, offset), credits: u128_at(bytes, offset + 16) }
    }

    /// Never over the account's total, which does not overflow.
    fn add(&mut self, side: EntrySide, amount: u128) {
        let sum = match side {
            EntrySide::Debit => &mut self.debits,
            EntrySide::Credit => &mut self.credits,
        };
        *sum = sum.saturating_add(amount);
    }

    fn plus(self, other: Self) -> Self {
        Self {
            debits: self.debits.saturating_add(other.debits),
            credits: self.credits.saturating_add(other.credits),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            debits: self.debits.saturating_sub(other.debits),
            credits: self.credits.saturating_sub(other.credits),
        }
    }
}

fn span_key(account: AccountNumber, level: u32, span: u64) -> [u8; SPAN_KEY] {
    let level = u8::try_from(level).unwrap_or(u8::MAX);
    join(&[&account.0.to_be_bytes(), &[level], &span.to_be_bytes()])
}

fn sum<const K: usize>(map: &Map<K, 32>, from: &[u8; K], to: &[u8; K]) -> Result<Moved, ReadError> {
    map.range(from, to).try_fold(Moved::default(), |sum, entry| {
        let (_, value) = entry?;
        Ok(sum.plus(Moved::from_bytes(&value, 0)))
    })
}

impl Store {
    /// An amount moved on one side of an account that counts at another time than it was recorded.
    pub(crate) fn put_dated(
        &self,
        (account, side): (AccountNumber, EntrySide),
        place: Place,
        effective_at: Timestamp,
        amount: u128,
    ) -> Result<(), ReadError> {
        let mut so_far = match place.previous() {
            Some(until) => self.dated_before(account, until)?,
            None => Moved::default(),
        };
        so_far.add(side, amount);
        let value = join(&[&effective_at.unix_nanos().to_be_bytes(), &so_far.to_bytes()]);
        self.dated.insert(entries::key(account, place), value);
        self.put_date(account, effective_at, place);
        for level in LEVELS {
            let key = span_key(account, level, effective_at.unix_nanos() >> level);
            let known = self.effective.get(&key)?;
            let mut sum = known.map_or_else(Moved::default, |value| Moved::from_bytes(&value, 0));
            sum.add(side, amount);
            self.effective.insert(key, sum.to_bytes());
        }
        Ok(())
    }

    /// The sums of an account's dated transfers that were recorded up to a place.
    pub(crate) fn dated_before(
        &self,
        account: AccountNumber,
        until: Place,
    ) -> Result<Moved, ReadError> {
        let (from, to) = (entries::key(account, Place::FIRST), entries::key(account, until));
        let last = self.dated.last_in(&from, &to)?;
        Ok(last.map_or_else(Moved::default, |(_, value)| Moved::from_bytes(&value, 8)))
    }

    /// The sums of an account's dated transfers that count up to a time, whenever they were recorded.
    fn effective_until(
        &self,
        account: AccountNumber,
        until: Timestamp,
    ) -> Result<Moved, ReadError> {
        let nanos = until.unix_nanos();
        let mut total = Moved::default();
        for (level, above) in LEVELS.iter().zip(LEVELS.iter().skip(1).copied().chain([64])) {
            let own = nanos >> level;
            let first =
                nanos.checked_shr(above).unwrap_or(0).checked_shl(above).unwrap_or(0) >> level;
            // The span that the time itself is in counts only where it is an instant.
            let last = if *level == 0 { Some(own) } else { own.checked_sub(1) };
            if let Some(last) = last.filter(|last| *last >= first) {
                let (from, to) =
                    (span_key(account, *level, first), span_key(account, *level, last));
                total = total.plus(sum(&self.effective, &from, &to)?);
            }
        }
        Ok(total)
    }

    /// The same of those that were recorded up to a place: takes away what was recorded later, one by one, of which
    /// there may be `examined_max`. `None` where there are more.
    pub(crate) fn effective_known(
        &self,
        account: AccountNumber,
        until: Timestamp,
        known: Place,
        examined_max: usize,
    ) -> Result<Option<Moved>, ReadError> {
        let mut total = self.effective_until(account, until)?;
        let mut before = self.dated_before(account, known)?;
        let (from, to) = (entries::key(account, known.next()), entries::key(account, LAST));
        for (examined, entry) in self.dated.range(&from, &to).enumerate() {
            if examined == examined_max {
                return Ok(None);
            }
            let (_, value) = entry?;
            let after = Moved::from_bytes(&value, 8);
            if u64_at(&value, 0) <= until.unix_nanos() {
                total = total.minus(after.minus(before));
            }
            before = after;
        }
        Ok(Some(total))
    }
}

const LAST: Place = Place { position: lombard_types::Position::new(u64::MAX), ordinal: u32::MAX };
