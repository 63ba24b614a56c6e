//! The state of a book.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hash, Hasher},
};

use lombard_types::{AccountId, AccountPath, AssetCode, Position, Scale, Timestamp};

use crate::{
    Account, AccountRef, Asset, ChartRule, FixedState, HashSeed, LastStatement, LockName,
    PeriodLock,
    account::{AccountIndex, AssetIndex},
    asset,
    pending::Pendings,
};

/// An isolated set of accounts with one log: the unit in which transfers are atomic.
///
/// Accounts lie in a list in the order of their events; hash maps only point into the lists and are never iterated.
#[derive(Clone, Debug)]
pub struct Book {
    pub(crate) hasher: FixedState,
    pub(crate) assets: Vec<Asset>,
    pub(crate) assets_by_code: BTreeMap<AssetCode, AssetIndex>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) accounts_by_id: HashMap<AccountId, AccountIndex, FixedState>,
    pub(crate) accounts_by_path: HashMap<AccountPath, AccountIndex, FixedState>,
    pub(crate) pendings: Pendings,
    pub(crate) chart: BTreeMap<AccountPath, ChartRule>,
    pub(crate) locks: BTreeMap<LockName, PeriodLock>,
    pub(crate) statements: BTreeMap<AccountId, LastStatement>,
}

/// Where and when an event was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// The record of the log that holds it.
    pub position: Position,
    /// When it was decided.
    pub time: Timestamp,
}

impl Book {
    /// A book that knows the currencies of ISO 4217 and has no accounts.
    pub fn new(seed: HashSeed) -> Self {
        let hasher = FixedState::new(seed);
        let mut book = Self {
            hasher,
            assets: Vec::new(),
            assets_by_code: BTreeMap::new(),
            accounts: Vec::new(),
            accounts_by_id: HashMap::with_hasher(hasher),
            accounts_by_path: HashMap::with_hasher(hasher),
            pendings: Pendings::new(hasher),
            chart: BTreeMap::new(),
            locks: BTreeMap::new(),
            statements: BTreeMap::new(),
        };
        for asset in asset::built_in() {
            book.set_asset(&asset.code, asset.scale);
        }
        book
    }

    /// The asset with this code.
    pub fn asset(&self, code: &AssetCode) -> Option<&Asset> {
        self.assets_by_code.get(code).map(|&index| self.asset_at(index))
    }

    /// The account that is named.
    pub fn account(&self, name: &AccountRef) -> Option<&Account> {
        self.find(name).map(|index| self.account_at(index))
    }

    /// What an account of this book holds.
    pub fn asset_of(&self, account: &Account) -> &Asset {
        self.asset_at(account.asset)
    }

    /// All accounts, in the order in which they were opened.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// How many sets are pending.
    pub fn pending_count(&self) -> usize {
        self.pendings.len()
    }

    /// When the time of the next pending set comes that ends by itself.
    pub fn next_ending(&self) -> Option<Timestamp> {
        self.pendings.next_due()
    }

    /// The rules of the chart of accounts, by prefix.
    pub fn chart_rules(&self) -> impl ExactSizeIterator<Item = &ChartRule> {
        self.chart.values()
    }

    /// The locked periods, by name.
    pub fn period_locks(&self) -> impl ExactSizeIterator<Item = &PeriodLock> {
        self.locks.values()
    }

    /// The last statement of each account that has one, by account.
    pub fn last_statements(&self) -> impl ExactSizeIterator<Item = &LastStatement> {
        self.statements.values()
    }

    /// The rule of the chart of accounts that an account at `path` must keep.
    pub(crate) fn chart_rule(&self, path: &AccountPath) -> Option<&ChartRule> {
        let covering = self.chart.values().filter(|rule| rule.covers(path));
        covering.max_by_key(|rule| rule.prefix.as_str().len())
    }

    /// A digest of the whole state: equal for equal histories, whatever the [`HashSeed`]. For comparing replicas and
    /// replays, not for security.
    pub fn state_hash(&self) -> u64 {
        let mut hasher = FixedState::default().build_hasher();
        // By code, as a book that was made from a copy numbers the assets in that order.
        self.assets().for_each(|asset| asset.hash(&mut hasher));
        self.account_states().for_each(|account| account.hash(&mut hasher));
        self.pendings.in_order().hash(&mut hasher);
        self.chart.hash(&mut hasher);
        self.locks.hash(&mut hasher);
        self.statements.hash(&mut hasher);
        hasher.finish()
    }

    /// Sets an asset's scale. A code that users created before it became built in keeps the users' scale: theirs is
    /// what their accounts were opened with.
    pub(crate) fn set_asset(&mut self, code: &AssetCode, scale: Scale) {
        if let Some(&index) = self.assets_by_code.get(code) {
            self.asset_mut(index).scale = scale;
            return;
        }
        let index = AssetIndex(next_index(self.assets.len()));
        self.assets.push(Asset { code: code.clone(), scale });
        self.assets_by_code.insert(code.clone(), index);
    }

    /// Adds an account, whose id and path no other has.
    pub(crate) fn insert_account(&mut self, account: Account) {
        let index = AccountIndex(next_index(self.accounts.len()));
        let id = account.id;
        let same_id = self.accounts_by_id.insert(id, index);
        let same_path = self.accounts_by_path.insert(account.path.clone(), index);
        assert!(same_id.is_none() && same_path.is_none(), "account {id} was opened twice");
        self.accounts.push(account);
    }

    pub(crate) fn indexed_asset(&self, code: &AssetCode) -> Option<(AssetIndex, &Asset)> {
        let index = *self.assets_by_code.get(code)?;
        Some((index, self.asset_at(index)))
    }

    pub(crate) fn find(&self, name: &AccountRef) -> Option<AccountIndex> {
        match name {
            AccountRef::Id(id) => self.find_id(*id),
            AccountRef::Path(path) => self.find_path(path),
        }
    }

    pub(crate) fn find_id(&self, id: AccountId) -> Option<AccountIndex> {
        self.accounts_by_id.get(&id).copied()
    }

    pub(crate) fn find_path(&self, path: &AccountPath) -> Option<AccountIndex> {
        self.accounts_by_path.get(path).copied()
    }

    pub(crate) fn has_room_for_account(&self) -> bool {
        self.accounts.len() < INDEX_MAX
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an index is only made for an account that is in the list"
    )]
    pub(crate) fn account_at(&self, index: AccountIndex) -> &Account {
        &self.accounts[index.0 as usize]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an index is only made for an account that is in the list"
    )]
    pub(crate) fn account_mut(&mut self, index: AccountIndex) -> &mut Account {
        &mut self.accounts[index.0 as usize]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an index is only made for an asset that is in the list"
    )]
    pub(crate) fn asset_at(&self, index: AssetIndex) -> &Asset {
        &self.assets[index.0 as usize]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an index is only made for an asset that is in the list"
    )]
    fn asset_mut(&mut self, index: AssetIndex) -> &mut Asset {
        &mut self.assets[index.0 as usize]
    }
}

/// Lists are numbered with 32 bits, of which the last is never used.
const INDEX_MAX: usize = u32::MAX as usize;

/// `decide` refuses what would make a list longer than [`INDEX_MAX`].
fn next_index(length: usize) -> u32 {
    match u32::try_from(length) {
        Ok(index) => index,
        Err(_) => panic!("a book cannot number more than {INDEX_MAX} entries"),
    }
}
