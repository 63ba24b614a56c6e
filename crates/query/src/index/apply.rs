//! How events change the index.

use std::collections::BTreeSet;

use lombard_engine::At;
use lombard_index::ReadError;
use lombard_ledger_core::{
    Asset, Change, Ended, Ending, EntrySide, Event, Outcome, Recorded, RecordedSet,
    RecordedTransfer, Totals, Transfer, TransferKind, Transfers,
};
use lombard_types::{AccountId, Position, Timestamp, TransferId};

use super::{LedgerIndex, Loading};
use crate::{
    books::AccountRow,
    place::{AccountNumber, AssetNumber, Place},
    store::{self, Effect, EntryKind, Opened, StoredPending},
};

/// What a record's event has changed of the sums.
#[derive(Default)]
struct Touched {
    assets: BTreeSet<AssetNumber>,
    codes: BTreeSet<(u16, AssetNumber)>,
}

/// One transfer's doing.
struct Doing {
    place: Place,
    kind: EntryKind,
    change: Change,
    /// When it counts, where that is not when it was recorded.
    dated: Option<Timestamp>,
    code: u16,
}

impl LedgerIndex {
    pub(super) fn apply_event(&mut self, event: &Event, at: At) {
        if self.failure.is_some() {
            return;
        }
        if at.index == 0 {
            self.begin_record(at);
        }
        let mut touched = Touched::default();
        if let Err(error) = self.learn(event, at, &mut touched) {
            tracing::error!(%error, position = %at.position, "the ledger's index cannot go on");
            self.failure = Some(error);
        }
        for asset in touched.assets {
            self.store.put_sums(asset, at.position, &self.books.asset(asset).sums);
        }
        for key in touched.codes {
            if let Some(sums) = self.books.codes.get(&key) {
                self.store.put_code(key, at.position, sums);
            }
        }
    }

    /// Everything before this position is there to be applied now, and comes faster than it will be read.
    pub(super) fn load_until(&mut self, end: Position) {
        // The last record of it is applied as those that follow it, so that there is one to end with.
        let last = end.previous().filter(|last| *last > self.record);
        self.store.set_loading(last.is_some());
        self.loading = last.map(|until| Loading { until, has_frozen: false });
    }

    fn begin_record(&mut self, at: At) {
        let mut is_due = self.unsealed_transfers >= self.freeze_transfers;
        if let Some(loading) = &mut self.loading {
            loading.has_frozen |= is_due;
            if at.position >= loading.until {
                // Runs are merged behind the next that is sealed.
                is_due |= loading.has_frozen;
                self.store.set_loading(false);
                self.loading = None;
            }
        }
        if is_due {
            self.store.freeze(at.position, self.last_time);
            self.unsealed_transfers = 0;
        }
        (self.record, self.next_ordinal, self.last_time) = (at.position, 0, at.time);
        self.store.put_time(at.time, at.position);
    }

    fn learn(&mut self, event: &Event, at: At, touched: &mut Touched) -> Result<(), ReadError> {
        let place = Place { position: at.position, ordinal: at.index };
        match event {
            Event::AssetCreated { code, scale, .. } => {
                let number = self.books.add_asset(code.clone(), *scale, Some(place));
                self.store.put_asset(number, place);
            }
            Event::AccountOpened { .. } => self.open_account(event, at, touched),
            Event::AccountClosed { id, .. } => self.set_closed(*id, place, true),
            Event::AccountReopened { id, .. } => self.set_closed(*id, place, false),
            Event::Transfers(transfers) => self.learn_transfers(transfers, at, touched)?,
            Event::StatementSealed { statement, .. } => {
                let account = self.books.account_of(statement.account);
                let sealed = Recorded { position: at.position, time: at.time };
                let row = store::StatementRow { statement: **statement, sealed };
                self.store.put_statement(account, &row);
            }
            Event::PendingsEnded(ended) => {
                for ended in ended {
                    self.end(*ended, touched)?;
                }
            }
            // They say what may be recorded, and nothing of what was.
            Event::ChartRuleSet { .. }
            | Event::ChartRuleRemoved { .. }
            | Event::PeriodLocked { .. }
            | Event::PeriodUnlocked { .. } => {}
        }
        Ok(())
    }

    fn open_account(&mut self, event: &Event, at: At, touched: &mut Touched) {
        let place = Place { position: at.position, ordinal: at.index };
        let opened = Recorded { position: at.position, time: at.time };
        let Some(account) = self.account_row(event, place, opened) else { return };
        touched.assets.insert(account.asset_number);
        self.books.asset_mut(account.asset_number).sums.account_count += 1;
        self.store.put_account(account.number, Opened { place, is_closed: false });
        self.books.add_account(account);
    }

