//! The sets that are pending, and when their time comes.

use std::collections::{BTreeSet, HashMap};

use lombard_types::{Amount, Timestamp, TransferId};

use crate::{Ended, Ending, FixedState, account::AccountIndex};

/// A set that is pending.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Pending {
    pub(crate) id: TransferId,
    /// When it ends by itself, and how.
    pub(crate) ends: Option<(Timestamp, Ending)>,
    pub(crate) first: PendingTransfer,
    /// Apart from the first, so that the usual pending set needs no memory of its own.
    pub(crate) rest: Box<[PendingTransfer]>,
}

/// One transfer of a pending set.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct PendingTransfer {
    pub(crate) debit: AccountIndex,
    pub(crate) credit: AccountIndex,
    pub(crate) amount: Amount,
    pub(crate) allowance: Amount,
}

impl Pending {
    pub(crate) fn transfers(&self) -> impl Iterator<Item = &PendingTransfer> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    pub(crate) fn transfer_count(&self) -> usize {
        1 + self.rest.len()
    }
}

/// All pending sets of a book.
#[derive(Clone, Debug)]
pub(crate) struct Pendings {
    by_id: HashMap<TransferId, u32, FixedState>,
    slots: Vec<Option<Numbered>>,
    free: Vec<u32>,
    /// In the order in which their time comes, and in that of their creation at one time.
    due: BTreeSet<(Timestamp, u64, u32)>,
    next_number: u64,
}

#[derive(Clone, Debug)]
struct Numbered {
    number: u64,
    pending: Pending,
}

impl Pendings {
    pub(crate) fn new(hasher: FixedState) -> Self {
        Self {
            by_id: HashMap::with_hasher(hasher),
            slots: Vec::new(),
            free: Vec::new(),
            due: BTreeSet::new(),
            next_number: 0,
        }
    }

    pub(crate) fn get(&self, id: TransferId) -> Option<&Pending> {
        let slot = usize::try_from(*self.by_id.get(&id)?).ok()?;
        self.slots.get(slot)?.as_ref().map(|numbered| &numbered.pending)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Adds a set, unless there is one with its id.
    pub(crate) fn insert(&mut self, pending: Pending) -> bool {
        let number = self.next_number;
        let slot = self.free.last().copied().or_else(|| u32::try_from(self.slots.len()).ok());
        let Some(slot) = slot else { return false };
        if self.by_id.contains_key(&pending.id) {
            return false;
        }
        self.next_number += 1;
        self.by_id.insert(pending.id, slot);
        if let Some((time, _)) = pending.ends {
            self.due.insert((time, number, slot));
        }
        let numbered = Some(Numbered { number, pending });
        match self.free.pop().and_then(|slot| self.slots.get_mut(usize::try_from(slot).ok()?)) {
            Some(free) => *free = numbered,
            None => self.slots.push(numbered),
        }
        true
    }

    pub(crate) fn remove(&mut self, id: TransferId) -> Option<Pending> {
        let slot = self.by_id.remove(&id)?;
        let Numbered { number, pending } =
            self.slots.get_mut(usize::try_from(slot).ok()?)?.take()?;
        if let Some((time, _)) = pending.ends {
            self.due.remove(&(time, number, slot));
        }
        self.free.push(slot);
        Some(pending)
    }

    /// Those whose time has come, at most `count_max`.
    pub(crate) fn due(&self, now: Timestamp, count_max: usize) -> Vec<Ended> {
        let due = self.due.iter().take_while(|(time, _, _)| *time <= now).take(count_max);
        due.filter_map(|(_, _, slot)| {
            let numbered = self.slots.get(usize::try_from(*slot).ok()?)?.as_ref()?;
            let (at, ending) = numbered.pending.ends?;
            Some(Ended { id: numbered.pending.id, at, ending })
        })
        .collect()
    }

    /// When the next one's time comes.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(time, _, _)| *time)
    }

    /// All of them in the order of their creation.
    pub(crate) fn in_order(&self) -> Vec<&Pending> {
        let mut all: Vec<&Numbered> = self.slots.iter().flatten().collect();
        all.sort_unstable_by_key(|numbered| numbered.number);
        all.into_iter().map(|numbered| &numbered.pending).collect()
    }
}
