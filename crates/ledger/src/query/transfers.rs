//! Queries about transfers.

use lombard_engine::Codec;
use lombard_ledger_core::{AccountRef, Event, Evidence, Metadata, Outcome, Recorded, Transfer};
use lombard_types::TransferId;

use super::{AccountRow, LedgerView, Page};
use crate::codec::EventCodec;

/// The place of a transfer among all, posted and refused; the first has 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransferNumber(pub(crate) u32);

/// A transfer as it was recorded.
#[derive(Clone, Debug)]
pub struct TransferRow<'a> {
    /// Its place among all transfers.
    pub number: TransferNumber,
    /// What was, or would have been, moved.
    pub transfer: Transfer,
    /// Whether it was moved.
    pub outcome: Outcome,
    /// What the caller wanted kept with it.
    pub metadata: Metadata,
    /// Who asked.
    pub evidence: Evidence,
    /// Where and when.
    pub recorded: Recorded,
    /// The account that is debited.
    pub debit_account: &'a AccountRow,
    /// The account that is credited.
    pub credit_account: &'a AccountRow,
}

/// A transfer as it is kept: its event in stored form, one allocation for all its texts.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) recorded: Recorded,
    pub(super) event: Box<[u8]>,
}

impl LedgerView {
    /// The transfer with this id.
    pub fn transfer(&self, id: TransferId) -> Option<TransferRow<'_>> {
        self.transfers_by_id.get(&id).and_then(|number| self.transfer_at(TransferNumber(*number)))
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
        let (transfer, outcome, metadata, evidence) = match kept.event() {
            Event::TransferPosted { transfer, metadata, evidence } => {
                (transfer, Outcome::Posted, metadata, evidence)
            }
            Event::TransferRefused { transfer, refusal, metadata, evidence } => {
                (transfer, Outcome::Refused(refusal), metadata, evidence)
            }
            Event::AssetCreated { .. } | Event::AccountOpened { .. } => return None,
        };
        Some(TransferRow {
            number,
            outcome,
            metadata,
            evidence: (*evidence).clone(),
            recorded: kept.recorded,
            debit_account: self.account(&AccountRef::Id(transfer.debit_account))?,
            credit_account: self.account(&AccountRef::Id(transfer.credit_account))?,
            transfer,
        })
    }
}

impl Kept {
    pub(super) fn new(event: &Event, recorded: Recorded) -> Self {
        let mut bytes = Vec::with_capacity(512);
        EventCodec.encode(event, &mut bytes);
        Self { recorded, event: bytes.into_boxed_slice() }
    }

    #[expect(clippy::expect_used, reason = "the same codec has just encoded it")]
    fn event(&self) -> Event {
        EventCodec.decode(&self.event).expect("an encoded event is decoded")
    }
}