    /// The account that an event opens; `None` where it is another event.
    pub(super) fn account_row(
        &self,
        event: &Event,
        opened_at: Place,
        opened: Recorded,
    ) -> Option<AccountRow> {
        let Event::AccountOpened { id, path, asset, normal_side, floor, ceiling, .. } = event
        else {
            return None;
        };
        let Some((asset_number, known)) = self.books.asset_by_code(asset) else {
            panic!("account {id} holds the unknown asset {asset}");
        };
        Some(AccountRow {
            number: self.books.next_account(),
            id: *id,
            path: path.clone(),
            asset: Asset { code: asset.clone(), scale: known.scale },
            asset_number,
            normal_side: *normal_side,
            floor: *floor,
            ceiling: *ceiling,
            is_closed: false,
            opened,
            opened_at,
            version: 0,
            totals: Totals::default(),
        })
    }

    fn set_closed(&mut self, id: AccountId, place: Place, is_closed: bool) {
        let number = self.books.account_of(id);
        let account = self.books.account_mut(number);
        account.is_closed = is_closed;
        self.store.put_account(number, Opened { place: account.opened_at, is_closed });
        self.store.put_closing(number, place, is_closed);
    }

    fn learn_transfers(
        &mut self,
        transfers: &Transfers,
        at: At,
        touched: &mut Touched,
    ) -> Result<(), ReadError> {
        for set in transfers.sets() {
            let first = Place { position: self.record, ordinal: self.next_ordinal };
            if let Some(RecordedTransfer { transfer, .. }) = set.recorded.first() {
                self.store.put_transfer(transfer.id, first);
            }
            if let Some(external) = set.note.and_then(|note| note.external_id.as_ref()) {
                self.store.put_external(external, first);
            }
            self.learn_set(set, at.time, touched)?;
            let count = u64::try_from(set.recorded.len()).unwrap_or(u64::MAX);
            self.unsealed_transfers = self.unsealed_transfers.saturating_add(count);
        }
        Ok(())
    }

    fn learn_set(
        &mut self,
        set: RecordedSet<'_>,
        time: Timestamp,
        touched: &mut Touched,
    ) -> Result<(), ReadError> {
        if set.recorded.first().is_none_or(|first| first.outcome != Outcome::Created) {
            let count = u32::try_from(set.recorded.len()).unwrap_or(u32::MAX);
            self.next_ordinal = self.next_ordinal.saturating_add(count);
            return Ok(());
        }
        let is_same_run =
            |a: &RecordedTransfer, b: &RecordedTransfer| same_run(a.transfer.kind, b.transfer.kind);
        for run in set.recorded.chunk_by(is_same_run) {
            let Some(first) = run.first() else { continue };
            match first.transfer.kind {
                TransferKind::Single => self.post(run, EntryKind::Single, touched)?,
                TransferKind::Reversal { of } => {
                    let reversed = self.store.transfer(of)?;
                    let by = Place { position: self.record, ordinal: self.next_ordinal };
                    self.post(run, EntryKind::Reversal, touched)?;
                    if let Some(reversed) = reversed {
                        self.link_reversals(reversed, by, run.len());
                    }
                }
                TransferKind::Pending(_) => self.reserve(run, time, touched)?,
                TransferKind::Post { pending } => {
                    self.settle(run, pending, EntryKind::Post, touched)?;
                }
                TransferKind::Void { pending } => {
                    self.settle(run, pending, EntryKind::Void, touched)?;
                }
            }
        }
        Ok(())
    }

    fn post(
        &mut self,
        run: &[RecordedTransfer],
        kind: EntryKind,
        touched: &mut Touched,
    ) -> Result<(), ReadError> {
        for RecordedTransfer { transfer, .. } in run {
            let doing = Doing {
                place: self.place(),
                kind,
                change: Change::Post(transfer.amount.minor_units()),
                dated: transfer.effective_at,
                code: transfer.code,
            };
            self.enter(self.accounts_of(transfer), doing, touched)?;
        }
        Ok(())
    }

    fn link_reversals(&self, reversed: Place, by: Place, count: usize) {
        for number in (0u32..).take(count) {
            let nth = |first: Place| Place { ordinal: first.ordinal + number, ..first };
            self.store.put_reversal(nth(reversed), nth(by));
        }
    }

    fn reserve(
        &mut self,
        run: &[RecordedTransfer],
        time: Timestamp,
        touched: &mut Touched,
    ) -> Result<(), ReadError> {
        for RecordedTransfer { transfer, .. } in run {
            let TransferKind::Pending(reservation) = transfer.kind else { continue };
            let place = self.place();
            let (debit, credit) = self.accounts_of(transfer);
            // That of the set's first transfer counts for all of them.
            let effective_at = run.first().and_then(|first| first.transfer.effective_at);
            let ends = reservation.ends(effective_at, time);
            let (amount, id) = (transfer.amount, transfer.id);
            let pending = StoredPending { debit, credit, amount, id, ends, ended: None };
            let doing = Doing {
                place,
                kind: EntryKind::Pending,
                change: Change::Reserve(amount.minor_units()),
                dated: None,
                code: transfer.code,
            };
            self.enter((debit, credit), doing, touched)?;
            self.store.put_pending(place, &pending);
            self.books.open.insert(place, pending);
        }
        Ok(())
    }

