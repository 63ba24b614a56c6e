//! Posting sets: all of a set's transfers happen, or none.

use std::sync::Arc;

use lombard_types::{Amount, TransferId};

use crate::{
    AuthorityUse, Book, Change, CreateTransfers, Event, NewNote, NewTransfer, Note, Outcome, Past,
    RecordedTransfer, TransferFlags as Flags, TransferKind, TransferRefusal, TransferRejection,
    Transfers, Unreadable, ahead::Ahead, compare_retry, found::FoundAccounts,
};

use super::{
    Decision, Reply, SetResult, TransfersReply,
    draft::{Draft, Drafted, Leg, Step},
    refuse::{self, Checked, Side},
    reject,
    resolve::Accounts,
};

impl Book {
    pub(super) fn create_transfers<P: Past>(
        &self,
        past: &P,
        command: CreateTransfers,
        now: lombard_types::Timestamp,
    ) -> Result<Decision, Unreadable> {
        let CreateTransfers { transfers, notes, evidence } = command;
        // All accounts are looked up before the first is needed: the processor waits for many cache misses at once.
        let accounts: Vec<Accounts> = transfers
            .iter()
            .map(|transfer| {
                let find = |id: Option<_>| id.and_then(|id| self.find_id(id));
                (find(transfer.debit_account), find(transfer.credit_account))
            })
            .collect();
        let mut draft = Draft::new(self, past, now, transfers.len());
        let mut results = Vec::with_capacity(transfers.len());
        let mut notes = notes.into_iter().peekable();
        let mut rest = accounts.as_slice();
        let mut ahead = Ahead::default();
        let sets = transfers.split_inclusive(|transfer| !transfer.is_linked());
        for (number, set) in (0u32..).zip(sets) {
            ahead.look(self, rest);
            ahead.done(set.len());
            let (accounts, after) = rest.split_at_checked(set.len()).unwrap_or((rest, &[]));
            rest = after;
            let note = notes.next_if(|(of, _)| *of == number).map(|(_, note)| note);
            results.push(draft.decide_set(set, accounts, note)?);
        }
        let Draft { recorded, notes, found, .. } = draft;
        if recorded.is_empty() {
            let reply = TransfersReply { results, recorded: None };
            return Ok(Decision::Answer(Reply::Transfers(reply)));
        }
        let transfers = Arc::new(Transfers {
            found: FoundAccounts::new(found),
            ..Transfers::new(recorded, notes, evidence)
        });
        let reply = TransfersReply { results, recorded: Some(Arc::clone(&transfers)) };
        Ok(Decision::Commit(Event::Transfers(transfers), Reply::Transfers(reply)))
    }
}

