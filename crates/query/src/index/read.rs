//! Questions that the index answers, each as of a cut through history.

use std::ops::Bound;

use lombard_index::ReadError;
use lombard_ledger_core::{AccountRef, EntrySide, Totals};
use lombard_types::{AccountPath, AssetCode, Position, Scale, Timestamp, TransferId};

use super::LedgerIndex;
use crate::{
    AssetSums, CodeSums, EntryKind, Page, Sum,
    books::{AccountRow, AssetRow, end_by_time},
    place::{AccountNumber, Place},
    store::{StoredEntry, StoredPending},
};

/// A moment of the book's history: everything before `end` has happened, and it is `time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The position of the first record that is left out.
    pub end: Position,
    /// Reservations whose time has come by then are over, whether or not that was recorded.
    pub time: Timestamp,
}

impl Cut {
    fn last_place(&self) -> Option<Place> {
        Place::last_before(self.end)
    }
}

/// How an account stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many entries were recorded.
    pub version: u64,
    /// What had been moved over it.
    pub totals: Totals,
}

/// One entry: what one transfer did to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Where it stands.
    pub place: Place,
    /// Its number among the account's entries, from 1.
    pub version: u64,
    /// What made it.
    pub kind: EntryKind,
    /// Which side of the account it is on.
    pub side: EntrySide,
    /// How much was debited or credited for good.
    pub posted: u128,
    /// How much was reserved.
    pub reserved: u128,
    /// How much of a reservation was released.
    pub released: u128,
    /// All totals after it.
    pub totals: Totals,
}

/// A reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldRow {
    /// Where it was made.
    pub place: Place,
    /// The pending set.
    pub id: TransferId,
    /// Which side of the account it is on.
    pub side: EntrySide,
    /// How much is reserved.
    pub amount: u128,
    /// When it ends by itself.
    pub ends_at: Option<Timestamp>,
    /// The account on the other side.
    pub counterparty: AccountNumber,
}

/// What all accounts below a path add up to, in one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixTotals {
    /// The asset.
    pub asset: AssetCode,
    /// Its digits after the point.
    pub scale: Scale,
    /// The sums.
    pub sums: AssetSums,
}

/// An answer would take looking at more than the caller allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("over {examined_max} items would have to be looked at")]
pub struct TooMany {
    /// The limit.
    pub examined_max: usize,
}

impl LedgerIndex {
    /// Everything that is asked is checked against this: an index that cannot go on answers nothing.
    pub fn check(&self) -> Result<(), ReadError> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// The asset with this code.
    pub fn asset(&self, code: &AssetCode) -> Option<&AssetRow> {
        self.books.asset_by_code(code).map(|(_, asset)| asset)
    }

