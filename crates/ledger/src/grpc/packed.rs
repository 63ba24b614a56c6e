//! Transfers as clients send them, packed: 128 bytes each, as drawn in `codec/transfer.rs`.

use bytes::Bytes;
use lombard_chassis::Problem;
use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_ledger_core::{
    NewTransfer, RecordedTransfer, SET_TRANSFERS_MAX, TransferFlags, TransferKind, UserData,
};
use lombard_types::{AccountId, Amount, ParseIdError, Timestamp, TransferId};

use crate::{
    codec::transfer::{self, BYTES, EFFECTIVE_AT, KINDS},
    problem,
};

/// The transfers of a frame, in order: whole posting sets, of which all transfers but the last are linked.
pub(crate) fn transfers(frame: &[u8], transfers_max: usize) -> Result<Vec<NewTransfer>, Problem> {
    let (records, rest) = frame.as_chunks::<BYTES>();
    if records.is_empty() || !rest.is_empty() || records.len() > transfers_max {
        let bytes = frame.len();
        let wanted =
            format!("must be 1 to {transfers_max} records of {BYTES} bytes, and has {bytes} bytes");
        return Err(problem::invalid_field("transfers", wanted));
    }
    let mut transfers = Vec::with_capacity(records.len());
    let mut linked = 0;
    for (number, record) in records.iter().enumerate() {
        let invalid = |what: &str| problem::invalid_field("transfers", what).with("record", number);
        let transfer = new_transfer(record).map_err(|error| invalid(error.0))?;
        linked = if transfer.is_linked() { linked + 1 } else { 0 };
        if linked >= SET_TRANSFERS_MAX {
            return Err(invalid("a set has too many transfers"));
        }
        transfers.push(transfer);
    }
    if linked > 0 {
        return Err(problem::invalid_field("transfers", "the last set has no end"));
    }
    Ok(transfers)
}

fn new_transfer(record: &[u8; BYTES]) -> Result<NewTransfer, DecodeError> {
    let mut fields = Reader(record);
    let id = u128::from_le_bytes(fields.array()?);
    let debit_account = u128::from_le_bytes(fields.array()?);
    let credit_account = u128::from_le_bytes(fields.array()?);
    let amount = u128::from_le_bytes(fields.array()?);
    let other = u128::from_le_bytes(fields.array()?);
    let data_128 = u128::from_le_bytes(fields.array()?);
    let data_64 = u64::from_le_bytes(fields.array()?);
    let effective_at = u64::from_le_bytes(fields.array()?);
    let data_32 = u32::from_le_bytes(fields.array()?);
    let timeout = u32::from_le_bytes(fields.array()?);
    let code = u16::from_le_bytes(fields.array()?);
    let flags = u16::from_le_bytes(fields.array()?);
    if fields.array()? != [0u8; 4] {
        return Err(DecodeError("the last four bytes of a record are 0 in a request"));
    }
    let has_effective_at = flags & EFFECTIVE_AT != 0;
    let effective_time = Timestamp::from_unix_nanos(effective_at);
    if effective_time.unix_nanos() != effective_at || !has_effective_at && effective_at != 0 {
        return Err(DecodeError("effective time"));
    }
    let kind = transfer::kind(flags, other, timeout)?;
    Ok(NewTransfer {
        id: TransferId::from_u128(id).map_err(|_| DecodeError("id"))?,
        debit_account: account(debit_account, kind)?,
        credit_account: account(credit_account, kind)?,
        amount: Amount::from_minor_units(amount),
        kind,
        user_data: UserData { data_128, data_64, data_32 },
        code,
        effective_at: has_effective_at.then_some(effective_time),
        flags: TransferFlags::from_bits(flags & !KINDS & !EFFECTIVE_AT)
            .ok_or(DecodeError("an unknown flag"))?,
    })
}

/// None is named where it follows from another set.
fn account(id: u128, kind: TransferKind) -> Result<Option<AccountId>, DecodeError> {
    match AccountId::from_u128(id) {
        Ok(id) => Ok(Some(id)),
        Err(_) if id == 0 && kind.about().is_some() => Ok(None),
        Err(_) => Err(DecodeError("account id")),
    }
}

/// Recorded transfers, packed.
pub(super) fn recorded(transfers: &[RecordedTransfer]) -> Bytes {
    let mut out = Vec::with_capacity(transfers.len() * BYTES);
    let mut writer = Writer(&mut out);
    transfers.iter().for_each(|recorded| transfer::put(&mut writer, recorded));
    out.into()
}

/// The bytes of a UUID as a number.
pub(super) fn uuid(field: &'static str, bytes: &[u8]) -> Result<u128, Problem> {
    let bytes = bytes.try_into();
    let bytes = bytes.map_err(|_| problem::invalid_field(field, "must be a UUID of 16 bytes"))?;
    Ok(u128::from_be_bytes(bytes))
}

/// The bytes of a set's id.
pub(super) fn transfer_id(field: &'static str, bytes: &[u8]) -> Result<TransferId, Problem> {
    let invalid = |error: ParseIdError| problem::invalid_field(field, error);
    TransferId::from_u128(uuid(field, bytes)?).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(flags: u16) -> Vec<u8> {
        let mut record = vec![0; BYTES];
        (record[0], record[16], record[32], record[48]) = (1, 2, 3, 4);
        record[122..124].copy_from_slice(&flags.to_le_bytes());
        record
    }

    #[test]
    fn linked_records_are_one_set() {
        let frame = [record(1), record(0), record(0x10)].concat();
        let transfers = transfers(&frame, 3).unwrap();
        let linked: Vec<_> = transfers.iter().map(NewTransfer::is_linked).collect();
        assert_eq!(linked, [true, false, false]);
        let wanted = NewTransfer {
            flags: TransferFlags::BALANCING_DEBIT,
            ..NewTransfer::single(
                TransferId::from_u128(1).unwrap(),
                AccountId::from_u128(2).unwrap(),
                AccountId::from_u128(3).unwrap(),
                Amount::from_minor_units(4),
            )
        };
        assert_eq!(transfers[2], wanted);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let changed = |offset: usize| {
            let mut record = record(0);
            record[offset] ^= 0x83;
            record
        };
        for frame in [
            vec![],
            vec![0; BYTES],
            record(0)[1..].to_vec(),
            record(1),
            record(1).repeat(SET_TRANSFERS_MAX + 1),
            record(0).repeat(3),
            record(0x4000),
            record(0x8 | 0x4),
            changed(64),
            changed(104),
            changed(116),
            changed(124),
            changed(127),
        ] {
            assert!(transfers(&frame, 2).is_err(), "{} bytes", frame.len());
        }
    }
}
