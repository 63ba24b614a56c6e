//! The view's state, and how events change it.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use lombard_engine::{At, View};
use lombard_ledger_core::{
    Asset, Event, FixedState, HashSeed, Recorded, Totals, Transfer, built_in,
};
use lombard_types::{AccountId, AccountPath, AssetCode, Scale, TransferId};

use super::{AccountRow, Page, Side, TransferNumber, entries::Entries, transfers::Kept};

/// What the events so far add up to, indexed for reading.
#[derive(Clone, Debug)]
pub struct LedgerView {
    assets: BTreeMap<AssetCode, AssetRow>,
    pub(super) accounts: Vec<AccountRow>,
    pub(super) accounts_by_id: HashMap<AccountId, u32, FixedState>,
    pub(super) accounts_by_path: BTreeMap<AccountPath, u32>,
    pub(super) transfers: Vec<Kept>,
    pub(super) transfers_by_id: HashMap<TransferId, u32, FixedState>,
}

/// An asset that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetRow {
    /// Its digits after the point.
    pub scale: Scale,
    /// Where it was created; `None` for a currency that every book knows.
    pub created: Option<Recorded>,
}

impl View for LedgerView {
    type Event = Event;

    fn apply(&mut self, event: &Event, at: At) {
        let recorded = Recorded { position: at.position, time: at.time };
        match event {
            Event::AssetCreated { code, scale, .. } => {
                let asset = AssetRow { scale: *scale, created: Some(recorded) };
                self.assets.insert(code.clone(), asset);
            }
            Event::AccountOpened { .. } => self.open_account(event, recorded),
            Event::TransferPosted { transfer, .. } => {
                let number = self.keep(transfer, event, recorded);
                self.enter(number, transfer, Side::Debit);
                self.enter(number, transfer, Side::Credit);
            }
            Event::TransferRefused { transfer, .. } => {
                self.keep(transfer, event, recorded);
            }
        }
    }
}

impl LedgerView {
    /// A view of no events.
    pub fn new(seed: HashSeed) -> Self {
        let hasher = FixedState::new(seed);
        let known = |asset: Asset| (asset.code, AssetRow { scale: asset.scale, created: None });
        Self {
            assets: built_in().map(known).collect(),
            accounts: Vec::new(),
            accounts_by_id: HashMap::with_hasher(hasher),
            accounts_by_path: BTreeMap::new(),
            transfers: Vec::new(),
            transfers_by_id: HashMap::with_hasher(hasher),
        }
    }

    /// The asset with this code.
    pub fn asset(&self, code: &AssetCode) -> Option<AssetRow> {
        self.assets.get(code).copied()
    }

    /// A page of all assets after one of them, in order of code.
    pub fn assets(
        &self,
        after: Option<&AssetCode>,
        limit: usize,
    ) -> Page<(&AssetCode, AssetRow), AssetCode> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let assets = self.assets.range::<AssetCode, _>((from, Bound::Unbounded));
        let item = |(code, row): (_, &AssetRow)| Some((code, *row));
        Page::collect(assets, limit, limit, |(code, _)| (*code).clone(), item)
    }

    fn open_account(&mut self, event: &Event, opened: Recorded) {
        let Event::AccountOpened { id, path, asset, normal_side, floor, .. } = event else {
            return;
        };
        let Some(scale) = self.assets.get(asset).map(|asset| asset.scale) else {
            panic!("account {id} holds the unknown asset {asset}");
        };
        let index = index_of(self.accounts.len());
        self.accounts.push(AccountRow {
            id: *id,
            path: path.clone(),
            asset: Asset { code: asset.clone(), scale },
            normal_side: *normal_side,
            floor: *floor,
            totals: Totals::default(),
            opened,
            entries: Entries::default(),
        });
        self.accounts_by_id.insert(*id, index);
        self.accounts_by_path.insert(path.clone(), index);
    }

    fn keep(&mut self, transfer: &Transfer, event: &Event, recorded: Recorded) -> TransferNumber {
        let number = index_of(self.transfers.len());
        self.transfers.push(Kept::new(event, recorded));
        self.transfers_by_id.insert(transfer.id, number);
        TransferNumber(number)
    }

    /// Makes a posted transfer's entry in one of its accounts.
    fn enter(&mut self, number: TransferNumber, transfer: &Transfer, side: Side) {
        let id = match side {
            Side::Debit => transfer.debit_account,
            Side::Credit => transfer.credit_account,
        };
        let index = self.accounts_by_id.get(&id).and_then(|index| usize::try_from(*index).ok());
        let Some(account) = index.and_then(|index| self.accounts.get_mut(index)) else {
            panic!("transfer {} moves money over the unknown account {id}", transfer.id);
        };
        let total = match side {
            Side::Debit => &mut account.totals.debits_posted,
            Side::Credit => &mut account.totals.credits_posted,
        };
        let Some(sum) = total.checked_add(transfer.amount.minor_units()) else {
            panic!("transfer {} makes a total of account {id} overflow", transfer.id);
        };
        *total = sum;
        let balance = account.totals.posted(account.normal_side);
        account.entries.push(number, side, balance);
    }
}

/// The writer numbers no more than 2^32 - 1 accounts or transfers.
fn index_of(length: usize) -> u32 {
    match u32::try_from(length) {
        Ok(index) => index,
        Err(_) => panic!("the log holds more than a book can number"),
    }
}