    fn settle(
        &mut self,
        run: &[RecordedTransfer],
        pending: TransferId,
        kind: EntryKind,
        touched: &mut Touched,
    ) -> Result<(), ReadError> {
        let open = self.books.open.take(pending);
        assert_eq!(open.len(), run.len(), "transfer {pending} was ended and is not pending");
        for ((reserved_at, reserved), RecordedTransfer { transfer, .. }) in
            open.into_iter().zip(run)
        {
            let posted = match kind {
                EntryKind::Post => transfer.amount,
                _ => lombard_types::Amount::ZERO,
            };
            let place = self.place();
            let change = Change::Settle {
                reserved: reserved.amount.minor_units(),
                posted: posted.minor_units(),
            };
            let (dated, code) = (transfer.effective_at, transfer.code);
            let doing = Doing { place, kind, change, dated, code };
            self.enter((reserved.debit, reserved.credit), doing, touched)?;
            let ended = Some(store::Ended { place, kind, posted });
            self.store.put_pending(reserved_at, &StoredPending { ended, ..reserved });
        }
        Ok(())
    }

    fn end(&mut self, ended: Ended, touched: &mut Touched) -> Result<(), ReadError> {
        let Ended { id, at, ending } = ended;
        let open = self.books.open.take(id);
        assert!(!open.is_empty(), "transfer {id} was ended and is not pending");
        for (reserved_at, reserved) in open {
            let place = self.place();
            let (kind, posted, dated) = match ending {
                Ending::Expired => (EntryKind::Expired, lombard_types::Amount::ZERO, None),
                Ending::Posted => (EntryKind::PostedOnTime, reserved.amount, Some(at)),
            };
            let change = Change::Settle {
                reserved: reserved.amount.minor_units(),
                posted: posted.minor_units(),
            };
            let doing = Doing { place, kind, change, dated, code: 0 };
            self.enter((reserved.debit, reserved.credit), doing, touched)?;
            let stored =
                StoredPending { ended: Some(store::Ended { place, kind, posted }), ..reserved };
            self.store.put_pending(reserved_at, &stored);
            self.store.put_lapsed(reserved_at, &stored, at, place);
        }
        Ok(())
    }

    fn accounts_of(&self, transfer: &Transfer) -> (AccountNumber, AccountNumber) {
        let of = |id| self.books.account_of(id);
        (of(transfer.debit_account), of(transfer.credit_account))
    }

    /// Makes the entries of a transfer in both of its accounts.
    fn enter(
        &mut self,
        (debit, credit): (AccountNumber, AccountNumber),
        doing: Doing,
        touched: &mut Touched,
    ) -> Result<(), ReadError> {
        let Doing { place, kind, change, dated, code } = doing;
        let moved = match change {
            Change::Post(amount) | Change::Settle { posted: amount, .. } => amount,
            Change::Reserve(_) => 0,
        };
        for (account, side) in [(debit, EntrySide::Debit), (credit, EntrySide::Credit)] {
            let row = self.books.account_mut(account);
            let before = row.totals;
            let Some(after) = change.apply(before, side) else {
                panic!("a total of account {} would overflow", row.id);
            };
            row.totals = after;
            row.version += 1;
            let (version, asset) = (row.version, row.asset_number);
            self.store.put_entry(&Effect { account, place, kind, side, before, after, version });
            let sums = &mut self.books.asset_mut(asset).sums;
            let (pending, posted) = match side {
                EntrySide::Debit => (&mut sums.debits_pending, &mut sums.debits_posted),
                EntrySide::Credit => (&mut sums.credits_pending, &mut sums.credits_posted),
            };
            posted.add(moved);
            match change {
                Change::Post(_) => {}
                Change::Reserve(amount) => pending.add(amount),
                Change::Settle { reserved, .. } => pending.subtract(reserved),
            }
            touched.assets.insert(asset);
            if let Some(effective_at) = dated.filter(|_| moved > 0) {
                self.store.put_dated((account, side), place, effective_at, moved)?;
            }
        }
        if code != 0 && moved > 0 {
            let key = (code, self.books.account(debit).asset_number);
            let sums = self.books.codes.entry(key).or_default();
            sums.transfer_count += 1;
            sums.amount.add(moved);
            touched.codes.insert(key);
        }
        Ok(())
    }
}

/// Whether two neighbours of a set are about the same other set: its transfers one after the other.
fn same_run(a: TransferKind, b: TransferKind) -> bool {
    std::mem::discriminant(&a) == std::mem::discriminant(&b) && a.about() == b.about()
}