impl<P: Past> Draft<'_, P> {
    fn decide_set(
        &mut self,
        set: &[NewTransfer],
        accounts: &[Accounts],
        note: Option<NewNote>,
    ) -> Result<SetResult, Unreadable> {
        let rejected = |(transfer, rejection)| SetResult::Rejected { transfer, rejection };
        if let Err(reason) = reject::check_shape(set, self.now) {
            return Ok(rejected(reason));
        }
        let Some(id) = set.first().map(|transfer| transfer.id) else {
            return Ok(rejected((0, TransferRejection::LinkedEventChainOpen)));
        };
        if let Some(known) = self.known(id, set, note.as_ref())? {
            return Ok(known);
        }
        if let Err(reason) = reject::check_content(set, note.as_ref(), self.now) {
            return Ok(rejected(reason));
        }
        if let Err(reason) = self.resolve(set, accounts, note.as_ref())? {
            return Ok(rejected(reason));
        }
        if self.external_is_taken(note.as_ref())? {
            return Ok(rejected((0, TransferRejection::ExternalIdTaken)));
        }
        self.carry_out(id, note)
    }

    /// The answer where the id is spent.
    fn known(
        &self,
        id: TransferId,
        set: &[NewTransfer],
        note: Option<&NewNote>,
    ) -> Result<Option<SetResult>, Unreadable> {
        if let Some((place, first)) = self.spent_here(id) {
            let asset_of = |id| {
                let index = self.book.find_id(id)?;
                Some(self.book.asset_of(self.book.account_at(index)).code.clone())
            };
            return Ok(Some(match compare_retry(first, set, note, asset_of) {
                Ok(()) => SetResult::Again { first: place.first },
                Err((transfer, rejection)) => SetResult::Rejected { transfer, rejection },
            }));
        }
        Ok(self.past.spent(id)?.map(SetResult::Spent))
    }

    fn external_is_taken(&self, note: Option<&NewNote>) -> Result<bool, Unreadable> {
        let Some(id) = note.and_then(|note| note.external_id.as_ref()) else {
            return Ok(false);
        };
        Ok(self.externals.contains(id) || self.past.external(id)?.is_some())
    }

    /// Makes the set happen in the draft, or be refused.
    fn carry_out(
        &mut self,
        id: TransferId,
        note: Option<NewNote>,
    ) -> Result<SetResult, Unreadable> {
        let first = self.recorded.len();
        let note = note.unwrap_or_default();
        self.undo.clear();
        let mut refused = None;
        for number in 0..self.legs.len() {
            let Some(leg) = self.legs.get(number).copied() else { break };
            match self.carry_out_leg(leg, &note) {
                Ok(amount) => self.record(leg, number, amount, Outcome::Created),
                Err(refusal) => {
                    refused = Some((number, leg.asked, refusal));
                    break;
                }
            }
        }
        if let Some(external) = &note.external_id {
            self.externals.insert(external.clone());
        }
        let NewNote { metadata, external_id, conditions, authority, .. } = note;
        let mut note = Note { metadata, external_id, conditions, authority: None };
        if let Some((at, transfer, refusal)) = refused {
            self.take_back();
            self.recorded.truncate(first);
            self.found.truncate(first);
            self.record_refused(at, refusal);
            self.close_set(id, first, note);
            return Ok(SetResult::Refused { first, transfer, refusal });
        }
        if let Some(authority) = authority {
            let (id, number) = (authority.id, self.uses_of(authority.id)?.saturating_add(1));
            self.uses.insert(id, number);
            note.authority = Some(AuthorityUse { id, number });
        }
        self.remember(id, first);
        self.close_set(id, first, note);
        Ok(SetResult::Created { first })
    }

    /// Changes the two accounts, and answers how much was moved or reserved.
    fn carry_out_leg(&mut self, leg: Leg, note: &NewNote) -> Result<Amount, TransferRefusal> {
        let places =
            (self.touched.place(self.book, leg.debit), self.touched.place(self.book, leg.credit));
        let (debited, credited) = (self.touched.at(places.0), self.touched.at(places.1));
        let side = |index, touch: super::touched::Touch| Side {
            account: self.book.account_at(index),
            totals: touch.totals,
            version: touch.version,
        };
        let (debit, credit) = (side(leg.debit, debited), side(leg.credit, credited));
        let change = self.change(leg, debit, credit)?;
        let checked = Checked {
            change,
            is_imported: leg.transfer.flags.has(Flags::IMPORTED),
            overflows_timeout: self.overflows_timeout(leg),
        };
        let (debit_after, credit_after) = refuse::check(debit, credit, checked)?;
        if !note.conditions.is_empty() {
            let debit = Side { totals: debit_after, ..debit };
            let credit = Side { totals: credit_after, ..credit };
            refuse::check_conditions(&note.conditions, leg.asked, debit, credit)?;
        }
        if self.legs.len() > 1 {
            self.undo.push((places.0, debited.totals, debited.version));
            self.undo.push((places.1, credited.totals, credited.version));
        }
        self.touched.set(places.0, debit_after, debited.version + 1);
        self.touched.set(places.1, credit_after, credited.version + 1);
        Ok(Amount::from_minor_units(match change {
            Change::Post(amount) | Change::Reserve(amount) => amount,
            Change::Settle { reserved, posted } => match leg.transfer.kind {
                TransferKind::Void { .. } => reserved,
                _ => posted,
            },
        }))
    }

    fn change(
        &self,
        leg: Leg,
        debit: Side<'_>,
        credit: Side<'_>,
    ) -> Result<Change, TransferRefusal> {
        let flags = leg.transfer.flags;
        let mut amount = leg.transfer.amount.minor_units();
        if let Step::Reverse { left } = leg.step {
            let left = left.minor_units();
            let is_whole = flags.has(Flags::WHOLE);
            if amount > left || is_whole && self.is_nothing_left() {
                return Err(TransferRefusal::ExceedsReversibleAmount);
            }
            amount = if is_whole { left } else { amount };
        }
        let may_be_locked = !matches!(leg.transfer.kind, TransferKind::Void { .. })
            && !flags.has(Flags::OVERRIDES_LOCK);
        if may_be_locked {
            let time = leg.transfer.effective_at.unwrap_or(self.now);
            if self.book.locks.values().any(|lock| lock.covers(time)) {
                return Err(TransferRefusal::PeriodLocked);
            }
        }
        if flags.has(Flags::BALANCING_DEBIT) {
            amount = refuse::balance_debit(debit, amount);
        }
        if flags.has(Flags::BALANCING_CREDIT) {
            amount = refuse::balance_credit(credit, amount);
        }
        Ok(match leg.step {
            Step::Post | Step::Reverse { .. } => Change::Post(amount),
            Step::Reserve => Change::Reserve(amount),
            Step::Settle { reserved, posted } => {
                Change::Settle { reserved: reserved.minor_units(), posted: posted.minor_units() }
            }
        })
    }

    /// Whether the set only reverses, and all of it is reversed already.
    fn is_nothing_left(&self) -> bool {
        self.legs.iter().all(|leg| match leg.step {
            Step::Reverse { left } => left.is_zero(),
            _ => false,
        })
    }

    fn overflows_timeout(&self, leg: Leg) -> bool {
        let TransferKind::Pending(reservation) = leg.transfer.kind else { return false };
        let end = reservation.ends(leg.transfer.effective_at, self.now);
        end.is_some_and(|(time, _)| time == lombard_types::Timestamp::MAX)
    }

    fn record(&mut self, leg: Leg, number: usize, amount: Amount, outcome: Outcome) {
        let mut transfer = leg.transfer;
        transfer.amount = amount;
        let is_last = number + 1 == self.legs.len();
        transfer.flags = match is_last {
            true => transfer.flags.without(Flags::LINKED),
            false => transfer.flags.with(Flags::LINKED),
        };
        self.recorded.push(RecordedTransfer { transfer, outcome });
        self.found.push((leg.debit, leg.credit));
    }

    /// Records the set as asked for, with the reason at the transfer that was refused.
    fn record_refused(&mut self, at: usize, refusal: TransferRefusal) {
        for number in 0..self.legs.len() {
            let Some(leg) = self.legs.get(number).copied() else { break };
            let refusal = if number == at { refusal } else { TransferRefusal::LinkedEventFailed };
            self.record(leg, number, leg.transfer.amount, Outcome::Refused(refusal));
        }
    }

    /// What the sets after this one must know of it.
    fn remember(&mut self, id: TransferId, first: usize) {
        let is_pending = self.legs.first().is_some_and(|leg| matches!(leg.step, Step::Reserve));
        if is_pending && let Some(pending) = self.drafted_pending(id, first) {
            self.pendings.insert(id, Drafted::Pending(pending));
        }
        for (leg, recorded) in self.legs.iter().zip(self.recorded.get(first..).unwrap_or_default())
        {
            match leg.transfer.kind {
                TransferKind::Single | TransferKind::Pending(_) => {}
                TransferKind::Post { pending } => {
                    self.pendings.insert(pending, Drafted::Posted);
                }
                TransferKind::Void { pending } => {
                    self.pendings.insert(pending, Drafted::Voided);
                }
                TransferKind::Reversal { of } => {
                    let total = self.reversed.entry((of, leg.of_other)).or_default();
                    *total = total.checked_add(recorded.transfer.amount).unwrap_or(Amount::MAX);
                }
            }
        }
    }
}
