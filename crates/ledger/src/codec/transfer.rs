//! The packed record of a transfer, 128 bytes, little endian: in the log, and in what clients send and receive.
//!
//! ```text
//!  offset  size  field
//!  0       16    id
//!  16      16    debit account id
//!  32      16    credit account id
//!  48      16    amount
//!  64      16    post, void, reversal: the id of the other transfer; pending: the allowance; else 0
//!  80      16    user data, 128 bits
//!  96      8     user data, 64 bits
//!  104     8     effective time, nanoseconds since 1970; 0 unless flagged
//!  112     4     user data, 32 bits
//!  116     4     pending: timeout in seconds; else 0
//!  120     2     code
//!  122     2     flags
//!  124     1     result: 0 created, or why it was refused
//!  125     3     reserved, 0
//! ```
//! ```text
//!  flag    meaning                          flag    meaning
//!  0x0001  linked: more of its set follows  0x0100  imported
//!  0x0002  pending                          0x0200  reversal
//!  0x0004  post                             0x0400  pending: posts at its effective time
//!  0x0008  void                             0x0800  post, void, reversal: of the whole
//!  0x0010  balancing debit                  0x1000  overrides a period's lock
//!  0x0020  balancing credit                 0x8000  effective time is given
//! ```

use lombard_engine::{
    DecodeError,
    fields::{Reader, Writer},
};
use lombard_ledger_core::{
    Outcome, RecordedTransfer, Reservation, Transfer, TransferFlags, TransferKind, TransferRefusal,
    UserData,
};
use lombard_types::{AccountId, Amount, Timestamp, TransferId};

/// Size of the record.
pub(crate) const BYTES: usize = 128;

const PENDING: u16 = 1 << 1;
const POST: u16 = 1 << 2;
const VOID: u16 = 1 << 3;
const REVERSAL: u16 = 1 << 9;
const SCHEDULED: u16 = 1 << 10;
pub(crate) const EFFECTIVE_AT: u16 = 1 << 15;
pub(crate) const KINDS: u16 = PENDING | POST | VOID | REVERSAL | SCHEDULED;

const CREATED: u8 = 0;

pub(crate) fn put(writer: &mut Writer<'_>, recorded: &RecordedTransfer) {
    let RecordedTransfer { transfer, outcome } = recorded;
    let Transfer {
        id,
        debit_account,
        credit_account,
        amount,
        kind,
        user_data,
        code,
        effective_at,
        flags,
    } = transfer;
    let (kind_flags, other, timeout) = kind_fields(*kind);
    let effective_flag = if effective_at.is_some() { EFFECTIVE_AT } else { 0 };
    let result = match outcome {
        Outcome::Created => CREATED,
        Outcome::Refused(refusal) => refusal_code(*refusal),
    };
    let mut record = [0; BYTES];
    let mut rest = record.as_mut_slice();
    let mut field = |bytes: &[u8]| {
        if let Some((to, after)) = std::mem::take(&mut rest).split_at_mut_checked(bytes.len()) {
            to.copy_from_slice(bytes);
            rest = after;
        }
    };
    field(&id.as_u128().to_le_bytes());
    field(&debit_account.as_u128().to_le_bytes());
    field(&credit_account.as_u128().to_le_bytes());
    field(&amount.minor_units().to_le_bytes());
    field(&other.to_le_bytes());
    field(&user_data.data_128.to_le_bytes());
    field(&user_data.data_64.to_le_bytes());
    field(&effective_at.unwrap_or_default().unix_nanos().to_le_bytes());
    field(&user_data.data_32.to_le_bytes());
    field(&timeout.to_le_bytes());
    field(&code.to_le_bytes());
    field(&(flags.bits() | kind_flags | effective_flag).to_le_bytes());
    field(&[result]);
    writer.put(&record);
}

/// The flags, the field that names another transfer or the allowance, and the timeout.
fn kind_fields(kind: TransferKind) -> (u16, u128, u32) {
    match kind {
        TransferKind::Single => (0, 0, 0),
        TransferKind::Pending(Reservation { timeout_seconds, allowance, is_scheduled }) => {
            let flags = if is_scheduled { PENDING | SCHEDULED } else { PENDING };
            (flags, allowance.minor_units(), timeout_seconds)
        }
        TransferKind::Post { pending } => (POST, pending.as_u128(), 0),
        TransferKind::Void { pending } => (VOID, pending.as_u128(), 0),
        TransferKind::Reversal { of } => (REVERSAL, of.as_u128(), 0),
    }
}

