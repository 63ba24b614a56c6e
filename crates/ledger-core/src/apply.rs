//! How events change the state of a book.

use std::borrow::Cow;

use lombard_types::{AccountId, Timestamp, TransferId};

use crate::{
    Account, Book, Change, Ended, Ending, EntrySide, Event, LastStatement, Outcome, Recorded,
    RecordedSet, RecordedTransfer, Reservation, Totals, Transfer, TransferKind, Transfers,
    account::AccountIndex,
    ahead::Ahead,
    pending::{Pending, PendingTransfer},
};

/// Of the account that is debited, and of the one that is credited.
type AccountIndexes = (AccountIndex, AccountIndex);

impl Book {
    /// Makes an event part of the state.
    ///
    /// Panics on an event that no book could have decided here, such as a transfer between unknown accounts: the log
    /// is then not this book's, and going on would corrupt balances.
    pub fn apply(&mut self, event: &Event, recorded: Recorded) {
        match event {
            Event::AssetCreated { code, scale, .. } => self.set_asset(code, *scale),
            Event::AccountOpened { .. } => self.apply_account_opened(event),
            Event::AccountClosed { id, .. } => self.set_closed(*id, true),
            Event::AccountReopened { id, .. } => self.set_closed(*id, false),
            Event::ChartRuleSet { rule, .. } => {
                self.chart.insert(rule.prefix.clone(), rule.clone());
            }
            Event::ChartRuleRemoved { prefix, .. } => drop(self.chart.remove(prefix)),
            Event::PeriodLocked { lock, .. } => {
                self.locks.insert(lock.name.clone(), lock.clone());
            }
            Event::PeriodUnlocked { name, .. } => drop(self.locks.remove(name)),
            Event::StatementSealed { statement, .. } => {
                self.statements.insert(statement.account, LastStatement::of(statement));
            }
            Event::Transfers(transfers) => self.apply_transfers(transfers, recorded.time),
            Event::PendingsEnded(ended) => ended.iter().for_each(|ended| self.end(*ended)),
        }
    }

    fn apply_account_opened(&mut self, event: &Event) {
        let Event::AccountOpened { id, path, asset, normal_side, floor, ceiling, .. } = event
        else {
            return;
        };
        let Some(&asset) = self.assets_by_code.get(asset) else {
            panic!("account {id} holds the unknown asset {asset}");
        };
        self.insert_account(Account {
            id: *id,
            path: path.clone(),
            asset,
            normal_side: *normal_side,
            floor: *floor,
            ceiling: *ceiling,
            is_closed: false,
            version: 0,
            totals: Totals::default(),
        });
    }

    fn set_closed(&mut self, id: AccountId, is_closed: bool) {
        let Some(index) = self.find_id(id) else {
            panic!("the unknown account {id} was closed or reopened");
        };
        self.account_mut(index).is_closed = is_closed;
    }

    fn apply_transfers(&mut self, transfers: &Transfers, time: Timestamp) {
        // As when they are decided: the processor waits for many cache misses at once.
        let accounts = self.accounts_of_all(transfers);
        let mut ahead = Ahead::default();
        let mut rest = &*accounts;
        for set in transfers.sets() {
            ahead.look(self, rest);
            let (accounts, after) =
                rest.split_at_checked(set.recorded.len()).unwrap_or((rest, &[]));
            rest = after;
            ahead.done(set.recorded.len());
            let accounts = self.checked(set, accounts);
            self.apply_set(set, &accounts, time);
        }
    }

    fn apply_set(&mut self, set: RecordedSet<'_>, accounts: &[AccountIndexes], time: Timestamp) {
        let Some(first) = set.recorded.first() else { return };
        if first.outcome != Outcome::Created {
            return;
        }
        if let TransferKind::Pending(reservation) = first.transfer.kind {
            return self.reserve(set.recorded, accounts, reservation, time);
        }
        let mut accounts = accounts.iter().copied();
        for run in set.recorded.chunk_by(RecordedTransfer::is_same_run) {
            self.apply_run(run, accounts.by_ref().take(run.len()));
        }
    }

