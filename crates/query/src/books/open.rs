//! The reservations that are open: what is to be released when a set is posted or voided, and what time has ended
//! before anybody has recorded it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lombard_ledger_core::{Ending, Totals};
use lombard_types::{Timestamp, TransferId};

use crate::{
    place::{AccountNumber, Place},
    store::StoredPending,
};

pub(crate) type OpenPending = StoredPending;

/// All open pending transfers.
#[derive(Debug, Default)]
pub(crate) struct OpenPendings {
    by_place: BTreeMap<Place, OpenPending>,
    /// The places of a set's transfers, which follow each other: the first, and how many.
    sets: HashMap<TransferId, (Place, u32)>,
    by_account: BTreeSet<(AccountNumber, Place)>,
    due: BTreeSet<(AccountNumber, Timestamp, Place)>,
}

impl OpenPendings {
    pub(crate) fn insert(&mut self, place: Place, pending: OpenPending) {
        self.sets.entry(pending.id).or_insert((place, 0)).1 += 1;
        for (account, _) in pending.sides() {
            self.by_account.insert((account, place));
            if let Some((time, _)) = pending.ends {
                self.due.insert((account, time, place));
            }
        }
        self.by_place.insert(place, pending);
    }

    /// Takes out all transfers of a set, in order. Empty where it is not open.
    pub(crate) fn take(&mut self, id: TransferId) -> Vec<(Place, OpenPending)> {
        let Some((first, count)) = self.sets.remove(&id) else {
            return Vec::new();
        };
        let places = (first.ordinal..).take(usize::try_from(count).unwrap_or(usize::MAX));
        let taken = places.filter_map(|ordinal| {
            let place = Place { ordinal, ..first };
            let pending = self.by_place.remove(&place)?;
            for (account, _) in pending.sides() {
                self.by_account.remove(&(account, place));
                if let Some((time, _)) = pending.ends {
                    self.due.remove(&(account, time, place));
                }
            }
            Some((place, pending))
        });
        taken.collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_place.len()
    }

    /// The open pending transfers of an account, from a place on, oldest first.
    pub(crate) fn of_account(
        &self,
        account: AccountNumber,
        from: Place,
    ) -> impl Iterator<Item = (Place, &OpenPending)> {
        let last = Place { position: lombard_types::Position::new(u64::MAX), ordinal: u32::MAX };
        let range = self.by_account.range((account, from)..=(account, last));
        range.filter_map(|(_, place)| Some((*place, self.by_place.get(place)?)))
    }

    /// Those of an account whose time had come at `time` and that were made before `end`.
    pub(crate) fn overdue(
        &self,
        account: AccountNumber,
        time: Timestamp,
        end: Place,
    ) -> impl Iterator<Item = &OpenPending> {
        let last = Place { position: lombard_types::Position::new(u64::MAX), ordinal: u32::MAX };
        let range =
            self.due.range((account, Timestamp::EPOCH, Place::FIRST)..=(account, time, last));
        range
            .filter(move |(_, _, place)| *place < end)
            .filter_map(|(_, _, place)| self.by_place.get(place))
    }
}

/// What is left of an account's totals when a pending transfer has ended as time ends it.
pub(crate) fn end_by_time(totals: &mut Totals, account: AccountNumber, pending: &OpenPending) {
    let amount = pending.amount.minor_units();
    let is_posted = matches!(pending.ends, Some((_, Ending::Posted)));
    let (reserved, posted) = if account == pending.debit {
        (&mut totals.debits_pending, &mut totals.debits_posted)
    } else {
        (&mut totals.credits_pending, &mut totals.credits_posted)
    };
    // Reserving it has made sure of both.
    *reserved = reserved.saturating_sub(amount);
    if is_posted {
        *posted = posted.saturating_add(amount);
    }
}
