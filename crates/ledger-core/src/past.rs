//! What deciding needs to know of transfers that are over.

use std::collections::BTreeMap;

use lombard_types::{Amount, Position, TransferId};

use crate::{
    AuthorityUse, Ending, Event, ExternalId, Outcome, RecordedSet, RecordedTransfer, Transfer,
    TransferKind,
};

/// Which ids are spent, on what, for ever. Kept by the shell, as it is more than fits in memory; [`MemoryPast`] is the
/// plain definition.
pub trait Past {
    /// What an id was spent on.
    fn spent(&self, id: TransferId) -> Result<Option<Spent>, Unreadable>;

    /// The record of the set with this external id.
    fn external(&self, id: &ExternalId) -> Result<Option<Position>, Unreadable>;

    /// How much of a set's transfer (from 0) has been reversed.
    fn reversed(&self, id: TransferId, transfer: u16) -> Result<Amount, Unreadable>;

    /// How often a payment authority was used.
    fn uses(&self, authority: u128) -> Result<u32, Unreadable>;
}

/// What is known for ever of a set whose id is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spent {
    /// The record that holds it.
    pub position: Position,
    /// How it stands.
    pub status: SpentStatus,
}

/// How a set stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpentStatus {
    /// It moved money: a single transfer, a post or a reversal.
    Posted,
    /// It released a pending set.
    Voiding,
    /// It was refused.
    Refused,
    /// It is pending: the book knows more of it.
    Pending,
    /// It was pending, and another set posted it.
    PendingPosted,
    /// It was pending, and posted itself at its time.
    PendingPostedOnTime,
    /// It was pending, and another set voided it.
    PendingVoided,
    /// It was pending, and its timeout passed.
    PendingExpired,
}

/// The past cannot be looked at. Nothing is decided on a guess.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the index of spent ids cannot be read: {cause}")]
pub struct Unreadable {
    /// What went wrong.
    pub cause: Box<str>,
}

/// One thing that an event adds to the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson<'a> {
    /// How a set stands from now on. Where `is_new`, its id is spent by this event.
    Stands {
        /// The set.
        id: TransferId,
        /// How it stands.
        status: SpentStatus,
        /// Whether the event's record is the set's.
        is_new: bool,
    },
    /// An external id is taken.
    External(&'a ExternalId),
    /// A payment authority was used.
    Used(AuthorityUse),
    /// More of a transfer was reversed.
    Reversed {
        /// Its set.
        id: TransferId,
        /// Which transfer of it, from 0.
        transfer: u16,
        /// How much more.
        amount: Amount,
    },
}

impl Event {
    /// Calls `learn` with everything that this event adds to the past, in order.
    pub fn teach<'a>(&'a self, mut learn: impl FnMut(Lesson<'a>)) {
        match self {
            Self::Transfers(transfers) => {
                transfers.sets().for_each(|set| set.teach(&mut learn));
            }
            Self::PendingsEnded(ended) => {
                for ended in ended {
                    let status = match ended.ending {
                        Ending::Posted => SpentStatus::PendingPostedOnTime,
                        Ending::Expired => SpentStatus::PendingExpired,
                    };
                    learn(Lesson::Stands { id: ended.id, status, is_new: false });
                }
            }
            _ => {}
        }
    }
}

impl<'a> RecordedSet<'a> {
    fn teach(&self, learn: &mut impl FnMut(Lesson<'a>)) {
        let Some(RecordedTransfer { transfer: Transfer { id, .. }, outcome }) =
            self.recorded.first().copied()
        else {
            return;
        };
        let is_created = outcome == Outcome::Created;
        let status = if is_created { self.status() } else { SpentStatus::Refused };
        learn(Lesson::Stands { id, status, is_new: true });
        if let Some(external) = self.note.and_then(|note| note.external_id.as_ref()) {
            learn(Lesson::External(external));
        }
        if let Some(used) = self.note.and_then(|note| note.authority) {
            learn(Lesson::Used(used));
        }
        if is_created {
            self.recorded
                .chunk_by(RecordedTransfer::is_same_run)
                .for_each(|run| teach_of(run, learn));
        }
    }

    /// How a set that took effect stands.
    fn status(&self) -> SpentStatus {
        let all = |is: fn(TransferKind) -> bool| {
            self.recorded.iter().all(|recorded| is(recorded.transfer.kind))
        };
        if all(|kind| matches!(kind, TransferKind::Pending(_))) {
            SpentStatus::Pending
        } else if all(|kind| matches!(kind, TransferKind::Void { .. })) {
            SpentStatus::Voiding
        } else {
            SpentStatus::Posted
        }
    }
}

/// What the transfers of a run say of another set.
fn teach_of<'a>(run: &'a [RecordedTransfer], learn: &mut impl FnMut(Lesson<'a>)) {
    let Some(first) = run.first() else { return };
    let mut ended = |id, status| learn(Lesson::Stands { id, status, is_new: false });
    match first.transfer.kind {
        TransferKind::Single | TransferKind::Pending(_) => {}
        TransferKind::Post { pending } => ended(pending, SpentStatus::PendingPosted),
        TransferKind::Void { pending } => ended(pending, SpentStatus::PendingVoided),
        TransferKind::Reversal { of: id } => {
            for (transfer, recorded) in (0u16..).zip(run) {
                learn(Lesson::Reversed { id, transfer, amount: recorded.transfer.amount });
            }
        }
    }
}

/// The past in memory: what [`Past`] means, for tests and models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryPast {
    spent: BTreeMap<TransferId, Spent>,
    external: BTreeMap<ExternalId, Position>,
    reversed: BTreeMap<(TransferId, u16), Amount>,
    uses: BTreeMap<u128, u32>,
}

impl MemoryPast {
    /// Makes an event part of it.
    pub fn learn(&mut self, event: &Event, position: Position) {
        event.teach(|lesson| match lesson {
            Lesson::Stands { id, status, is_new } => {
                let known = self.spent.entry(id).or_insert(Spent { position, status });
                known.status = status;
                if is_new {
                    known.position = position;
                }
            }
            Lesson::External(id) => drop(self.external.insert(id.clone(), position)),
            Lesson::Used(AuthorityUse { id, number }) => {
                self.uses.insert(id, number);
            }
            Lesson::Reversed { id, transfer, amount } => {
                let total = self.reversed.entry((id, transfer)).or_default();
                *total = total.checked_add(amount).unwrap_or(Amount::MAX);
            }
        });
    }
}

impl Past for MemoryPast {
    fn spent(&self, id: TransferId) -> Result<Option<Spent>, Unreadable> {
        Ok(self.spent.get(&id).copied())
    }

    fn external(&self, id: &ExternalId) -> Result<Option<Position>, Unreadable> {
        Ok(self.external.get(id).copied())
    }

    fn reversed(&self, id: TransferId, transfer: u16) -> Result<Amount, Unreadable> {
        Ok(self.reversed.get(&(id, transfer)).copied().unwrap_or_default())
    }

    fn uses(&self, authority: u128) -> Result<u32, Unreadable> {
        Ok(self.uses.get(&authority).copied().unwrap_or_default())
    }
}
