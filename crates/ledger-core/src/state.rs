//! A book's state laid out, for whoever keeps copies of it, and a book made from that again.

use lombard_types::{AccountId, AccountPath, AssetCode};

use crate::{
    Account, Asset, Balance, Book, HashSeed, NormalSide, Outcome, Recorded, Totals, Transfer,
    account::AccountIndex,
    book::{Parts, Spent},
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
    /// What has been moved over it.
    pub totals: Totals,
}

/// What is remembered of a transfer whose id is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentState {
    /// The transfer.
    pub transfer: Transfer,
    /// The fingerprint of its metadata: a number that a book made.
    pub metadata: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Where and when.
    pub recorded: Recorded,
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
    /// There is a spent transfer with this id already.
    #[error("two transfers have one id")]
    TransferExists,
    /// The transfer is between accounts that are not there.
    #[error("a transfer is between unknown accounts")]
    AccountNotFound,
    /// A list would be longer than any book's.
    #[error("there are more entries than a book can number")]
    TooMany,
}

/// Makes a book from what [`Book::assets`], [`Book::account_states`] and [`Book::spent_states`] gave, to be handed in
/// in that order.
#[derive(Debug)]
pub struct RestoreBook {
    book: Book,
}

impl Book {
    /// All assets, by code.
    pub fn assets(&self) -> impl ExactSizeIterator<Item = &Asset> {
        let Parts { assets_by_code, .. } = self.parts();
        assets_by_code.values().map(|&index| self.asset_at(index))
    }

    /// All accounts, in the order in which they were opened.
    pub fn account_states(&self) -> impl ExactSizeIterator<Item = AccountState> {
        let Parts { accounts, .. } = self.parts();
        accounts.iter().map(|account| {
            let Account { id, path, asset, normal_side, floor, totals } = account;
            AccountState {
                id: *id,
                path: path.clone(),
                asset: self.asset_at(*asset).code.clone(),
                normal_side: *normal_side,
                floor: *floor,
                totals: *totals,
            }
        })
    }

    /// All transfers whose id is spent, in the order in which that happened.
    pub fn spent_states(&self) -> impl ExactSizeIterator<Item = SpentState> {
        let Parts { spent, .. } = self.parts();
        spent.iter().map(|spent| {
            let Spent {
                id,
                debit,
                credit,
                amount,
                user_data,
                code,
                effective_at,
                metadata,
                outcome,
                recorded,
            } = *spent;
            let account = |index: AccountIndex| self.account_at(index).id;
            let transfer = Transfer {
                id,
                debit_account: account(debit),
                credit_account: account(credit),
                amount,
                user_data,
                code,
                effective_at,
            };
            SpentState { transfer, metadata, outcome, recorded }
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
    pub fn account(&mut self, account: &AccountState) -> Result<(), RestoreError> {
        let AccountState { id, path, asset, normal_side, floor, totals } = account;
        let book = &mut self.book;
        if book.indexed_asset(asset).is_none() {
            return Err(RestoreError::AssetNotFound);
        }
        if book.find_id(*id).is_some() || book.find_path(path).is_some() {
            return Err(RestoreError::AccountExists);
        }
        if !book.has_room_for_account() {
            return Err(RestoreError::TooMany);
        }
        book.open_account(*id, path, asset, *normal_side, *floor, *totals);
        Ok(())
    }

    /// Adds a spent transfer. Its amount is in the accounts' totals already.
    pub fn spent(&mut self, spent: &SpentState) -> Result<(), RestoreError> {
        let SpentState { transfer, metadata, outcome, recorded } = spent;
        let book = &mut self.book;
        let is_known = |id: AccountId| book.find_id(id).is_some();
        if !is_known(transfer.debit_account) || !is_known(transfer.credit_account) {
            return Err(RestoreError::AccountNotFound);
        }
        if book.find_spent(transfer.id).is_some() {
            return Err(RestoreError::TransferExists);
        }
        if !book.has_room_for_transfer() {
            return Err(RestoreError::TooMany);
        }
        book.spend(transfer, *metadata, *outcome, *recorded);
        Ok(())
    }

    /// The book.
    pub fn finish(self) -> Book {
        self.book
    }
}
