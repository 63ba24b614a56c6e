//! Transfers and entries with what the log says of them: the index knows where they stand and what they did.

use std::sync::Arc;

use lombard_chassis::{Problem, problems};
use lombard_ledger_api::{PendingStatus, TransferBody, TransferParts, effective_at};
use lombard_ledger_core::{
    AccountRef, Ended, Note, Outcome, Recorded, RecordedTransfer, TransferKind,
};
use lombard_types::{Position, Timestamp, TransferId};

use super::{Api, Reader};
use crate::{
    AccountRow, Cut, DecodedRecord, EntryKind, EntryRow, LedgerIndex, Place, TransferInRecord,
    problem,
};

/// What made an entry.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    /// The record of the transfer: where time made the entry, that of the reservation.
    pub(crate) record: Arc<DecodedRecord>,
    /// The transfer's place.
    pub(crate) place: Place,
    /// When it counts.
    pub(crate) effective_at: Timestamp,
    /// When the entry was recorded.
    pub(crate) recorded_at: Timestamp,
}

impl Cause {
    pub(crate) fn transfer(&self) -> Result<TransferInRecord<'_>, Problem> {
        self.record.transfer(self.place).ok_or_else(|| missing(self.place))
    }
}

/// The index says that there is something in the log that is not.
fn missing(place: Place) -> Problem {
    tracing::error!(%place, "the ledger's index is not of this log");
    Problem::new(&problems::INTERNAL)
}

impl Api {
    /// A record that has been applied.
    pub(crate) async fn record(&self, at: Position) -> Result<Arc<DecodedRecord>, Problem> {
        let record = self.records.get(at).await.map_err(|error| problem::internal(&error))?;
        let record = record.filter(|record| record.position == at);
        record.ok_or_else(|| missing(Place::first_of(at)))
    }

    /// What made an entry.
    pub(crate) async fn cause(&self, entry: &EntryRow) -> Result<Cause, Problem> {
        let record = self.record(entry.place.position).await?;
        let recorded_at = record.time;
        if !entry.kind.is_by_time() {
            let transfer = record.transfer(entry.place).ok_or_else(|| missing(entry.place))?;
            let effective_at = effective_at(&transfer.recorded.transfer, recorded_at);
            return Ok(Cause { place: entry.place, effective_at, recorded_at, record });
        }
        for Ended { id, at, .. } in record.endings() {
            let reserved = self.ask(|index| {
                index.ended_at(id, entry.place).map_err(|error| problem::internal(&error))
            })?;
            if let Some(place) = reserved {
                let record = self.record(place.position).await?;
                return Ok(Cause { record, place, effective_at: at, recorded_at });
            }
        }
        Err(missing(entry.place))
    }

    /// The places of a set's transfers, and their record; `None` where it is not there at the cut.
    pub(crate) async fn set(
        &self,
        id: TransferId,
        cut: Cut,
    ) -> Result<Option<(Place, Arc<DecodedRecord>)>, Problem> {
        let found =
            self.ask(|index| index.transfer(id).map_err(|error| problem::internal(&error)))?;
        match found.filter(|place| place.position < cut.end) {
            Some(first) => Ok(Some((first, self.record(first.position).await?))),
            None => Ok(None),
        }
    }
}

impl LedgerIndex {
    /// A transfer as JSON, as it stood at the cut.
    pub(crate) fn transfer_body(
        &self,
        transfer: &TransferInRecord<'_>,
        recorded_at: Timestamp,
        cut: Cut,
    ) -> Result<TransferBody, Problem> {
        let TransferInRecord { place, recorded, note, .. } = *transfer;
        let (debit, credit) = self.parties(&recorded)?;
        Ok(TransferBody::from(TransferParts {
            transfer: &recorded.transfer,
            outcome: recorded.outcome,
            pending: self.pending_status(place, &recorded, cut)?,
            debit_path: &debit.path,
            credit_path: &credit.path,
            asset: &debit.asset,
            recorded: Recorded { position: place.position, time: recorded_at },
            note: note.filter(|note| **note != Note::default()),
        }))
    }

    /// The accounts that a transfer is, or would have been, between.
    pub(crate) fn parties(
        &self,
        recorded: &RecordedTransfer,
    ) -> Result<(&AccountRow, &AccountRow), Problem> {
        let account = |id| self.account(&AccountRef::Id(id));
        let debit = account(recorded.transfer.debit_account);
        let credit = account(recorded.transfer.credit_account);
        debit.zip(credit).ok_or_else(|| {
            tracing::error!(transfer = %recorded.transfer.id, "a transfer's accounts are unknown");
            Problem::new(&problems::INTERNAL)
        })
    }

    fn pending_status(
        &self,
        place: Place,
        recorded: &RecordedTransfer,
        cut: Cut,
    ) -> Result<Option<PendingStatus>, Problem> {
        let is_pending = matches!(recorded.transfer.kind, TransferKind::Pending(_));
        if !is_pending || recorded.outcome != Outcome::Created {
            return Ok(None);
        }
        let ending = self.ending(place, cut).map_err(|error| problem::internal(&error))?;
        Ok(Some(match ending.map(|(_, kind, _)| kind) {
            None => PendingStatus::Pending,
            Some(EntryKind::Void) => PendingStatus::Voided,
            Some(EntryKind::Expired) => PendingStatus::Expired,
            Some(_) => PendingStatus::Posted,
        }))
    }
}

impl Reader {
    /// Must be permitted to read one of a transfer's accounts.
    pub(crate) fn transfer(
        &self,
        index: &LedgerIndex,
        recorded: &RecordedTransfer,
    ) -> Result<(), Problem> {
        let (debit, credit) = index.parties(recorded)?;
        if self.may_read(&credit.path) { Ok(()) } else { self.account(&debit.path) }
    }
}
