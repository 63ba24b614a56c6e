//! Queries about accounts.

use std::ops::Bound;

use lombard_ledger_core::{AccountRef, Asset, Balance, NormalSide, Recorded, Totals};
use lombard_types::{AccountId, AccountPath};

use super::{EntryNumber, EntryRow, LedgerView, Page, TransferNumber, entries::Entries};

/// Accounts looked at for one page, at most, when the caller may not see all of them.
const EXAMINED_MAX: usize = 10_000;

/// An account as the events so far have left it.
#[derive(Clone, Debug)]
pub struct AccountRow {
    /// Its id.
    pub id: AccountId,
    /// Where it stands in the tree of accounts.
    pub path: AccountPath,
    /// What it holds.
    pub asset: Asset,
    /// On which side it grows.
    pub normal_side: NormalSide,
    /// What is available may not go below this.
    pub floor: Option<Balance>,
    /// What is posted and expected may not go above this.
    pub ceiling: Option<Balance>,
    /// Whether it takes no transfers.
    pub is_closed: bool,
    /// How many entries it has had, those of reservations and their ends included.
    pub version: u64,
    /// What has been moved over it.
    pub totals: Totals,
    /// When it was opened.
    pub opened: Recorded,
    pub(super) entries: Entries,
}

impl AccountRow {
    /// How many entries it has.
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// A page of its entries after one of them, oldest first.
    pub fn entries(&self, after: EntryNumber, limit: usize) -> Page<EntryRow, EntryNumber> {
        Page::collect(self.entries.after(after), limit, usize::MAX, |entry| entry.number, Some)
    }

    /// The entry that a transfer made, if it made one here.
    pub fn entry_of(&self, transfer: TransferNumber) -> Option<EntryRow> {
        self.entries.of(transfer)
    }
}

impl LedgerView {
    /// The account that is named.
    pub fn account(&self, name: &AccountRef) -> Option<&AccountRow> {
        let index = match name {
            AccountRef::Id(id) => self.accounts_by_id.get(id),
            AccountRef::Path(path) => self.accounts_by_path.get(path),
        };
        self.accounts.get(usize::try_from(*index?).ok()?)
    }

    /// A page of the accounts whose path begins with `prefix`, in order of path, after one of them. Leaves out those
    /// that `may_read` refuses.
    pub fn accounts(
        &self,
        prefix: &str,
        after: Option<&AccountPath>,
        limit: usize,
        may_read: impl Fn(&AccountPath) -> bool,
    ) -> Page<&AccountRow, AccountPath> {
        let from = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix),
        };
        let accounts = self
            .accounts_by_path
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(path, _)| path.as_str().starts_with(prefix));
        Page::collect(
            accounts,
            limit,
            EXAMINED_MAX,
            |(path, _)| (*path).clone(),
            |(path, index)| {
                if may_read(path) { self.accounts.get(usize::try_from(*index).ok()?) } else { None }
            },
        )
    }
}
