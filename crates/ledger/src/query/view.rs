//! The view's state, and how events change it.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

use lombard_engine::{At, View};
use lombard_ledger_core::{
    Asset, Change, Ended, Ending, EntrySide, Event, Evidence, FixedState, HashSeed, Note, Outcome,
    Recorded, RecordedSet, RecordedTransfer, Totals, TransferKind, built_in,
};
use lombard_types::{AccountId, AccountPath, AssetCode, Scale, TransferId};

use super::{
    AccountRow, Page, PendingStatus, Side, TransferNumber, entries::Entries, transfers::Kept,
};

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
            Event::AccountClosed { id, .. } => self.account_mut(*id).is_closed = true,
            Event::AccountReopened { id, .. } => self.account_mut(*id).is_closed = false,
            Event::Transfers(transfers) => {
                for set in transfers.sets() {
                    self.enter_set(set, &transfers.evidence, recorded);
                }
            }
            Event::PendingsEnded(ended) => ended.iter().for_each(|ended| self.end(*ended)),
            // Rules are the writer's.
            Event::ChartRuleSet { .. }
            | Event::ChartRuleRemoved { .. }
            | Event::PeriodLocked { .. }
            | Event::PeriodUnlocked { .. } => {}
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
        let Event::AccountOpened { id, path, asset, normal_side, floor, ceiling, .. } = event
        else {
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
            ceiling: *ceiling,
            is_closed: false,
            version: 0,
            totals: Totals::default(),
            opened,
            entries: Entries::default(),
        });
        self.accounts_by_id.insert(*id, index);
        self.accounts_by_path.insert(path.clone(), index);
    }

    fn enter_set(&mut self, set: RecordedSet<'_>, evidence: &Arc<Evidence>, recorded: Recorded) {
        let note: Option<Arc<Note>> = set.note.map(|note| Arc::new(note.clone()));
        for run in set.recorded.chunk_by(RecordedTransfer::is_same_run) {
            for (index, transfer) in run.iter().enumerate() {
                let number = index_of(self.transfers.len());
                let is_created = transfer.outcome == Outcome::Created;
                let is_pending = matches!(transfer.transfer.kind, TransferKind::Pending(_));
                self.transfers.push(Kept {
                    recorded,
                    transfer: *transfer,
                    pending: (is_created && is_pending).then_some(PendingStatus::Pending),
                    note: note.clone(),
                    evidence: Arc::clone(evidence),
                });
                self.transfers_by_id.entry(transfer.transfer.id).or_insert(number);
                if is_created {
                    self.enter(TransferNumber(number), transfer, index);
                }
            }
        }
    }

    /// Makes the entries of a transfer that happened; `index` is its place in its run.
    fn enter(&mut self, number: TransferNumber, recorded: &RecordedTransfer, index: usize) {
        let transfer = &recorded.transfer;
        let amount = transfer.amount.minor_units();
        let change = match transfer.kind {
            TransferKind::Single | TransferKind::Reversal { .. } => Change::Post(amount),
            TransferKind::Pending(_) => Change::Reserve(amount),
            TransferKind::Post { pending } => {
                let reserved = self.settle(pending, index, PendingStatus::Posted);
                Change::Settle { reserved, posted: amount }
            }
            TransferKind::Void { pending } => {
                let reserved = self.settle(pending, index, PendingStatus::Voided);
                Change::Settle { reserved, posted: 0 }
            }
        };
        self.change(number, (transfer.debit_account, transfer.credit_account), change);
    }

    /// Marks a transfer of a pending set, and answers what it has reserved.
    fn settle(&mut self, pending: TransferId, index: usize, status: PendingStatus) -> u128 {
        let first =
            self.transfers_by_id.get(&pending).and_then(|first| usize::try_from(*first).ok());
        let Some(kept) = first.and_then(|first| self.transfers.get_mut(first + index)) else {
            panic!("the unknown pending transfer {pending} was ended");
        };
        kept.pending = Some(status);
        kept.transfer.transfer.amount.minor_units()
    }

    /// What time did to a pending set.
    fn end(&mut self, ended: Ended) {
        let Some(&first) = self.transfers_by_id.get(&ended.id) else {
            panic!("the unknown pending transfer {} was ended", ended.id);
        };
        for index in 0.. {
            let number = TransferNumber(first + index);
            let at = usize::try_from(number.0).unwrap_or(usize::MAX);
            let Some(Kept { transfer, .. }) = self.transfers.get(at) else { break };
            let transfer = transfer.transfer;
            if transfer.id != ended.id {
                break;
            }
            let (status, posted) = match ended.ending {
                Ending::Posted => (PendingStatus::Posted, transfer.amount.minor_units()),
                Ending::Expired => (PendingStatus::Expired, 0),
            };
            let reserved = self.settle(ended.id, usize::try_from(index).unwrap_or(0), status);
            let accounts = (transfer.debit_account, transfer.credit_account);
            self.change(number, accounts, Change::Settle { reserved, posted });
        }
    }

    /// Changes both accounts; what is posted makes an entry in each.
    fn change(
        &mut self,
        number: TransferNumber,
        (debit, credit): (AccountId, AccountId),
        change: Change,
    ) {
        let (Change::Post(posted) | Change::Settle { posted, .. }) = change else {
            self.change_account(debit, EntrySide::Debit, change);
            self.change_account(credit, EntrySide::Credit, change);
            return;
        };
        for (id, entry_side, side) in
            [(debit, EntrySide::Debit, Side::Debit), (credit, EntrySide::Credit, Side::Credit)]
        {
            let account = self.change_account(id, entry_side, change);
            if posted > 0 {
                let balance = account.totals.posted(account.normal_side);
                account.entries.push(number, side, balance);
            }
        }
    }

    fn change_account(
        &mut self,
        id: AccountId,
        side: EntrySide,
        change: Change,
    ) -> &mut AccountRow {
        let account = self.account_mut(id);
        let Some(totals) = change.apply(account.totals, side) else {
            panic!("a total of account {id} would overflow");
        };
        account.totals = totals;
        account.version += 1;
        account
    }

    fn account_mut(&mut self, id: AccountId) -> &mut AccountRow {
        let index = self.accounts_by_id.get(&id).and_then(|index| usize::try_from(*index).ok());
        match index.and_then(|index| self.accounts.get_mut(index)) {
            Some(account) => account,
            None => panic!("an event is about the unknown account {id}"),
        }
    }
}

/// The writer numbers no more than 2^32 - 1 accounts or transfers.
fn index_of(length: usize) -> u32 {
    match u32::try_from(length) {
        Ok(index) => index,
        Err(_) => panic!("the log holds more than a book can number"),
    }
}