/// What a transfer is to do, by its packed fields.
pub(crate) fn kind(
    flags: u16,
    other: u128,
    timeout_seconds: u32,
) -> Result<TransferKind, DecodeError> {
    let id = || TransferId::from_u128(other).map_err(|_| DecodeError("another transfer's id"));
    let kind = match flags & KINDS {
        0 if other == 0 => TransferKind::Single,
        flags if flags & !SCHEDULED == PENDING => {
            let allowance = Amount::from_minor_units(other);
            let is_scheduled = flags & SCHEDULED != 0;
            TransferKind::Pending(Reservation { timeout_seconds, allowance, is_scheduled })
        }
        POST => TransferKind::Post { pending: id()? },
        VOID => TransferKind::Void { pending: id()? },
        REVERSAL => TransferKind::Reversal { of: id()? },
        _ => return Err(DecodeError("a transfer of an unknown kind")),
    };
    if timeout_seconds != 0 && !matches!(kind, TransferKind::Pending(_)) {
        return Err(DecodeError("a timeout of a transfer that is not pending"));
    }
    Ok(kind)
}

pub(super) fn take(fields: &mut Reader<'_>) -> Result<RecordedTransfer, DecodeError> {
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
    let [result, reserved @ ..]: [u8; 4] = fields.array()?;
    if reserved != [0; 3] {
        return Err(DecodeError("reserved bytes of a transfer"));
    }
    let has_effective_at = flags & EFFECTIVE_AT != 0;
    let effective_time = Timestamp::from_unix_nanos(effective_at);
    if effective_time.unix_nanos() != effective_at || !has_effective_at && effective_at != 0 {
        return Err(DecodeError("effective time"));
    }
    let account = |id| AccountId::from_u128(id).map_err(|_| DecodeError("account id"));
    let transfer = Transfer {
        id: TransferId::from_u128(id).map_err(|_| DecodeError("transfer id"))?,
        debit_account: account(debit_account)?,
        credit_account: account(credit_account)?,
        amount: Amount::from_minor_units(amount),
        kind: kind(flags, other, timeout)?,
        user_data: UserData { data_128, data_64, data_32 },
        code,
        effective_at: has_effective_at.then_some(effective_time),
        flags: TransferFlags::from_bits(flags & !KINDS & !EFFECTIVE_AT)
            .ok_or(DecodeError("an unknown flag of a transfer"))?,
    };
    let outcome = match result {
        CREATED => Outcome::Created,
        code => Outcome::Refused(refusal(code)?),
    };
    Ok(RecordedTransfer { transfer, outcome })
}

/// TigerBeetle's numbers where it has the result, which it keeps stable; ours begin at 128.
pub(crate) const fn refusal_code(refusal: TransferRefusal) -> u8 {
    use TransferRefusal as R;
    match refusal {
        R::LinkedEventFailed => 1,
        R::DebitAccountAlreadyClosed => 65,
        R::CreditAccountAlreadyClosed => 66,
        R::OverflowsDebitsPending => 47,
        R::OverflowsCreditsPending => 48,
        R::OverflowsDebitsPosted => 49,
        R::OverflowsCreditsPosted => 50,
        R::OverflowsDebits => 51,
        R::OverflowsCredits => 52,
        R::OverflowsTimeout => 53,
        R::ExceedsCredits => 54,
        R::ExceedsDebits => 55,
        R::ExceedsReversibleAmount => 128,
        R::PeriodLocked => 129,
        R::DebitAccountExceedsCeiling => 130,
        R::CreditAccountExceedsCeiling => 131,
        R::VersionConditionFailed => 132,
        R::BalanceConditionFailed => 133,
    }
}

pub(super) fn refusal(code: u8) -> Result<TransferRefusal, DecodeError> {
    let found = TransferRefusal::ALL.iter().find(|refusal| refusal_code(**refusal) == code);
    found.copied().ok_or(DecodeError("unknown result of a transfer"))
}
