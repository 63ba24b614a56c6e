//! The rows of one transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lombard_ledger_core::{Balance, EntrySide, Evidence, NormalSide, Statement};
use lombard_types::{Position, Scale, Timestamp};

/// What a record is, and who asked for it.
#[derive(Clone, Debug)]
pub(crate) struct RecordRow {
    pub(crate) position: Position,
    pub(crate) recorded_at: Timestamp,
    pub(crate) evidence: Option<Arc<Evidence>>,
}

/// A transfer that was asked for, whether or not it happened.
#[derive(Clone, Debug)]
pub(crate) struct TransferRow {
    pub(crate) number: u64,
    /// That of the first transfer of its set.
    pub(crate) first: u64,
    pub(crate) position: Position,
    pub(crate) ordinal: u32,
    pub(crate) recorded_at: Timestamp,
    pub(crate) scale: Scale,
    pub(crate) debit_account: u32,
    pub(crate) credit_account: u32,
    pub(crate) recorded: lombard_ledger_core::RecordedTransfer,
}

/// What a transfer did to one account, and what the account held after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryRow {
    pub(crate) account: u32,
    pub(crate) version: u64,
    pub(crate) transfer: u64,
    pub(crate) position: Position,
    pub(crate) recorded_at: Timestamp,
    pub(crate) effective_at: Option<Timestamp>,
    pub(crate) side: EntrySide,
    pub(crate) kind: EntryKind,
    pub(crate) scale: Scale,
    pub(crate) amount: u128,
    pub(crate) reserved: Balance,
    pub(crate) posted: Balance,
    pub(crate) available: Balance,
}

/// How an account came to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Single,
    Pending,
    Post,
    Void,
    Reversal,
    Expired,
    PostedOnTime,
}

impl EntryKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Pending => "pending",
            Self::Post => "post",
            Self::Void => "void",
            Self::Reversal => "reversal",
            Self::Expired => "expired",
            Self::PostedOnTime => "posted_on_time",
        }
    }
}

/// What a posting set carries besides its transfers.
#[derive(Clone, Debug)]
pub(crate) struct NoteRow {
    pub(crate) transfer: u64,
    pub(crate) external_id: Option<Box<str>>,
    pub(crate) metadata: Option<Box<str>>,
    pub(crate) authority: Option<(u128, u32)>,
}

/// A pending transfer, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReservationRow {
    pub(crate) transfer: u64,
    pub(crate) debit_account: u32,
    pub(crate) credit_account: u32,
    pub(crate) scale: Scale,
    pub(crate) amount: u128,
    pub(crate) allowance: u128,
    /// When it ends by itself, and whether it is posted then.
    pub(crate) ends: Option<(Timestamp, bool)>,
    pub(crate) ended: Option<EndedReservation>,
}

/// How a reservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedReservation {
    pub(crate) state: &'static str,
    pub(crate) posted: u128,
    pub(crate) position: Position,
    pub(crate) at: Timestamp,
}

/// A sealed statement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatementRow {
    pub(crate) account: u32,
    pub(crate) scale: Scale,
    pub(crate) statement: Statement,
    pub(crate) position: Position,
    pub(crate) sealed_at: Timestamp,
}

/// Everything that is written in one transaction. Rows of the first five tables are only ever added; of the others it is
/// said which changed, and what they are is read from the books.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) records: Vec<RecordRow>,
    pub(crate) transfers: Vec<TransferRow>,
    pub(crate) entries: Vec<EntryRow>,
    pub(crate) notes: Vec<NoteRow>,
    pub(crate) statements: Vec<StatementRow>,
    pub(crate) reservations: BTreeMap<u64, ReservationRow>,
    pub(crate) assets: BTreeSet<u32>,
    /// Opened, closed or reopened.
    pub(crate) accounts: BTreeSet<u32>,
    /// With entries.
    pub(crate) balances: BTreeSet<u32>,
}

/// Assets, accounts and balances that changed.
#[derive(Debug)]
pub(crate) struct Standing(BTreeSet<u32>, BTreeSet<u32>, BTreeSet<u32>);

impl Rows {
    /// How many there are of the kinds that a batch is measured by.
    pub(crate) fn len(&self) -> usize {
        self.records.len() + self.transfers.len()
    }

    /// What of assets, accounts and balances changed, to be written later.
    pub(crate) fn take_standing(&mut self) -> Standing {
        let Self { assets, accounts, balances, .. } = self;
        Standing(std::mem::take(assets), std::mem::take(accounts), std::mem::take(balances))
    }

    /// Gives it back.
    pub(crate) fn put_standing(&mut self, standing: Standing) {
        let Standing(assets, accounts, balances) = standing;
        (self.assets, self.accounts, self.balances) = (assets, accounts, balances);
    }

    /// Forgets what was written, and keeps the space for it.
    pub(crate) fn clear(&mut self) {
        let Self { records, transfers, entries, notes, statements, .. } = self;
        records.clear();
        transfers.clear();
        entries.clear();
        notes.clear();
        statements.clear();
        self.reservations.clear();
        self.assets.clear();
        self.accounts.clear();
        self.balances.clear();
    }
}

/// The word for a normal side.
pub(crate) const fn normal_side(side: NormalSide) -> &'static str {
    match side {
        NormalSide::Debit => "debit",
        NormalSide::Credit => "credit",
    }
}

/// The word for the side of an entry.
pub(crate) const fn entry_side(side: EntrySide) -> &'static str {
    match side {
        EntrySide::Debit => "debit",
        EntrySide::Credit => "credit",
    }
}
