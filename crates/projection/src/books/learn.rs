//! How events become rows.

use lombard_engine::At;
use lombard_ledger_core::{
    Balance, Change, Ended, Ending, EntrySide, Event, Outcome, RecordedSet, RecordedTransfer,
    Statement, Transfer, TransferKind, Transfers,
};
use lombard_types::{AccountId, Amount, Timestamp, TransferId};

use super::{Account, Books, BooksError, OpenSet};
use crate::rows::{
    EndedReservation, EntryKind, EntryRow, NoteRow, RecordRow, ReservationRow, Rows, StatementRow,
    TransferRow,
};

/// One transfer's doing.
#[derive(Clone, Copy)]
struct Doing {
    transfer: u64,
    kind: EntryKind,
    change: Change,
    effective_at: Option<Timestamp>,
}

impl Books {
    /// Learns a record's event. The events of a record come one after the other, from number 0 on.
    pub(crate) fn learn(
        &mut self,
        event: &Event,
        at: At,
        ordinal: &mut u32,
        rows: &mut Rows,
    ) -> Result<(), BooksError> {
        if at.index == 0 {
            *ordinal = 0;
            let evidence = event.evidence().cloned();
            rows.records.push(RecordRow { position: at.position, recorded_at: at.time, evidence });
            (self.position, self.recorded_at) = (at.position.next(), at.time);
        }
        match event {
            Event::AssetCreated { code, scale, .. } => {
                let number = self.set_asset(code.clone(), *scale, Some(at.position))?;
                rows.assets.insert(number);
            }
            Event::AccountOpened { .. } => self.open_account(event, at, rows)?,
            Event::AccountClosed { id, .. } => self.set_closed(*id, true, rows)?,
            Event::AccountReopened { id, .. } => self.set_closed(*id, false, rows)?,
            Event::Transfers(transfers) => self.learn_transfers(transfers, at, ordinal, rows)?,
            Event::PendingsEnded(ended) => {
                for ended in ended {
                    self.end(*ended, at, rows)?;
                }
            }
            Event::StatementSealed { statement, .. } => self.seal(**statement, at, rows)?,
            // They say what may be recorded, and nothing of what was.
            Event::ChartRuleSet { .. }
            | Event::ChartRuleRemoved { .. }
            | Event::PeriodLocked { .. }
            | Event::PeriodUnlocked { .. } => {}
        }
        Ok(())
    }

    fn open_account(&mut self, event: &Event, at: At, rows: &mut Rows) -> Result<(), BooksError> {
        let Event::AccountOpened { id, path, asset, normal_side, floor, ceiling, .. } = event
        else {
            return Ok(());
        };
        let (asset, scale) = self.asset_of(asset)?;
        let number = self.add_account(Account {
            id: *id,
            path: path.clone(),
            asset,
            scale,
            normal_side: *normal_side,
            floor: *floor,
            ceiling: *ceiling,
            is_closed: false,
            position: at.position,
            opened_at: at.time,
            version: 0,
            totals: lombard_ledger_core::Totals::default(),
        })?;
        rows.accounts.insert(number);
        rows.balances.insert(number);
        Ok(())
    }

    fn set_closed(
        &mut self,
        id: AccountId,
        is_closed: bool,
        rows: &mut Rows,
    ) -> Result<(), BooksError> {
        let (number, account) = self.account_mut(id)?;
        account.is_closed = is_closed;
        rows.accounts.insert(number);
        Ok(())
    }

    fn seal(&self, statement: Statement, at: At, rows: &mut Rows) -> Result<(), BooksError> {
        let unknown = BooksError::UnknownAccount(statement.account);
        let account = self.account_number(statement.account)?;
        let scale = self.account(account).ok_or(unknown)?.scale;
        let (position, sealed_at) = (at.position, at.time);
        rows.statements.push(StatementRow { account, scale, statement, position, sealed_at });
        Ok(())
    }

