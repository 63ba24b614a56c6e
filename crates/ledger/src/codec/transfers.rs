//! Posting sets, and pending sets that time has ended.

use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_ledger_core::{Ended, Ending, TransferFlags, Transfers};
use lombard_types::TransferId;

use super::{evidence, note, put_evidence, time, transfer};

const EXPIRED: u8 = 0;
const POSTED: u8 = 1;

pub(super) fn put(writer: &mut Writer<'_>, transfers: &Transfers) {
    let Transfers { recorded, notes, evidence, .. } = transfers;
    put_evidence(writer, evidence);
    writer.put(&count(recorded.len()));
    writer.0.reserve(recorded.len().saturating_mul(transfer::BYTES));
    recorded.iter().for_each(|recorded| transfer::put(writer, recorded));
    writer.put(&count(notes.len()));
    for (set, note) in notes {
        writer.put(&set.to_le_bytes());
        note::put(writer, note);
    }
}

/// A record is far below 4 GiB, which is checked before it is used.
fn count(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

pub(super) fn take(fields: &mut Reader<'_>) -> Result<Transfers, DecodeError> {
    let evidence = evidence(fields)?;
    let count = u32::from_le_bytes(fields.array()?);
    let expected = usize::try_from(count).unwrap_or(usize::MAX);
    // What the bytes cannot hold is refused further down, and no memory is taken for it.
    let mut recorded = Vec::with_capacity(expected.min(fields.0.len() / transfer::BYTES));
    for _ in 0..count {
        recorded.push(transfer::take(fields)?);
    }
    if recorded.last().is_none_or(|last| last.transfer.flags.has(TransferFlags::LINKED)) {
        return Err(DecodeError("the last posting set has no end"));
    }
    let count = u32::from_le_bytes(fields.array()?);
    let mut notes = Vec::new();
    for _ in 0..count {
        let set = u32::from_le_bytes(fields.array()?);
        if notes.last().is_some_and(|(before, _)| *before >= set) {
            return Err(DecodeError("notes are not in order"));
        }
        notes.push((set, note::take(fields)?));
    }
    Ok(Transfers::new(recorded, notes, evidence))
}

pub(super) fn put_ended(writer: &mut Writer<'_>, ended: &[Ended]) {
    writer.put(&count(ended.len()));
    for Ended { id, at, ending } in ended {
        writer.put(&id.as_u128().to_le_bytes());
        writer.put(&at.unix_nanos().to_le_bytes());
        writer.put(&[match ending {
            Ending::Expired => EXPIRED,
            Ending::Posted => POSTED,
        }]);
    }
}

pub(super) fn ended(fields: &mut Reader<'_>) -> Result<Box<[Ended]>, DecodeError> {
    let count = u32::from_le_bytes(fields.array()?);
    (0..count)
        .map(|_| {
            let id = u128::from_le_bytes(fields.array()?);
            let id = TransferId::from_u128(id).map_err(|_| DecodeError("transfer id"))?;
            let at = time(fields)?;
            let ending = match fields.byte()? {
                EXPIRED => Ending::Expired,
                POSTED => Ending::Posted,
                _ => return Err(DecodeError("how a pending transfer ended")),
            };
            Ok(Ended { id, at, ending })
        })
        .collect()
}
