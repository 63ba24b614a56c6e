//! What was moved, as a list, and answers that go through all of it.

use std::collections::BTreeMap;

use lombard_ledger_core::*;
use lombard_query::Cut;
use lombard_types::{AccountId, Position, Scale, Timestamp, TransferId};

use crate::wishes::account_id;

struct Moved {
    debit: AccountId,
    credit: AccountId,
    amount: u128,
    code: u16,
    effective: Timestamp,
    position: Position,
}

struct Scheduled {
    id: TransferId,
    debit: AccountId,
    credit: AccountId,
    amount: u128,
    due: Timestamp,
    position: Position,
    ended: Option<Position>,
}

#[derive(Default)]
pub(crate) struct Naive {
    moved: Vec<Moved>,
    scheduled: Vec<Scheduled>,
}

impl Naive {
    pub(crate) fn of(events: &[(Event, Timestamp)]) -> Self {
        let mut naive = Self::default();
        for (position, (event, time)) in (0..).map(Position::new).zip(events) {
            match event {
                Event::Transfers(transfers) => {
                    for RecordedTransfer { transfer, outcome } in &transfers.recorded {
                        if *outcome == Outcome::Created {
                            naive.transfer(transfer, position, *time);
                        }
                    }
                }
                Event::PendingsEnded(ended) => {
                    for ended in ended {
                        naive.ended(ended, position);
                    }
                }
                _ => {}
            }
        }
        naive
    }

    fn transfer(&mut self, transfer: &Transfer, position: Position, time: Timestamp) {
        let Transfer { debit_account: debit, credit_account: credit, code, .. } = *transfer;
        let amount = transfer.amount.minor_units();
        let effective = transfer.effective_at.unwrap_or(time);
        match transfer.kind {
            TransferKind::Single | TransferKind::Reversal { .. } => {
                self.moved.push(Moved { debit, credit, amount, code, effective, position });
            }
            TransferKind::Post { pending } => {
                self.end(pending, position);
                self.moved.push(Moved { debit, credit, amount, code, effective, position });
            }
            TransferKind::Void { pending } => self.end(pending, position),
            TransferKind::Pending(Reservation { is_scheduled: true, .. }) => {
                let (due, id) = (effective, transfer.id);
                let ended = None;
                self.scheduled.push(Scheduled { id, debit, credit, amount, due, position, ended });
            }
            TransferKind::Pending(_) => {}
        }
    }

    fn end(&mut self, id: TransferId, position: Position) {
        if let Some(scheduled) = self.scheduled.iter_mut().find(|of| of.id == id) {
            scheduled.ended = Some(position);
        }
    }

    fn ended(&mut self, ended: &Ended, position: Position) {
        if ended.ending == Ending::Posted {
            self.end(ended.id, position);
            let Scheduled { debit, credit, amount, due: effective, .. } =
                *self.scheduled.iter().find(|of| of.id == ended.id).unwrap();
            self.moved.push(Moved { debit, credit, amount, code: 0, effective, position });
        }
    }

    /// Around everything that has an effective time, as far as a test has patience.
    pub(crate) fn interesting_times(&self, cut: Timestamp) -> Vec<Timestamp> {
        let near = |moved: &Moved| {
            let nanos = moved.effective.unix_nanos();
            [nanos, nanos.saturating_sub(1)].map(Timestamp::from_unix_nanos)
        };
        let step = self.moved.len() / 6 + 1;
        self.moved.iter().step_by(step).flat_map(near).chain([cut]).collect()
    }

    pub(crate) fn effective(&self, account: u8, at: Timestamp, cut: Cut) -> (u128, u128) {
        let id = account_id(account);
        let moved = self.moved.iter().filter(|of| of.position < cut.end && of.effective <= at);
        let mut sums = (0, 0);
        let mut add = |debit: AccountId, credit: AccountId, amount| {
            sums.0 += if debit == id { amount } else { 0 };
            sums.1 += if credit == id { amount } else { 0 };
        };
        moved.for_each(|of| add(of.debit, of.credit, of.amount));
        // What was scheduled, and nobody has recorded.
        self.scheduled
            .iter()
            .filter(|of| of.position < cut.end && of.ended.is_none_or(|ended| ended >= cut.end))
            .filter(|of| of.due <= at.min(cut.time))
            .for_each(|of| add(of.debit, of.credit, of.amount));
        sums
    }

    pub(crate) fn trial_balance(&self, book: &Book) -> Vec<(String, u32, String)> {
        let mut lines: BTreeMap<String, (u32, u128, Scale)> = BTreeMap::new();
        for account in book.accounts() {
            let asset = book.asset_of(account);
            let line = lines.entry(asset.code.to_string()).or_insert((0, 0, asset.scale));
            line.0 += 1;
            line.1 += account.totals.debits_posted;
        }
        let text =
            |sum, scale| lombard_types::Amount::from_minor_units(sum).display(scale).to_string();
        lines
            .into_iter()
            .map(|(code, (count, sum, scale))| (code, count, text(sum, scale)))
            .collect()
    }

    pub(crate) fn codes(&self, book: &Book, cut: Cut) -> Vec<(u16, String, u64, String)> {
        let mut lines: BTreeMap<(u16, String), (u64, u128)> = BTreeMap::new();
        for of in self.moved.iter().filter(|of| of.position < cut.end && of.code != 0) {
            let account = book.account(&AccountRef::Id(of.debit)).unwrap();
            let line = lines.entry((of.code, book.asset_of(account).code.to_string())).or_default();
            line.0 += 1;
            line.1 += of.amount;
        }
        let cents = Scale::new(2).unwrap();
        let text = |sum| lombard_types::Amount::from_minor_units(sum).display(cents).to_string();
        lines
            .into_iter()
            .map(|((code, asset), (count, sum))| (code, asset, count, text(sum)))
            .collect()
    }
}