    fn learn_transfers(
        &mut self,
        transfers: &Transfers,
        at: At,
        ordinal: &mut u32,
        rows: &mut Rows,
    ) -> Result<(), BooksError> {
        for set in transfers.sets() {
            let first = self.transfer_count + 1;
            self.list_transfers(set, at, ordinal, rows)?;
            if let Some(note) = set.note {
                let metadata = note.metadata.as_str();
                rows.notes.push(NoteRow {
                    transfer: first,
                    external_id: note.external_id.as_ref().map(|id| id.as_str().into()),
                    metadata: (!metadata.is_empty()).then(|| metadata.into()),
                    authority: note.authority.map(|used| (used.id, used.number)),
                });
            }
            if set.recorded.first().is_some_and(|first| first.outcome == Outcome::Created) {
                self.learn_set(set, first, at, rows)?;
            }
        }
        Ok(())
    }

    /// Numbers the transfers of a set, also of one that was refused.
    fn list_transfers(
        &mut self,
        set: RecordedSet<'_>,
        at: At,
        ordinal: &mut u32,
        rows: &mut Rows,
    ) -> Result<(), BooksError> {
        let first = self.transfer_count + 1;
        for recorded in set.recorded {
            self.transfer_count += 1;
            let debit_account = self.account_number(recorded.transfer.debit_account)?;
            let credit_account = self.account_number(recorded.transfer.credit_account)?;
            let scale = self.account(debit_account).map(|account| account.scale);
            rows.transfers.push(TransferRow {
                number: self.transfer_count,
                first,
                position: at.position,
                ordinal: *ordinal,
                recorded_at: at.time,
                scale: scale.ok_or(BooksError::UnknownAccount(recorded.transfer.debit_account))?,
                debit_account,
                credit_account,
                recorded: *recorded,
            });
            *ordinal += 1;
        }
        Ok(())
    }

    fn learn_set(
        &mut self,
        set: RecordedSet<'_>,
        first: u64,
        at: At,
        rows: &mut Rows,
    ) -> Result<(), BooksError> {
        let mut number = first;
        for run in set.recorded.chunk_by(RecordedTransfer::is_same_run) {
            let Some(RecordedTransfer { transfer, .. }) = run.first() else { continue };
            match transfer.kind {
                TransferKind::Single => self.post(run, number, EntryKind::Single, at, rows)?,
                TransferKind::Reversal { .. } => {
                    self.post(run, number, EntryKind::Reversal, at, rows)?;
                }
                TransferKind::Pending(_) => self.hold(run, number, at, rows)?,
                TransferKind::Post { pending } | TransferKind::Void { pending } => {
                    self.settle(run, number, pending, at, rows)?;
                }
            }
            number += u64::try_from(run.len()).unwrap_or(0);
        }
        Ok(())
    }

    fn post(
        &mut self,
        run: &[RecordedTransfer],
        first: u64,
        kind: EntryKind,
        at: At,
        rows: &mut Rows,
    ) -> Result<(), BooksError> {
        for (transfer_number, RecordedTransfer { transfer, .. }) in (first..).zip(run) {
            let doing = Doing {
                transfer: transfer_number,
                kind,
                change: Change::Post(transfer.amount.minor_units()),
                effective_at: transfer.effective_at,
            };
            self.enter((transfer.debit_account, transfer.credit_account), doing, at, rows)?;
        }
        Ok(())
    }

    fn hold(
        &mut self,
        run: &[RecordedTransfer],
        first: u64,
        at: At,
        rows: &mut Rows,
    ) -> Result<(), BooksError> {
        // The effective time of the set's first transfer counts for all of them.
        let effective_at = run.first().and_then(|first| first.transfer.effective_at);
        for (number, RecordedTransfer { transfer, .. }) in (first..).zip(run) {
            let TransferKind::Pending(reservation) = transfer.kind else { continue };
            let ends = reservation.ends(effective_at, at.time);
            let row = self.reservation(transfer, number, reservation.allowance, ends)?;
            let change = Change::Reserve(row.amount);
            let doing = Doing {
                transfer: number,
                kind: EntryKind::Pending,
                change,
                effective_at: transfer.effective_at,
            };
            self.enter((transfer.debit_account, transfer.credit_account), doing, at, rows)?;
            rows.reservations.insert(number, row);
            self.reserve(transfer.id, row);
        }
        Ok(())
    }

