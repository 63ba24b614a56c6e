//! Queries about transfers.

use std::sync::Arc;

use lombard_ledger_core::{
    AccountRef, Evidence, ExternalId, Metadata, Note, Outcome, Recorded, RecordedTransfer, Transfer,
};
use lombard_types::TransferId;

use super::{AccountRow, LedgerView, Page};

/// The place of a transfer among all, refused ones included; the first has 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransferNumber(pub(crate) u32);

/// What has become of a pending transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingStatus {
    /// It is reserved.
    Pending,
    /// It was posted.
    Posted,
    /// It was voided.
    Voided,
    /// Its time passed.
    Expired,
}

/// A transfer as it was recorded.
#[derive(Clone, Debug)]
pub struct TransferRow<'a> {
    /// Its place among all transfers.
    pub number: TransferNumber,
    /// What was, or would have been, done.
    pub transfer: Transfer,
    /// Whether it was.
    pub outcome: Outcome,
    /// What has become of it since, where it was pending.
    pub pending: Option<PendingStatus>,
    /// What the caller wanted kept with it.
    pub metadata: Metadata,
    /// The caller's own name for its set.
    pub external_id: Option<ExternalId>,
    /// Who asked.
    pub evidence: Evidence,
    /// Where and when.
    pub recorded: Recorded,
    /// The account that is debited.
    pub debit_account: &'a AccountRow,
    /// The account that is credited.
    pub credit_account: &'a AccountRow,
}

/// A transfer as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) recorded: Recorded,
    pub(super) transfer: RecordedTransfer,
    pub(super) pending: Option<PendingStatus>,
    pub(super) note: Option<Arc<Note>>,
    pub(super) evidence: Arc<Evidence>,
}

impl LedgerView {
    /// The first transfer of the set with this id.
    pub fn transfer(&self, id: TransferId) -> Option<TransferRow<'_>> {
        self.transfers_by_id.get(&id).and_then(|number| self.transfer_at(TransferNumber(*number)))
    }

    /// All transfers of the set with this id; none where there is none.
    pub fn set(&self, id: TransferId) -> Vec<TransferRow<'_>> {
        let Some(first) = self.transfers_by_id.get(&id) else { return Vec::new() };
        let rows = (*first..).map_while(|number| self.transfer_at(TransferNumber(number)));
        rows.take_while(|row| row.transfer.id == id).collect()
    }

    /// A page of all transfers before one of them, latest first.
    pub fn latest_transfers(
        &self,
        before: Option<TransferNumber>,
        limit: usize,
    ) -> Page<TransferRow<'_>, TransferNumber> {
        let count = u32::try_from(self.transfers.len()).unwrap_or(u32::MAX);
        let end = before.map_or(count, |before| before.0.min(count));
        let numbers = (0..end).rev().map(TransferNumber);
        Page::collect(numbers, limit, limit, |number| *number, |number| self.transfer_at(number))
    }

    /// The transfer at a place.
    pub fn transfer_at(&self, number: TransferNumber) -> Option<TransferRow<'_>> {
        let kept = self.transfers.get(usize::try_from(number.0).ok()?)?;
        let RecordedTransfer { transfer, outcome } = kept.transfer;
        let note = kept.note.as_deref();
        Some(TransferRow {
            number,
            transfer,
            outcome,
            pending: kept.pending,
            metadata: note.map(|note| note.metadata.clone()).unwrap_or_default(),
            external_id: note.and_then(|note| note.external_id.clone()),
            evidence: (*kept.evidence).clone(),
            recorded: kept.recorded,
            debit_account: self.account(&AccountRef::Id(transfer.debit_account))?,
            credit_account: self.account(&AccountRef::Id(transfer.credit_account))?,
        })
    }
}
