//! What happened: the only thing that is stored.

use std::sync::Arc;

use lombard_types::{AccountId, AccountPath, AssetCode, Scale, Timestamp, TransferId};

use crate::{
    Balance, ChartRule, Evidence, LockName, NormalSide, Note, PeriodLock, Statement, Transfer,
    TransferRefusal, found::FoundAccounts,
};

/// One event of a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An asset became known.
    AssetCreated {
        /// Its code.
        code: AssetCode,
        /// Its digits after the point.
        scale: Scale,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// An account was opened.
    AccountOpened {
        /// Its id.
        id: AccountId,
        /// Where it stands.
        path: AccountPath,
        /// What it holds.
        asset: AssetCode,
        /// On which side it grows.
        normal_side: NormalSide,
        /// What is available may not go below this.
        floor: Option<Balance>,
        /// What it holds and expects may not go above this.
        ceiling: Option<Balance>,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// An account takes no more transfers.
    AccountClosed {
        /// The account.
        id: AccountId,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// An account takes transfers again.
    AccountReopened {
        /// The account.
        id: AccountId,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// A rule of the chart of accounts was set, in place of any with the same prefix.
    ChartRuleSet {
        /// The rule.
        rule: ChartRule,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// A rule of the chart of accounts was removed.
    ChartRuleRemoved {
        /// Its prefix.
        prefix: AccountPath,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// A period was locked.
    PeriodLocked {
        /// The lock.
        lock: PeriodLock,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// A period was unlocked.
    PeriodUnlocked {
        /// The lock that is gone.
        name: LockName,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// A statement was sealed.
    StatementSealed {
        /// The statement.
        statement: Box<Statement>,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// Posting sets were decided: they happened, or were refused because of the state at that time. Shared, since the
    /// answer to whoever asked is made from it too.
    Transfers(Arc<Transfers>),
    /// The time of pending sets came. In the order of their times, which are not later than the record's.
    PendingsEnded(Box<[Ended]>),
}

/// Posting sets that were asked for by one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfers {
    /// Their transfers, in order; all but the last of a set are linked.
    pub recorded: Vec<RecordedTransfer>,
    /// What sets carry besides, by the place of the set (from 0), in order. Most have nothing.
    pub notes: Vec<(u32, Note)>,
    /// Who asked.
    pub evidence: Arc<Evidence>,
    /// Where their accounts stand in the book that decided them.
    pub(crate) found: FoundAccounts,
}

/// One transfer, and whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedTransfer {
    /// What was, or would have been, done.
    pub transfer: Transfer,
    /// Whether it was.
    pub outcome: Outcome,
}

impl RecordedTransfer {
    /// Whether two neighbours of a set are about the same other set: the first transfer of such a run is about the
    /// other's first, and so on.
    pub fn is_same_run(&self, next: &Self) -> bool {
        self.transfer.kind.is_same_run(next.transfer.kind)
    }
}

/// How a transfer ended whose set spent its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It happened.
    Created,
    /// It did not, nor did the others of its set, of which all but one have
    /// [`TransferRefusal::LinkedEventFailed`]. Recorded, so that the id is spent and a retry gets the same answer.
    Refused(TransferRefusal),
}

/// One posting set among those of a record.
#[derive(Clone, Copy, Debug)]
pub struct RecordedSet<'a> {
    /// Its transfers; at least one.
    pub recorded: &'a [RecordedTransfer],
    /// What it carries besides.
    pub note: Option<&'a Note>,
}

impl Transfers {
    /// Transfers as they were recorded.
    pub fn new(
        recorded: Vec<RecordedTransfer>,
        notes: Vec<(u32, Note)>,
        evidence: Arc<Evidence>,
    ) -> Self {
        Self { recorded, notes, evidence, found: FoundAccounts::default() }
    }

    /// The posting set with this id; at most one in a record.
    pub fn set(&self, id: TransferId) -> Option<RecordedSet<'_>> {
        self.sets().find(|set| set.recorded.first().is_some_and(|first| first.transfer.id == id))
    }

    /// The posting sets, in order.
    pub fn sets(&self) -> impl Iterator<Item = RecordedSet<'_>> {
        let is_last = |recorded: &RecordedTransfer| {
            !recorded.transfer.flags.has(crate::TransferFlags::LINKED)
        };
        let mut notes = self.notes.iter().peekable();
        (0u32..).zip(self.recorded.split_inclusive(is_last)).map(move |(number, recorded)| {
            let note = notes.next_if(|(of, _)| *of == number).map(|(_, note)| note);
            RecordedSet { recorded, note }
        })
    }
}

/// A pending set whose time came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The set.
    pub id: TransferId,
    /// When: its own time, to the nanosecond, however much later it was recorded.
    pub at: Timestamp,
    /// How.
    pub ending: Ending,
}

/// What becomes of a pending set at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// All of it is released.
    Expired,
    /// All of it is posted.
    Posted,
}

impl Event {
    /// Who asked for it; nobody where time did it.
    pub fn evidence(&self) -> Option<&Arc<Evidence>> {
        match self {
            Self::AssetCreated { evidence, .. }
            | Self::AccountOpened { evidence, .. }
            | Self::AccountClosed { evidence, .. }
            | Self::AccountReopened { evidence, .. }
            | Self::ChartRuleSet { evidence, .. }
            | Self::ChartRuleRemoved { evidence, .. }
            | Self::PeriodLocked { evidence, .. }
            | Self::PeriodUnlocked { evidence, .. }
            | Self::StatementSealed { evidence, .. } => Some(evidence),
            Self::Transfers(transfers) => Some(&transfers.evidence),
            Self::PendingsEnded(_) => None,
        }
    }
}