    fn reservation(
        &self,
        transfer: &Transfer,
        number: u64,
        allowance: Amount,
        ends: Option<(Timestamp, Ending)>,
    ) -> Result<ReservationRow, BooksError> {
        let debit_account = self.account_number(transfer.debit_account)?;
        let account = self
            .account(debit_account)
            .ok_or(BooksError::UnknownAccount(transfer.debit_account))?;
        Ok(ReservationRow {
            transfer: number,
            debit_account,
            credit_account: self.account_number(transfer.credit_account)?,
            scale: account.scale,
            amount: transfer.amount.minor_units(),
            allowance: allowance.minor_units(),
            ends: ends.map(|(time, ending)| (time, ending == Ending::Posted)),
            ended: None,
        })
    }

    fn take_open(&mut self, id: TransferId) -> Result<OpenSet, BooksError> {
        self.open.remove(&id).ok_or(BooksError::NotPending(id))
    }

    fn settle(
        &mut self,
        run: &[RecordedTransfer],
        first: u64,
        pending: TransferId,
        at: At,
        rows: &mut Rows,
    ) -> Result<(), BooksError> {
        let open = self.take_open(pending)?;
        if open.len() != run.len() {
            return Err(BooksError::NotPending(pending));
        }
        for ((number, RecordedTransfer { transfer, .. }), reserved) in (first..).zip(run).zip(open)
        {
            let (kind, state, posted) = match transfer.kind {
                TransferKind::Post { .. } => {
                    (EntryKind::Post, "posted", transfer.amount.minor_units())
                }
                _ => (EntryKind::Void, "voided", 0),
            };
            let change = Change::Settle { reserved: reserved.amount, posted };
            let effective_at = transfer.effective_at;
            let doing = Doing { transfer: number, kind, change, effective_at };
            self.enter((transfer.debit_account, transfer.credit_account), doing, at, rows)?;
            let ended = EndedReservation { state, posted, position: at.position, at: at.time };
            rows.reservations
                .insert(reserved.transfer, ReservationRow { ended: Some(ended), ..reserved });
        }
        Ok(())
    }

    /// Time has ended a set.
    fn end(&mut self, ended: Ended, at: At, rows: &mut Rows) -> Result<(), BooksError> {
        for reserved in self.take_open(ended.id)? {
            let (kind, state, posted, effective_at) = match ended.ending {
                Ending::Expired => (EntryKind::Expired, "expired", 0, None),
                Ending::Posted => {
                    (EntryKind::PostedOnTime, "posted", reserved.amount, Some(ended.at))
                }
            };
            let change = Change::Settle { reserved: reserved.amount, posted };
            let doing = Doing { transfer: reserved.transfer, kind, change, effective_at };
            let id = |number| {
                self.account(number)
                    .map(|account: &Account| account.id)
                    .ok_or(BooksError::NotPending(ended.id))
            };
            let accounts = (id(reserved.debit_account)?, id(reserved.credit_account)?);
            self.enter(accounts, doing, at, rows)?;
            let ended = EndedReservation { state, posted, position: at.position, at: ended.at };
            rows.reservations
                .insert(reserved.transfer, ReservationRow { ended: Some(ended), ..reserved });
        }
        Ok(())
    }

    /// Makes the entries of a transfer in both of its accounts.
    fn enter(
        &mut self,
        (debit, credit): (AccountId, AccountId),
        doing: Doing,
        at: At,
        rows: &mut Rows,
    ) -> Result<(), BooksError> {
        let Doing { transfer, kind, change, effective_at } = doing;
        let (amount, reserved) = match change {
            Change::Post(amount) => (amount, Balance::ZERO),
            Change::Reserve(amount) => (0, Balance::new(false, amount)),
            Change::Settle { reserved, posted } => (posted, Balance::new(true, reserved)),
        };
        for (id, side) in [(debit, EntrySide::Debit), (credit, EntrySide::Credit)] {
            let (number, account) = self.account_mut(id)?;
            account.totals = change.apply(account.totals, side).ok_or(BooksError::Overflow(id))?;
            account.version += 1;
            rows.balances.insert(number);
            rows.entries.push(EntryRow {
                account: number,
                version: account.version,
                transfer,
                position: at.position,
                recorded_at: at.time,
                effective_at,
                side,
                kind,
                scale: account.scale,
                amount,
                reserved,
                posted: account.totals.posted(account.normal_side),
                available: account.totals.available(account.normal_side),
            });
        }
        Ok(())
    }
}
