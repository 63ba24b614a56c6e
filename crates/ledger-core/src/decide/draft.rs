//! The state as a command would leave it: the book, and what the sets decided so far would change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lombard_types::{Amount, Timestamp, TransferId};

use crate::{
    Book, ExternalId, FixedState, Note, Past, RecordedSet, RecordedTransfer, Totals, Transfer,
    account::AccountIndex,
    pending::{Pending, PendingTransfer},
};

use super::touched::{TouchIndex, Touched};

/// What a transfer does, as far as the state had to be looked at for it.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Post,
    Reserve,
    /// Posts `posted` of what is reserved, or voids.
    Settle {
        reserved: Amount,
        posted: Amount,
    },
    /// Moves back, at most so much.
    Reverse {
        left: Amount,
    },
}

/// A transfer of the set that is being decided.
#[derive(Clone, Copy)]
pub(super) struct Leg {
    pub(super) debit: AccountIndex,
    pub(super) credit: AccountIndex,
    /// As asked for.
    pub(super) transfer: Transfer,
    pub(super) step: Step,
    /// The place in the request that it comes from.
    pub(super) asked: u16,
    /// Its place in a set that it is about.
    pub(super) of_other: u16,
}

/// What became of a pending set in this command.
pub(super) enum Drafted {
    Pending(Pending),
    Posted,
    Voided,
}

/// Where a set of this command was recorded.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) first: usize,
    end: usize,
    note: Option<usize>,
}

/// Everything that a command's sets share while they are decided.
pub(super) struct Draft<'a, P> {
    pub(super) book: &'a Book,
    pub(super) past: &'a P,
    pub(super) now: Timestamp,
    pub(super) touched: Touched,
    /// How the accounts of the set being decided were before it.
    pub(super) undo: Vec<(TouchIndex, Totals, u64)>,
    pub(super) legs: Vec<Leg>,
    pub(super) pendings: HashMap<TransferId, Drafted, FixedState>,
    pub(super) reversed: BTreeMap<(TransferId, u16), Amount>,
    pub(super) uses: BTreeMap<u128, u32>,
    pub(super) externals: BTreeSet<ExternalId>,
    /// Ids spent by this command; not kept where it has only one set.
    spent: HashMap<TransferId, Place, FixedState>,
    has_more_sets: bool,
    pub(super) recorded: Vec<RecordedTransfer>,
    /// The accounts of what is recorded.
    pub(super) found: Vec<(AccountIndex, AccountIndex)>,
    pub(super) notes: Vec<(u32, Note)>,
    /// How many sets are recorded.
    sets: u32,
}

impl<'a, P: Past> Draft<'a, P> {
    pub(super) fn new(book: &'a Book, past: &'a P, now: Timestamp, transfer_count: usize) -> Self {
        Self {
            book,
            past,
            now,
            touched: Touched::new(2 * transfer_count),
            undo: Vec::new(),
            legs: Vec::new(),
            pendings: HashMap::with_hasher(book.hasher),
            reversed: BTreeMap::new(),
            uses: BTreeMap::new(),
            externals: BTreeSet::new(),
            spent: HashMap::with_capacity_and_hasher(
                if transfer_count > 1 { transfer_count } else { 0 },
                book.hasher,
            ),
            has_more_sets: transfer_count > 1,
            recorded: Vec::with_capacity(transfer_count),
            found: Vec::with_capacity(transfer_count),
            notes: Vec::new(),
            sets: 0,
        }
    }

    /// The set of this command that spent an id.
    pub(super) fn spent_here(&self, id: TransferId) -> Option<(Place, RecordedSet<'_>)> {
        let place = *self.spent.get(&id)?;
        let recorded = self.recorded.get(place.first..place.end)?;
        let note = place.note.and_then(|note| self.notes.get(note)).map(|(_, note)| note);
        Some((place, RecordedSet { recorded, note }))
    }

    /// Closes a set whose transfers are in `recorded` from `first` on.
    pub(super) fn close_set(&mut self, id: TransferId, first: usize, note: Note) {
        let mut place = Place { first, end: self.recorded.len(), note: None };
        if !note.is_empty() {
            place.note = Some(self.notes.len());
            self.notes.push((self.sets, note));
        }
        self.sets += 1;
        if self.has_more_sets {
            self.spent.insert(id, place);
        }
    }

    /// Takes back what the set being decided has changed.
    pub(super) fn take_back(&mut self) {
        while let Some((place, totals, version)) = self.undo.pop() {
            self.touched.set(place, totals, version);
        }
    }

    /// The set being decided as a pending one, for the sets after it. Its transfers are recorded from `first` on.
    pub(super) fn drafted_pending(&self, id: TransferId, first: usize) -> Option<Pending> {
        let recorded = self.recorded.get(first..)?;
        let mut transfers = self.legs.iter().zip(recorded).map(|(leg, recorded)| PendingTransfer {
            debit: leg.debit,
            credit: leg.credit,
            amount: recorded.transfer.amount,
            allowance: recorded.transfer.kind.allowance(),
        });
        // When it ends is of no importance yet: it cannot be before the command is over.
        Some(Pending { id, ends: None, first: transfers.next()?, rest: transfers.collect() })
    }
}
