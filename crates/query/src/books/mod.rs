//! What is kept in memory: the assets, the accounts as they stand, and the reservations that are open.

mod accounts;
mod open;

use std::collections::{BTreeMap, HashMap};

use lombard_ledger_core::{AccountRef, Asset, built_in};
use lombard_types::{AccountId, AccountPath, AssetCode, Scale};

pub use self::accounts::AccountRow;
pub(crate) use self::open::{OpenPendings, end_by_time};
use crate::{
    place::{AccountNumber, AssetNumber, Place},
    store::{AssetSums, CodeSums},
};

/// An asset that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetRow {
    /// Its code.
    pub code: AssetCode,
    /// Its digits after the point.
    pub scale: Scale,
    /// Where it was created; `None` for a currency that every book knows.
    pub created: Option<Place>,
    pub(crate) sums: AssetSums,
}

/// The state that the events so far have left.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) assets: Vec<AssetRow>,
    pub(crate) assets_by_code: BTreeMap<AssetCode, AssetNumber>,
    pub(crate) accounts: Vec<AccountRow>,
    accounts_by_id: HashMap<AccountId, AccountNumber>,
    pub(crate) accounts_by_path: BTreeMap<AccountPath, AccountNumber>,
    pub(crate) open: OpenPendings,
    pub(crate) codes: BTreeMap<(u16, AssetNumber), CodeSums>,
}

impl Books {
    pub(crate) fn new() -> Self {
        let mut books = Self::default();
        for Asset { code, scale } in built_in() {
            books.add_asset(code, scale, None);
        }
        books
    }

    /// Adds an asset. One that users created before it became built in has the users' scale.
    pub(crate) fn add_asset(
        &mut self,
        code: AssetCode,
        scale: Scale,
        created: Option<Place>,
    ) -> AssetNumber {
        if let Some(number) = self.assets_by_code.get(&code).copied() {
            let known = self.asset_mut(number);
            (known.scale, known.created) = (scale, created);
            return number;
        }
        let number = AssetNumber(number_of(self.assets.len()));
        self.assets_by_code.insert(code.clone(), number);
        self.assets.push(AssetRow { code, scale, created, sums: AssetSums::default() });
        number
    }

    pub(crate) fn asset_by_code(&self, code: &AssetCode) -> Option<(AssetNumber, &AssetRow)> {
        let number = *self.assets_by_code.get(code)?;
        Some((number, self.asset(number)))
    }

    pub(crate) fn asset(&self, number: AssetNumber) -> &AssetRow {
        match usize::try_from(number.0).ok().and_then(|index| self.assets.get(index)) {
            Some(asset) => asset,
            None => panic!("there is no asset number {}", number.0),
        }
    }

    pub(crate) fn asset_mut(&mut self, number: AssetNumber) -> &mut AssetRow {
        match usize::try_from(number.0).ok().and_then(|index| self.assets.get_mut(index)) {
            Some(asset) => asset,
            None => panic!("there is no asset number {}", number.0),
        }
    }

    pub(crate) fn add_account(&mut self, account: AccountRow) {
        self.accounts_by_id.insert(account.id, account.number);
        self.accounts_by_path.insert(account.path.clone(), account.number);
        self.accounts.push(account);
    }

    pub(crate) fn next_account(&self) -> AccountNumber {
        AccountNumber(number_of(self.accounts.len()))
    }

    pub(crate) fn number_of_account(&self, name: &AccountRef) -> Option<AccountNumber> {
        match name {
            AccountRef::Id(id) => self.accounts_by_id.get(id).copied(),
            AccountRef::Path(path) => self.accounts_by_path.get(path).copied(),
        }
    }

    /// The account that events move money over. Panics where it is not there: the log is then not a ledger's.
    pub(crate) fn account_of(&self, id: AccountId) -> AccountNumber {
        match self.accounts_by_id.get(&id) {
            Some(number) => *number,
            None => panic!("an event is about the unknown account {id}"),
        }
    }

    pub(crate) fn account(&self, number: AccountNumber) -> &AccountRow {
        match usize::try_from(number.0).ok().and_then(|index| self.accounts.get(index)) {
            Some(account) => account,
            None => panic!("there is no account number {}", number.0),
        }
    }

    pub(crate) fn account_mut(&mut self, number: AccountNumber) -> &mut AccountRow {
        match usize::try_from(number.0).ok().and_then(|index| self.accounts.get_mut(index)) {
            Some(account) => account,
            None => panic!("there is no account number {}", number.0),
        }
    }
}

/// The writer numbers no more than 2^32 - 1 accounts.
fn number_of(length: usize) -> u32 {
    match u32::try_from(length) {
        Ok(number) => number,
        Err(_) => panic!("the log holds more than a book can number"),
    }
}
