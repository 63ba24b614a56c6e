//! A book's state laid out, for whoever keeps copies of it, and a book made from that again.

use lombard_types::{AccountId, AccountPath, Amount, AssetCode, Timestamp, TransferId};

use crate::{
    Account, Asset, Balance, Book, ChartRule, Ending, HashSeed, LastStatement, NormalSide,
    PeriodLock, Totals,
    pending::{Pending, PendingTransfer},
};

/// An account as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountState {
    /// Its id.
    pub id: AccountId,
    /// Where it stands in the tree of accounts.
    pub path: AccountPath,
    /// What it holds.
    pub asset: AssetCode,
    /// On which side it grows.
    pub normal_side: NormalSide,
    /// What is available may not go below this.
    pub floor: Option<Balance>,
    /// What is posted and expected may not go above this.
    pub ceiling: Option<Balance>,
    /// Whether it takes no transfers.
    pub is_closed: bool,
    /// How many entries it has had.
    pub version: u64,
    /// What has been moved over it.
    pub totals: Totals,
}

/// A set that is pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingState {
    /// Its id.
    pub id: TransferId,
    /// When it ends by itself, and how.
    pub ends: Option<(Timestamp, Ending)>,
    /// Its transfers; at least one.
    pub transfers: Vec<PendingTransferState>,
}

/// One transfer of a pending set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingTransferState {
    /// The account that would be debited.
    pub debit_account: AccountId,
    /// The account that would be credited.
    pub credit_account: AccountId,
    /// What is reserved.
    pub amount: Amount,
    /// How much more may be posted.
    pub allowance: Amount,
}

/// Why something is no part of any book's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// There is an account with this id or path already.
    #[error("two accounts have one id or path")]
    AccountExists,
    /// The account holds an asset that is not there.
    #[error("an account holds an unknown asset")]
    AssetNotFound,
    /// There is a pending set with this id already.
    #[error("two pending sets have one id")]
    TransferExists,
    /// The transfer is between accounts that are not there, or there is none.
    #[error("a transfer is between unknown accounts")]
    AccountNotFound,
    /// A list would be longer than any book's.
    #[error("there are more entries than a book can number")]
    TooMany,
}

/// Makes a book from what [`Book::assets`], [`Book::account_states`], [`Book::pending_states`], [`Book::chart_rules`],
/// [`Book::period_locks`] and [`Book::last_statements`] gave, to be handed in in that order.
#[derive(Debug)]
pub struct RestoreBook {
    book: Book,
}

impl Book {
    /// All assets, by code.
    pub fn assets(&self) -> impl ExactSizeIterator<Item = &Asset> {
        self.assets_by_code.values().map(|&index| self.asset_at(index))
    }

    /// All accounts, in the order in which they were opened.
    pub fn account_states(&self) -> impl ExactSizeIterator<Item = AccountState> {
        self.accounts.iter().map(|account| {
            let Account {
                id,
                path,
                asset,
                normal_side,
                floor,
                ceiling,
                is_closed,
                version,
                totals,
            } = account;
            AccountState {
                id: *id,
                path: path.clone(),
                asset: self.asset_at(*asset).code.clone(),
                normal_side: *normal_side,
                floor: *floor,
                ceiling: *ceiling,
                is_closed: *is_closed,
                version: *version,
                totals: *totals,
            }
        })
    }

    /// All pending sets, in the order of their creation.
    pub fn pending_states(&self) -> impl ExactSizeIterator<Item = PendingState> {
        self.pendings.in_order().into_iter().map(|pending| PendingState {
            id: pending.id,
            ends: pending.ends,
            transfers: pending
                .transfers()
                .map(|transfer| PendingTransferState {
                    debit_account: self.account_at(transfer.debit).id,
                    credit_account: self.account_at(transfer.credit).id,
                    amount: transfer.amount,
                    allowance: transfer.allowance,
                })
                .collect(),
        })
    }
}

impl RestoreBook {
    /// Begins with a new book's assets.
    pub fn new(seed: HashSeed) -> Self {
        Self { book: Book::new(seed) }
    }

    /// Adds an asset, or sets the scale of one that every book knows.
    pub fn asset(&mut self, asset: &Asset) {
        self.book.set_asset(&asset.code, asset.scale);
    }

    /// Adds an account.
    pub fn account(&mut self, account: AccountState) -> Result<(), RestoreError> {
        let book = &mut self.book;
        let Some((asset, _)) = book.indexed_asset(&account.asset) else {
            return Err(RestoreError::AssetNotFound);
        };
        if book.find_id(account.id).is_some() || book.find_path(&account.path).is_some() {
            return Err(RestoreError::AccountExists);
        }
        if !book.has_room_for_account() {
            return Err(RestoreError::TooMany);
        }
        let AccountState {
            id, path, normal_side, floor, ceiling, is_closed, version, totals, ..
        } = account;
        book.insert_account(Account {
            id,
            path,
            asset,
            normal_side,
            floor,
            ceiling,
            is_closed,
            version,
            totals,
        });
        Ok(())
    }

    /// Adds a pending set. What it reserves is in the accounts' totals already.
    pub fn pending(&mut self, pending: &PendingState) -> Result<(), RestoreError> {
        let book = &mut self.book;
        let mut transfers = Vec::with_capacity(pending.transfers.len());
        for transfer in &pending.transfers {
            let debit = book.find_id(transfer.debit_account);
            let credit = book.find_id(transfer.credit_account);
            let (Some(debit), Some(credit)) = (debit, credit) else {
                return Err(RestoreError::AccountNotFound);
            };
            let (amount, allowance) = (transfer.amount, transfer.allowance);
            transfers.push(PendingTransfer { debit, credit, amount, allowance });
        }
        let Some((first, rest)) = transfers.split_first() else {
            return Err(RestoreError::AccountNotFound);
        };
        let (id, ends) = (pending.id, pending.ends);
        let pending = Pending { id, ends, first: *first, rest: rest.into() };
        if book.pendings.insert(pending) { Ok(()) } else { Err(RestoreError::TransferExists) }
    }

    /// Adds a rule of the chart of accounts.
    pub fn chart_rule(&mut self, rule: ChartRule) {
        self.book.chart.insert(rule.prefix.clone(), rule);
    }

    /// Adds a locked period.
    pub fn period_lock(&mut self, lock: PeriodLock) {
        self.book.locks.insert(lock.name.clone(), lock);
    }

    /// Adds an account's last statement.
    pub fn last_statement(&mut self, last: LastStatement) -> Result<(), RestoreError> {
        if self.book.find_id(last.account).is_none() {
            return Err(RestoreError::AccountNotFound);
        }
        self.book.statements.insert(last.account, last);
        Ok(())
    }

    /// The book.
    pub fn finish(self) -> Book {
        self.book
    }
}