    fn apply_run(
        &mut self,
        run: &[RecordedTransfer],
        accounts: impl Iterator<Item = AccountIndexes>,
    ) {
        let Some(first) = run.first() else { return };
        let (TransferKind::Post { pending } | TransferKind::Void { pending }) = first.transfer.kind
        else {
            for (RecordedTransfer { transfer, .. }, (debit, credit)) in run.iter().zip(accounts) {
                self.change(debit, credit, Change::Post(transfer.amount.minor_units()));
            }
            return;
        };
        // Those of the reservation; what is left of `accounts` is skipped.
        accounts.for_each(drop);
        let pending = self.take_pending(pending);
        for (reserved, RecordedTransfer { transfer, .. }) in pending.transfers().zip(run) {
            let posted = match transfer.kind {
                TransferKind::Post { .. } => transfer.amount.minor_units(),
                _ => 0,
            };
            let change = Change::Settle { reserved: reserved.amount.minor_units(), posted };
            self.change(reserved.debit, reserved.credit, change);
        }
    }

    fn reserve(
        &mut self,
        recorded: &[RecordedTransfer],
        accounts: &[AccountIndexes],
        reservation: Reservation,
        time: Timestamp,
    ) {
        let mut transfers = recorded.iter().zip(accounts).map(|(recorded, &(debit, credit))| {
            let transfer = &recorded.transfer;
            let (amount, allowance) = (transfer.amount, transfer.kind.allowance());
            PendingTransfer { debit, credit, amount, allowance }
        });
        let (Some(first), Some(RecordedTransfer { transfer, .. })) =
            (transfers.next(), recorded.first())
        else {
            return;
        };
        let rest: Box<[PendingTransfer]> = transfers.collect();
        let ends = reservation.ends(transfer.effective_at, time);
        let pending = Pending { id: transfer.id, ends, first, rest };
        for reserved in pending.transfers() {
            let change = Change::Reserve(reserved.amount.minor_units());
            self.change(reserved.debit, reserved.credit, change);
        }
        let is_new = self.pendings.insert(pending);
        assert!(is_new, "transfer {} is pending already", transfer.id);
    }

    fn end(&mut self, ended: Ended) {
        let pending = self.take_pending(ended.id);
        for transfer in pending.transfers() {
            let reserved = transfer.amount.minor_units();
            let posted = match ended.ending {
                Ending::Posted => reserved,
                Ending::Expired => 0,
            };
            self.change(transfer.debit, transfer.credit, Change::Settle { reserved, posted });
        }
    }

    fn take_pending(&mut self, id: TransferId) -> Pending {
        match self.pendings.remove(id) {
            Some(pending) => pending,
            None => panic!("transfer {id} was ended and is not pending"),
        }
    }

    /// Where the book that decided them is in this process, it has found them already.
    fn accounts_of_all<'a>(&self, transfers: &'a Transfers) -> Cow<'a, [AccountIndexes]> {
        let found = transfers.found.as_slice();
        if found.len() == transfers.recorded.len() {
            return Cow::Borrowed(found);
        }
        self.look_up(&transfers.recorded).into()
    }

    /// The accounts of a set as they were found, unless it was another book that found them, which numbers its own way.
    fn checked<'a>(
        &self,
        set: RecordedSet<'_>,
        found: &'a [AccountIndexes],
    ) -> Cow<'a, [AccountIndexes]> {
        let has = |index: AccountIndex, id| {
            usize::try_from(index.0)
                .ok()
                .and_then(|index| self.accounts.get(index))
                .is_some_and(|account| account.id == id)
        };
        let are_they = set.recorded.iter().zip(found).all(|(recorded, &(debit, credit))| {
            let transfer = &recorded.transfer;
            has(debit, transfer.debit_account) && has(credit, transfer.credit_account)
        });
        if are_they { Cow::Borrowed(found) } else { self.look_up(set.recorded).into() }
    }

    fn look_up(&self, recorded: &[RecordedTransfer]) -> Vec<AccountIndexes> {
        recorded.iter().map(|recorded| self.accounts_of(&recorded.transfer)).collect()
    }

    fn accounts_of(&self, transfer: &Transfer) -> AccountIndexes {
        match (self.find_id(transfer.debit_account), self.find_id(transfer.credit_account)) {
            (Some(debit), Some(credit)) => (debit, credit),
            _ => panic!("transfer {} is between unknown accounts", transfer.id),
        }
    }

    fn change(&mut self, debit: AccountIndex, credit: AccountIndex, change: Change) {
        for (index, side) in [(debit, EntrySide::Debit), (credit, EntrySide::Credit)] {
            let account = self.account_mut(index);
            let Some(totals) = change.apply(account.totals, side) else {
                panic!("a total of account {} would overflow", account.id);
            };
            account.totals = totals;
            account.version += 1;
        }
    }
}
