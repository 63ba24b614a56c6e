//! The packed record of a transfer, 128 bytes, little endian.
//!
//! ```text
//!  offset  size  field
//!  0       16    id
//!  16      16    debit account id
//!  32      16    credit account id
//!  48      16    amount
//!  64      16    pending id, 0
//!  80      16    user data, 128 bits
//!  96      8     user data, 64 bits
//!  104     8     effective time, nanoseconds since 1970; 0 unless flagged
//!  112     4     user data, 32 bits
//!  116     4     timeout, 0
//!  120     2     code
//!  122     2     flags: 0x8000 effective time is given
//!  124     4     reserved, 0
//! ```
//! Pending id, timeout, the other flags and the reserved bytes belong to kinds of transfers that this version does not
//! write. It refuses to read them, rather than taking a pending transfer for a posted one.

use lombard_engine::DecodeError;
use lombard_ledger_core::{Transfer, UserData};
use lombard_types::{AccountId, Amount, Timestamp, TransferId};

use lombard_engine::fields::{Reader, Writer};

/// Size of the record.
pub(super) const BYTES: usize = 128;
const EFFECTIVE_AT: u16 = 0x8000;

pub(super) fn pack(transfer: &Transfer) -> [u8; BYTES] {
    let Transfer { id, debit_account, credit_account, amount, user_data, code, effective_at } =
        transfer;
    let flags = if effective_at.is_some() { EFFECTIVE_AT } else { 0 };
    let mut bytes = Vec::with_capacity(BYTES);
    let mut writer = Writer(&mut bytes);
    writer.put(&id.as_u128().to_le_bytes());
    writer.put(&debit_account.as_u128().to_le_bytes());
    writer.put(&credit_account.as_u128().to_le_bytes());
    writer.put(&amount.minor_units().to_le_bytes());
    writer.put(&[0; 16]);
    writer.put(&user_data.data_128.to_le_bytes());
    writer.put(&user_data.data_64.to_le_bytes());
    writer.put(&effective_at.unwrap_or_default().unix_nanos().to_le_bytes());
    writer.put(&user_data.data_32.to_le_bytes());
    writer.put(&[0; 4]);
    writer.put(&code.to_le_bytes());
    writer.put(&flags.to_le_bytes());
    writer.put(&[0; 4]);
    let mut record = [0; BYTES];
    for (to, from) in record.iter_mut().zip(bytes) {
        *to = from;
    }
    record
}

pub(super) fn unpack(bytes: &[u8; BYTES]) -> Result<Transfer, DecodeError> {
    let mut reader = Reader(bytes);
    let id = u128::from_le_bytes(reader.array()?);
    let debit_account = u128::from_le_bytes(reader.array()?);
    let credit_account = u128::from_le_bytes(reader.array()?);
    let amount = u128::from_le_bytes(reader.array()?);
    let pending_id: [u8; 16] = reader.array()?;
    let data_128 = u128::from_le_bytes(reader.array()?);
    let data_64 = u64::from_le_bytes(reader.array()?);
    let effective_at = u64::from_le_bytes(reader.array()?);
    let data_32 = u32::from_le_bytes(reader.array()?);
    let timeout: [u8; 4] = reader.array()?;
    let code = u16::from_le_bytes(reader.array()?);
    let flags = u16::from_le_bytes(reader.array()?);
    let reserved: [u8; 4] = reader.array()?;
    reader.end()?;
    if pending_id != [0; 16]
        || timeout != [0; 4]
        || flags & !EFFECTIVE_AT != 0
        || reserved != [0; 4]
    {
        return Err(DecodeError("a transfer of an unknown kind"));
    }
    let has_effective_at = flags & EFFECTIVE_AT != 0;
    let effective_time = Timestamp::from_unix_nanos(effective_at);
    if effective_time.unix_nanos() != effective_at || !has_effective_at && effective_at != 0 {
        return Err(DecodeError("effective time"));
    }
    let account = |id| AccountId::from_u128(id).map_err(|_| DecodeError("account id"));
    Ok(Transfer {
        id: TransferId::from_u128(id).map_err(|_| DecodeError("transfer id"))?,
        debit_account: account(debit_account)?,
        credit_account: account(credit_account)?,
        amount: Amount::from_minor_units(amount),
        user_data: UserData { data_128, data_64, data_32 },
        code,
        effective_at: has_effective_at.then_some(effective_time),
    })
}
