//! What must be known to make rows of events: the assets, the accounts as they stand, and the reservations that are open.
//! It can be read from the tables, so nothing else has to be kept.

mod learn;

use std::collections::{BTreeMap, HashMap};

use lombard_ledger_core::{Balance, NormalSide, Totals, built_in};
use lombard_types::{AccountId, AccountPath, AssetCode, Position, Scale, Timestamp, TransferId};

use crate::rows::ReservationRow;

/// An asset that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asset {
    pub(crate) code: AssetCode,
    pub(crate) scale: Scale,
    /// Where it was created; `None` for a currency that every book knows.
    pub(crate) created: Option<Position>,
}

/// An account as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) path: AccountPath,
    /// Index into the assets.
    pub(crate) asset: u32,
    pub(crate) scale: Scale,
    pub(crate) normal_side: NormalSide,
    pub(crate) floor: Option<Balance>,
    pub(crate) ceiling: Option<Balance>,
    pub(crate) is_closed: bool,
    pub(crate) position: Position,
    pub(crate) opened_at: Timestamp,
    /// How many entries it has.
    pub(crate) version: u64,
    pub(crate) totals: Totals,
}

/// An open reservation of a set: its rows, in the order of the set's transfers.
pub(crate) type OpenSet = Vec<ReservationRow>;

/// The state that the events so far have left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) assets: Vec<Asset>,
    assets_by_code: BTreeMap<AssetCode, u32>,
    pub(crate) accounts: Vec<Account>,
    accounts_by_id: HashMap<AccountId, u32>,
    open: HashMap<TransferId, OpenSet>,
    /// The next record to learn.
    pub(crate) position: Position,
    /// When the one before it was decided.
    pub(crate) recorded_at: Timestamp,
    /// How many transfers there are; they are numbered from 1.
    pub(crate) transfer_count: u64,
}

/// What the tables or the events say cannot be: they are of another ledger, or of a version that knows more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BooksError {
    #[error("account {0} is not known")]
    UnknownAccount(AccountId),
    #[error("asset {0} is not known")]
    UnknownAsset(AssetCode),
    #[error("transfer {0} is not pending")]
    NotPending(TransferId),
    #[error("a total of account {0} would overflow")]
    Overflow(AccountId),
    #[error("there are more accounts or assets than can be numbered")]
    TooMany,
}

impl Books {
    /// Nothing but the built-in assets.
    pub(crate) fn new() -> Self {
        let mut books = Self {
            assets: Vec::new(),
            assets_by_code: BTreeMap::new(),
            accounts: Vec::new(),
            accounts_by_id: HashMap::new(),
            open: HashMap::new(),
            position: Position::START,
            recorded_at: Timestamp::EPOCH,
            transfer_count: 0,
        };
        for asset in built_in() {
            let number = u32::try_from(books.assets.len()).unwrap_or(u32::MAX);
            books.assets_by_code.insert(asset.code.clone(), number);
            books.assets.push(Asset { code: asset.code, scale: asset.scale, created: None });
        }
        books
    }

    /// Adds an asset, or says where one of the built-in ones was created that users had before it became built in.
    pub(crate) fn set_asset(
        &mut self,
        code: AssetCode,
        scale: Scale,
        created: Option<Position>,
    ) -> Result<u32, BooksError> {
        if let Some(&number) = self.assets_by_code.get(&code) {
            if let Some(known) = self.assets.get_mut(index(number)) {
                (known.scale, known.created) = (scale, created);
            }
            return Ok(number);
        }
        let number = u32::try_from(self.assets.len()).map_err(|_| BooksError::TooMany)?;
        self.assets_by_code.insert(code.clone(), number);
        self.assets.push(Asset { code, scale, created });
        Ok(number)
    }

    pub(crate) fn asset_of(&self, code: &AssetCode) -> Result<(u32, Scale), BooksError> {
        let unknown = || BooksError::UnknownAsset(code.clone());
        let number = *self.assets_by_code.get(code).ok_or_else(unknown)?;
        let asset = self.assets.get(index(number)).ok_or_else(unknown)?;
        Ok((number, asset.scale))
    }

    pub(crate) fn add_account(&mut self, account: Account) -> Result<u32, BooksError> {
        let number = u32::try_from(self.accounts.len()).map_err(|_| BooksError::TooMany)?;
        self.accounts_by_id.insert(account.id, number);
        self.accounts.push(account);
        Ok(number)
    }

    pub(crate) fn account_number(&self, id: AccountId) -> Result<u32, BooksError> {
        self.accounts_by_id.get(&id).copied().ok_or(BooksError::UnknownAccount(id))
    }

    pub(crate) fn account(&self, number: u32) -> Option<&Account> {
        self.accounts.get(index(number))
    }

    fn account_mut(&mut self, id: AccountId) -> Result<(u32, &mut Account), BooksError> {
        let number = self.account_number(id)?;
        let account = self.accounts.get_mut(index(number));
        account.map(|account| (number, account)).ok_or(BooksError::UnknownAccount(id))
    }

    /// Adds an open reservation as the next of its set.
    pub(crate) fn reserve(&mut self, set: TransferId, row: ReservationRow) {
        self.open.entry(set).or_default().push(row);
    }
}

/// A `usize` has 32 bits and more.
pub(crate) const fn index(number: u32) -> usize {
    number as usize
}
