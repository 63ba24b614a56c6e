//! Makes of a frame what can be asked of the writer, where the caller's token permits it.

use std::collections::BTreeMap;

use lombard_chassis::Problem;
use lombard_ledger_core::{
    AccountRef, NewNote, NewTransfer, PaymentAuthority, TransferFlags, TransferKind,
};
use lombard_types::{AccountId, AccountPath, TransferId};

use super::packed;
use crate::rest::{
    Api,
    authority::{Caller, Right},
    sets,
};

/// What is asked of the writer by a frame.
pub(super) struct Frame {
    /// Of all sets, in order: all but the last of a set are linked.
    pub(super) transfers: Vec<NewTransfer>,
    /// What sets carry besides, by the place of the set; most have nothing.
    pub(super) notes: Vec<(u32, NewNote)>,
}

/// Reads a frame. An error is of the whole frame and says the record: nothing of it was done.
pub(super) async fn prepare(api: &Api, caller: &Caller, frame: &[u8]) -> Result<Frame, Problem> {
    let transfers = packed::transfers(frame, api.config.frame_transfers_max)?;
    let may_debit_any = caller.write_book().is_ok();
    let mut permitting = Permitting { api, caller, may_debit_any, paths: BTreeMap::new() };
    let mut notes = Vec::new();
    let (mut set, mut note) = (0u32, NewNote::default());
    for (number, transfer) in transfers.iter().enumerate() {
        let permitted = permitting.transfer(transfer, &mut note).await;
        permitted.map_err(|problem| problem.with("record", number))?;
        if transfer.is_linked() {
            continue;
        }
        if note != NewNote::default() {
            notes.push((set, std::mem::take(&mut note)));
        }
        set += 1;
    }
    Ok(Frame { transfers, notes })
}

struct Permitting<'a> {
    api: &'a Api,
    caller: &'a Caller,
    /// The caller may debit any account, so that none need be looked up.
    may_debit_any: bool,
    /// Of the accounts that were looked up; a path never changes.
    paths: BTreeMap<AccountId, Option<AccountPath>>,
}

impl Permitting<'_> {
    async fn transfer(
        &mut self,
        transfer: &NewTransfer,
        note: &mut NewNote,
    ) -> Result<(), Problem> {
        if transfer.flags.has(TransferFlags::IMPORTED) {
            self.caller.may_book(Right::Import)?;
        }
        if transfer.flags.has(TransferFlags::OVERRIDES_LOCK) {
            self.caller.may_book(Right::OverrideLock)?;
        }
        match transfer.kind {
            TransferKind::Single | TransferKind::Pending(_) => {
                note.authority = self.debit(transfer).await?;
            }
            TransferKind::Post { pending } => self.act_on(pending, Right::Post).await?,
            TransferKind::Void { pending } => self.act_on(pending, Right::Void).await?,
            TransferKind::Reversal { of } if note.reversed.is_empty() => {
                let other = sets::permitted(self.api, self.caller, of, Right::Reverse).await?;
                if let Some(other) = other {
                    note.reversed = other.set()?.recorded.into();
                }
            }
            // Of another set than the first of the run is, it is rejected by the rules.
            TransferKind::Reversal { of } => {
                drop(sets::permitted(self.api, self.caller, of, Right::Reverse).await?);
            }
        }
        Ok(())
    }

    async fn debit(&mut self, transfer: &NewTransfer) -> Result<Option<PaymentAuthority>, Problem> {
        if self.may_debit_any {
            return Ok(None);
        }
        let debtor = self.path(transfer.debit_account).await?;
        let creditor = self.path(transfer.credit_account).await?;
        self.caller.debit(self.api, debtor.as_ref(), creditor.as_ref()).await
    }

    async fn act_on(&self, other: TransferId, right: Right) -> Result<(), Problem> {
        if self.caller.may_book(right).is_err() {
            drop(sets::permitted(self.api, self.caller, other, right).await?);
        }
        Ok(())
    }

    async fn path(&mut self, id: Option<AccountId>) -> Result<Option<AccountPath>, Problem> {
        let Some(id) = id else { return Ok(None) };
        if let Some(path) = self.paths.get(&id) {
            return Ok(path.clone());
        }
        let found = self.api.account_named(&AccountRef::Id(id)).await?;
        let path = found.map(|(_, path)| path);
        self.paths.insert(id, path.clone());
        Ok(path)
    }
}