    /// A page of all assets after one of them, in order of code.
    pub fn assets(&self, after: Option<&AssetCode>, limit: usize) -> Page<AssetRow, AssetCode> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let assets = self.books.assets_by_code.range::<AssetCode, _>((from, Bound::Unbounded));
        let row = |(_, number): (&AssetCode, &_)| Some(self.books.asset(*number).clone());
        Page::collect(assets, limit, limit, |(code, _)| (*code).clone(), row)
    }

    /// The account that is named, as it stands in the records so far.
    pub fn account(&self, name: &AccountRef) -> Option<&AccountRow> {
        self.books.number_of_account(name).map(|number| self.books.account(number))
    }

    /// The account with a number.
    pub fn account_by_number(&self, number: AccountNumber) -> &AccountRow {
        self.books.account(number)
    }

    /// A page of the accounts whose path begins with `prefix`, in order of path.
    pub fn accounts<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&AccountPath>,
        limit: usize,
        examined_max: usize,
        may_read: impl Fn(&AccountPath) -> bool,
    ) -> Page<&'a AccountRow, AccountPath> {
        Page::collect(
            self.below(prefix, after),
            limit,
            examined_max,
            |(path, _)| (*path).clone(),
            |(path, account)| may_read(path).then_some(account),
        )
    }

    fn below<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&AccountPath>,
    ) -> impl Iterator<Item = (&'a AccountPath, &'a AccountRow)> {
        let from = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix),
        };
        self.books
            .accounts_by_path
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(move |(path, _)| path.as_str().starts_with(prefix))
            .map(|(path, number)| (path, self.books.account(*number)))
    }

    /// Whether an account took no transfers.
    pub fn was_closed(&self, account: AccountNumber, cut: Cut) -> Result<bool, ReadError> {
        if cut.end > self.record {
            return Ok(self.books.account(account).is_closed);
        }
        match cut.last_place() {
            Some(last) => self.store.was_closed(account, last),
            None => Ok(false),
        }
    }

    /// How an account stood. Two seeks, and a look at the reservations of the account that time has ended and nobody
    /// had recorded.
    pub fn standing(&self, account: AccountNumber, cut: Cut) -> Result<Standing, ReadError> {
        let mut standing = self.recorded(account, cut)?;
        let Some(last) = cut.last_place() else {
            return Ok(standing);
        };
        if cut.end <= self.record {
            for lapsed in self.store.lapsed_back(account, cut.time) {
                let (pending_at, ended_at) = lapsed?;
                if ended_at <= last {
                    break;
                }
                let pending = self.store.pending(pending_at)?.filter(|_| pending_at <= last);
                if let Some(pending) = pending {
                    end_by_time(&mut standing.totals, account, &pending);
                }
            }
        }
        for pending in self.books.open.overdue(account, cut.time, Place::first_of(cut.end)) {
            end_by_time(&mut standing.totals, account, pending);
        }
        Ok(standing)
    }

    /// How an account stood by what was recorded, whatever the time.
    fn recorded(&self, account: AccountNumber, cut: Cut) -> Result<Standing, ReadError> {
        if cut.end > self.record {
            let row = self.books.account(account);
            return Ok(Standing { version: row.version, totals: row.totals });
        }
        let Some(last) = cut.last_place() else {
            return Ok(Standing::default());
        };
        let found = self.store.last_entry(account, last)?;
        let standing =
            |(entry, totals): (StoredEntry, _)| Standing { version: entry.version, totals };
        Ok(found.map(standing).unwrap_or_default())
    }

    /// What had been posted to an account by transfers that count up to a time, as far as the cut knows of them.
    ///
    /// A few seeks; where the cut is in the past, and one step for each transfer with an effective time of its own that
    /// the account has had since, at most `examined_max`.
    pub fn effective(
        &self,
        account: AccountNumber,
        at: Timestamp,
        cut: Cut,
        examined_max: usize,
    ) -> Result<Result<Totals, TooMany>, ReadError> {
        let Some(known) = cut.last_place() else {
            return Ok(Ok(Totals::default()));
        };
        // What was recorded up to then, less what of that says another time, and what says one up to then.
        let recorded_end = self.store.position_after(at)?.min(cut.end);
        let mut totals = self.recorded(account, Cut { end: recorded_end, ..cut })?.totals;
        if let Some(until) = Place::last_before(recorded_end) {
            let dated = self.store.dated_before(account, until)?;
            totals.debits_posted = totals.debits_posted.saturating_sub(dated.debits);
            totals.credits_posted = totals.credits_posted.saturating_sub(dated.credits);
        }
        let Some(moved) = self.store.effective_known(account, at, known, examined_max)? else {
            return Ok(Err(TooMany { examined_max }));
        };
        // And what was scheduled for a time up to then, and is not recorded.
        let scheduled = self.standing(account, Cut { time: at.min(cut.time), ..cut })?.totals;
        let recorded = self.recorded(account, cut)?.totals;
        let due = |scheduled: u128, recorded: u128| scheduled.saturating_sub(recorded);
        totals.debits_posted = totals
            .debits_posted
            .saturating_add(moved.debits)
            .saturating_add(due(scheduled.debits_posted, recorded.debits_posted));
        totals.credits_posted = totals
            .credits_posted
            .saturating_add(moved.credits)
            .saturating_add(due(scheduled.credits_posted, recorded.credits_posted));
        (totals.debits_pending, totals.credits_pending) = (0, 0);
        Ok(Ok(totals))
    }

    /// A page of an account's entries in the order in which they were recorded, after a place.
    pub fn entries(
        &self,
        account: AccountNumber,
        after: Option<Place>,
        cut: Cut,
        limit: usize,
    ) -> Result<Page<EntryRow, Place>, ReadError> {
        let from = after.map_or(Place::FIRST, Place::next);
        let Some(to) = cut.last_place().filter(|to| from <= *to) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let mut totals = match after {
            Some(after) => self.totals_at(account, after)?,
            None => Totals::default(),
        };
        let mut found = self.store.entries(account, from, to);
        let mut items: Vec<EntryRow> = Vec::new();
        for entry in found.by_ref().take(limit) {
            let entry = entry?;
            let after = self.totals_after(account, &entry, totals)?;
            items.push(EntryRow::of(&entry, totals, after));
            totals = after;
        }
        let has_more = found.next().transpose()?.is_some();
        let next = items.last().filter(|_| has_more).map(|entry| entry.place);
        Ok(Page { items, next })
    }

    /// A page of an account's entries before a place, newest first. Three seeks an entry.
    pub fn latest_entries(
        &self,
        account: AccountNumber,
        before: Option<Place>,
        cut: Cut,
        limit: usize,
    ) -> Result<Page<EntryRow, Place>, ReadError> {
        let end = [before, Some(Place::first_of(cut.end))].into_iter().flatten().min();
        let Some(to) = end.and_then(Place::previous) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let mut found = self.store.entries_back(account, Place::FIRST, to);
        let mut items: Vec<EntryRow> = Vec::new();
        for entry in found.by_ref().take(limit) {
            let entry = entry?;
            items.push(self.entry_row(account, &entry)?);
        }
        let has_more = found.next().transpose()?.is_some();
        let next = items.last().filter(|_| has_more).map(|entry| entry.place);
        Ok(Page { items, next })
    }

    /// The entry of an account at a place.
    pub fn entry_at(
        &self,
        account: AccountNumber,
        place: Place,
    ) -> Result<Option<EntryRow>, ReadError> {
        let found = self.store.entries(account, place, place).next().transpose()?;
        found.map(|entry| self.entry_row(account, &entry)).transpose()
    }

    fn entry_row(
        &self,
        account: AccountNumber,
        entry: &StoredEntry,
    ) -> Result<EntryRow, ReadError> {
        let before = match entry.place.previous() {
            Some(previous) => self.totals_at(account, previous)?,
            None => Totals::default(),
        };
        Ok(EntryRow::of(entry, before, self.totals_after(account, entry, before)?))
    }

    fn totals_at(&self, account: AccountNumber, place: Place) -> Result<Totals, ReadError> {
        Ok(self.store.last_entry(account, place)?.map(|(_, totals)| totals).unwrap_or_default())
    }

    fn totals_after(
        &self,
        account: AccountNumber,
        entry: &StoredEntry,
        before: Totals,
    ) -> Result<Totals, ReadError> {
        if matches!(entry.kind, EntryKind::Single | EntryKind::Reversal) {
            let (debits_pending, credits_pending) = (before.debits_pending, before.credits_pending);
            return Ok(Totals { debits_pending, credits_pending, ..entry.posted });
        }
        self.totals_at(account, entry.place)
    }

    /// A page of the reservations that were open, oldest first. Of the past, it looks at all that the account has had,
    /// at most `examined_max` a page.
    pub fn holds(
        &self,
        account: AccountNumber,
        after: Option<Place>,
        cut: Cut,
        limit: usize,
        examined_max: usize,
    ) -> Result<Page<HoldRow, Place>, ReadError> {
        let from = after.map_or(Place::FIRST, Place::next);
        let Some(to) = cut.last_place().filter(|to| from <= *to) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let row = |(place, pending): (Place, StoredPending)| {
            let is_open = pending.ends.is_none_or(|(time, _)| time > cut.time)
                && pending.ended.is_none_or(|ended| ended.place > to);
            is_open.then(|| HoldRow::of(account, place, &pending))
        };
        if cut.end > self.record {
            let open = self.books.open.of_account(account, from);
            let open = open.map(|(place, pending)| (place, *pending));
            return Ok(Page::collect(open, limit, examined_max, |(place, _)| *place, row));
        }
        let mut failed = None;
        let found = self.store.holds(account, from, to).map_while(|place| {
            let pending =
                place.and_then(|place| Ok(self.store.pending(place)?.map(|p| (place, p))));
            pending.map_err(|error| failed = Some(error)).ok().flatten()
        });
        let page = Page::collect(found, limit, examined_max, |(place, _)| *place, row);
        match failed {
            Some(error) => Err(error),
            None => Ok(page),
        }
    }

    /// Both sides of all accounts, per asset that any account held. Of the present, all accounts are added up anew, so
    /// that it is a check; of the past, it is what was added up then: a seek an asset.
    pub fn trial_balance(&self, cut: Cut) -> Result<Vec<PrefixTotals>, ReadError> {
        if cut.end > self.record {
            let accounts = self.books.accounts.iter().map(|row| (row, row.totals));
            return Ok(self.add_up(accounts));
        }
        let Some(last) = cut.end.previous() else {
            return Ok(Vec::new());
        };
        let mut lines = Vec::new();
        for (code, number) in &self.books.assets_by_code {
            let sums = self.store.sums(*number, last)?;
            if sums.account_count > 0 {
                let scale = self.books.asset(*number).scale;
                lines.push(PrefixTotals { asset: code.clone(), scale, sums });
            }
        }
        Ok(lines)
    }

    /// What the accounts whose path begins with `prefix` add up to. Looks at each of them; of the past, with two seeks.
    pub fn prefix_totals(
        &self,
        prefix: &str,
        cut: Cut,
        examined_max: usize,
    ) -> Result<Result<Vec<PrefixTotals>, TooMany>, ReadError> {
        let mut accounts = Vec::new();
        for (examined, (_, account)) in self.below(prefix, None).enumerate() {
            if examined == examined_max {
                return Ok(Err(TooMany { examined_max }));
            }
            if account.opened.position < cut.end {
                accounts.push((account, self.standing(account.number, cut)?.totals));
            }
        }
        Ok(Ok(self.add_up(accounts.into_iter())))
    }

    fn add_up<'a>(
        &self,
        accounts: impl Iterator<Item = (&'a AccountRow, Totals)>,
    ) -> Vec<PrefixTotals> {
        let mut lines = std::collections::BTreeMap::<_, PrefixTotals>::new();
        for (account, totals) in accounts {
            let line = lines.entry(&account.asset.code).or_insert_with(|| PrefixTotals {
                asset: account.asset.code.clone(),
                scale: account.asset.scale,
                sums: AssetSums::default(),
            });
            let sums = &mut line.sums;
            sums.account_count += 1;
            let add = |sum: &mut Sum, total| sum.add(total);
            add(&mut sums.debits_pending, totals.debits_pending);
            add(&mut sums.debits_posted, totals.debits_posted);
            add(&mut sums.credits_pending, totals.credits_pending);
            add(&mut sums.credits_posted, totals.credits_posted);
        }
        lines.into_values().collect()
    }

    /// What was moved, by the code of transfers and asset. Two seeks for each of them that was ever used.
    pub fn code_totals(&self, cut: Cut) -> Result<Vec<(u16, AssetRow, CodeSums)>, ReadError> {
        let Some(last) = cut.end.previous() else {
            return Ok(Vec::new());
        };
        let row = |((code, asset), sums)| (code, self.books.asset(asset).clone(), sums);
        Ok(self.store.codes(last)?.into_iter().map(row).collect())
    }

    /// The place of the first transfer of a posting set.
    pub fn transfer(&self, id: TransferId) -> Result<Option<Place>, ReadError> {
        self.store.transfer(id)
    }

    /// The same, by the caller's own name for the set. What is found there has to be compared.
    pub fn external(
        &self,
        external: &lombard_ledger_core::ExternalId,
    ) -> Result<Option<Place>, ReadError> {
        self.store.external(external)
    }

    /// How a pending transfer ended by the time of the cut: where it was recorded, how, and how much was moved; `None`
    /// where it is open, or is not a pending transfer.
    pub fn ending(
        &self,
        pending: Place,
        cut: Cut,
    ) -> Result<Option<(Option<Place>, EntryKind, u128)>, ReadError> {
        let Some(stored) = self.store.pending(pending)? else {
            return Ok(None);
        };
        if let Some(ended) = stored.ended.filter(|ended| ended.place.position < cut.end) {
            return Ok(Some((Some(ended.place), ended.kind, ended.posted.minor_units())));
        }
        let overdue = stored.ends.filter(|(time, _)| *time <= cut.time);
        Ok(overdue.map(|(_, ending)| match ending {
            lombard_ledger_core::Ending::Expired => (None, EntryKind::Expired, 0),
            lombard_ledger_core::Ending::Posted => {
                (None, EntryKind::PostedOnTime, stored.amount.minor_units())
            }
        }))
    }

    /// Where a transfer was reversed, up to the cut.
    pub fn reversals(&self, of: Place, cut: Cut) -> Result<Vec<Place>, ReadError> {
        match cut.last_place() {
            Some(until) => self.store.reversals(of, until).collect(),
            None => Ok(Vec::new()),
        }
    }

    /// The cut of a time: of all that was recorded up to then.
    pub fn cut_at(&self, time: Timestamp) -> Result<Cut, ReadError> {
        Ok(Cut { end: self.store.position_after(time)?, time })
    }

    /// The position of the first record that was decided at a time or later.
    pub fn position_from(&self, time: Timestamp) -> Result<Position, ReadError> {
        self.store.position_from(time)
    }

    /// The pending transfer of a set that ended at a place, by itself or otherwise: where it was made.
    pub(crate) fn ended_at(&self, id: TransferId, at: Place) -> Result<Option<Place>, ReadError> {
        let Some(first) = self.store.transfer(id)? else {
            return Ok(None);
        };
        for pending in self.store.pendings_from(first) {
            let (place, pending) = pending?;
            if pending.id != id {
                break;
            }
            if pending.ended.is_some_and(|ended| ended.place == at) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// When the last record was decided.
    pub fn last_time(&self) -> Timestamp {
        self.last_time
    }
}

impl EntryRow {
    fn of(entry: &StoredEntry, before: Totals, after: Totals) -> Self {
        let (pending, posted) = match entry.side {
            EntrySide::Debit => (
                (before.debits_pending, after.debits_pending),
                (before.debits_posted, after.debits_posted),
            ),
            EntrySide::Credit => (
                (before.credits_pending, after.credits_pending),
                (before.credits_posted, after.credits_posted),
            ),
        };
        Self {
            place: entry.place,
            version: entry.version,
            kind: entry.kind,
            side: entry.side,
            posted: posted.1.saturating_sub(posted.0),
            reserved: pending.1.saturating_sub(pending.0),
            released: pending.0.saturating_sub(pending.1),
            totals: after,
        }
    }
}

impl HoldRow {
    fn of(account: AccountNumber, place: Place, pending: &StoredPending) -> Self {
        let is_debit = account == pending.debit;
        Self {
            place,
            id: pending.id,
            side: if is_debit { EntrySide::Debit } else { EntrySide::Credit },
            amount: pending.amount.minor_units(),
            ends_at: pending.ends.map(|(time, _)| time),
            counterparty: if is_debit { pending.credit } else { pending.debit },
        }
    }
}
