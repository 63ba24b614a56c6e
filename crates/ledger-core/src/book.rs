//! The state of a book, and how events change it.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hash, Hasher},
};

use lombard_types::{
    AccountId, AccountPath, Amount, AssetCode, Position, Scale, Timestamp, TransferId,
};

use crate::{
    Account, AccountRef, Asset, Balance, Event, FixedState, HashSeed, Metadata, NormalSide,
    Outcome, Totals, Transfer, UserData,
    account::{AccountIndex, AssetIndex},
    asset,
};

/// An isolated set of accounts with one log: the unit in which transfers are atomic.
///
/// Accounts and spent transfer ids lie in lists in the order of their events; hash maps only point into the lists and
/// are never iterated.
#[derive(Clone, Debug)]
pub struct Book {
    assets: Vec<Asset>,
    assets_by_code: BTreeMap<AssetCode, AssetIndex>,
    accounts: Vec<Account>,
    accounts_by_id: HashMap<AccountId, AccountIndex, FixedState>,
    accounts_by_path: HashMap<AccountPath, AccountIndex, FixedState>,
    spent: Vec<Spent>,
    spent_by_id: HashMap<TransferId, u32, FixedState>,
}

/// What a book's state is made of; all else points into it.
pub(crate) struct Parts<'a> {
    pub(crate) assets_by_code: &'a BTreeMap<AssetCode, AssetIndex>,
    pub(crate) accounts: &'a [Account],
    pub(crate) spent: &'a [Spent],
}

/// Where and when an event was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// The record of the log that holds it.
    pub position: Position,
    /// When it was decided.
    pub time: Timestamp,
}

/// What is remembered of a transfer whose id is spent: enough to tell a retry from another transfer, and to answer it.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Spent {
    pub(crate) id: TransferId,
    pub(crate) debit: AccountIndex,
    pub(crate) credit: AccountIndex,
    pub(crate) amount: Amount,
    pub(crate) user_data: UserData,
    pub(crate) code: u16,
    pub(crate) effective_at: Option<Timestamp>,
    /// See [`fingerprint`].
    pub(crate) metadata: u64,
    pub(crate) outcome: Outcome,
    pub(crate) recorded: Recorded,
}

// === impl Book ===

impl Book {
    /// A book that knows the currencies of ISO 4217 and has no accounts.
    pub fn new(seed: HashSeed) -> Self {
        let hasher = FixedState::new(seed);
        let mut book = Self {
            assets: Vec::new(),
            assets_by_code: BTreeMap::new(),
            accounts: Vec::new(),
            accounts_by_id: HashMap::with_hasher(hasher),
            accounts_by_path: HashMap::with_hasher(hasher),
            spent: Vec::new(),
            spent_by_id: HashMap::with_hasher(hasher),
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

    /// How many transfer ids are spent.
    pub fn transfer_count(&self) -> usize {
        self.spent.len()
    }

    /// Makes an event part of the state.
    ///
    /// Panics on an event that no book could have decided here, such as a transfer between unknown accounts: the log
    /// is then not this book's, and going on would corrupt balances.
    pub fn apply(&mut self, event: &Event, recorded: Recorded) {
        match event {
            Event::AssetCreated { code, scale, .. } => self.set_asset(code, *scale),
            Event::AccountOpened { id, path, asset, normal_side, floor, .. } => {
                self.open_account(*id, path, asset, *normal_side, *floor, Totals::default());
            }
            Event::TransferPosted { transfer, metadata, .. } => {
                let metadata = fingerprint(metadata);
                let (debit, credit) = self.spend(transfer, metadata, Outcome::Posted, recorded);
                add(&mut self.account_mut(debit).totals.debits_posted, transfer.amount);
                add(&mut self.account_mut(credit).totals.credits_posted, transfer.amount);
            }
            Event::TransferRefused { transfer, refusal, metadata, .. } => {
                let outcome = Outcome::Refused(*refusal);
                self.spend(transfer, fingerprint(metadata), outcome, recorded);
            }
        }
    }

    /// A digest of the whole state: equal for equal histories, whatever the [`HashSeed`]. For comparing replicas and
    /// replays, not for security.
    pub fn state_hash(&self) -> u64 {
        let mut hasher = FixedState::default().build_hasher();
        // By code, as a book that was made from a copy numbers the assets in that order.
        self.assets().for_each(|asset| asset.hash(&mut hasher));
        self.account_states().for_each(|account| account.hash(&mut hasher));
        self.spent.hash(&mut hasher);
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

    pub(crate) fn open_account(
        &mut self,
        id: AccountId,
        path: &AccountPath,
        asset: &AssetCode,
        normal_side: NormalSide,
        floor: Option<Balance>,
        totals: Totals,
    ) {
        let Some(&asset) = self.assets_by_code.get(asset) else {
            panic!("account {id} holds the unknown asset {asset}");
        };
        let index = AccountIndex(next_index(self.accounts.len()));
        self.accounts.push(Account { id, path: path.clone(), asset, normal_side, floor, totals });
        let same_id = self.accounts_by_id.insert(id, index);
        let same_path = self.accounts_by_path.insert(path.clone(), index);
        assert!(same_id.is_none() && same_path.is_none(), "account {id} was opened twice");
    }

    pub(crate) fn spend(
        &mut self,
        transfer: &Transfer,
        metadata: u64,
        outcome: Outcome,
        recorded: Recorded,
    ) -> (AccountIndex, AccountIndex) {
        let accounts = (
            self.accounts_by_id.get(&transfer.debit_account),
            self.accounts_by_id.get(&transfer.credit_account),
        );
        let (Some(&debit), Some(&credit)) = accounts else {
            panic!("transfer {} is between unknown accounts", transfer.id);
        };
        let index = next_index(self.spent.len());
        self.spent.push(Spent {
            id: transfer.id,
            debit,
            credit,
            amount: transfer.amount,
            user_data: transfer.user_data,
            code: transfer.code,
            effective_at: transfer.effective_at,
            metadata,
            outcome,
            recorded,
        });
        let same = self.spent_by_id.insert(transfer.id, index);
        assert!(same.is_none(), "transfer {} was recorded twice", transfer.id);
        (debit, credit)
    }

    /// What the state is made of. Whoever adds a field meets this, and so the copies of the state.
    pub(crate) fn parts(&self) -> Parts<'_> {
        let Self {
            assets: _,
            assets_by_code,
            accounts,
            accounts_by_id: _,
            accounts_by_path: _,
            spent,
            spent_by_id: _,
        } = self;
        Parts { assets_by_code, accounts, spent }
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

    pub(crate) fn find_spent(&self, id: TransferId) -> Option<&Spent> {
        let index = *self.spent_by_id.get(&id)?;
        self.spent.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn has_room_for_account(&self) -> bool {
        self.accounts.len() < INDEX_MAX
    }

    pub(crate) fn has_room_for_transfer(&self) -> bool {
        self.spent.len() < INDEX_MAX
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
    fn account_mut(&mut self, index: AccountIndex) -> &mut Account {
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

fn add(total: &mut u128, amount: Amount) {
    match total.checked_add(amount.minor_units()) {
        Some(sum) => *total = sum,
        None => panic!(
            "a total would overflow: the log holds a transfer that no book would have posted"
        ),
    }
}

/// 64 bits that tell two texts apart unless someone looks for a collision, by which they could only be given their own
/// first answer again. Copies of the state hold it, so another function needs another version of them.
pub(crate) fn fingerprint(metadata: &Metadata) -> u64 {
    FixedState::default().hash_one(metadata.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This number is in people's snapshots. Another one needs another version of them.
    #[test]
    fn the_fingerprint_of_metadata_stays() {
        let metadata = Metadata::new(r#"{"order":17}"#).unwrap();
        assert_eq!(fingerprint(&metadata), 6_017_701_519_877_317_655);
    }
}
