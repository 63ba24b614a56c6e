//! Transfers packed in 128 bytes, as `proto/ledger/v1` draws them.

use bytes::Bytes;
use lombard_proto::ledger::v1::TransferResult;
use lombard_types::{AccountId, Amount, Timestamp, TransferId};

/// Size of a packed transfer.
pub(super) const BYTES: usize = 128;

const LINKED: u16 = 0x0001;
const PENDING: u16 = 0x0002;
const POST: u16 = 0x0004;
const VOID: u16 = 0x0008;
const REVERSAL: u16 = 0x0200;
const SCHEDULED: u16 = 0x0400;
const EFFECTIVE_AT: u16 = 0x8000;
const KINDS: u16 = PENDING | POST | VOID | REVERSAL | SCHEDULED;

/// One transfer of a posting set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedTransfer {
    /// The id of its set, chosen by the client: the same id again is a retry.
    pub id: TransferId,
    /// The account that is debited; to post, void or reverse, `None`: the one that follows from the other set.
    pub debit_account: Option<AccountId>,
    /// The account that is credited, likewise.
    pub credit_account: Option<AccountId>,
    /// How much, in minor units of the asset (cents).
    pub amount: Amount,
    /// What it does.
    pub kind: TransferKind,
    /// The caller's own numbers.
    pub user_data: UserData,
    /// What kind of transfer it is, in the caller's numbering.
    pub code: u16,
    /// When it counts; `None`: when it is recorded.
    pub effective_at: Option<Timestamp>,
    /// What else is asked for.
    pub flags: TransferFlags,
}

/// What a transfer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// It moves the amount.
    Single,
    /// It reserves the amount.
    Pending {
        /// Seconds until it expires; 0 for never.
        timeout_seconds: u32,
        /// How much more than the amount may be posted.
        allowance: Amount,
        /// It posts by itself at its effective time.
        is_scheduled: bool,
    },
    /// It posts a pending set.
    Post {
        /// The set.
        pending: TransferId,
    },
    /// It releases a pending set.
    Void {
        /// The set.
        pending: TransferId,
    },
    /// It moves back what a set has moved.
    Reversal {
        /// The set.
        of: TransferId,
    },
}

/// Numbers that mean something to the caller only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say all")]
pub struct UserData {
    pub data_128: u128,
    pub data_64: u64,
    pub data_32: u32,
}

/// What else is asked of a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferFlags(u16);

impl TransferFlags {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The amount is the most that may be debited: less where the account has not so much.
    pub const BALANCING_DEBIT: Self = Self(0x0010);
    /// The amount is the most that may be credited.
    pub const BALANCING_CREDIT: Self = Self(0x0020);
    /// It happened elsewhere. Needs `ledger:import`.
    pub const IMPORTED: Self = Self(0x0100);
    /// Post, void, reversal: of the whole.
    pub const WHOLE: Self = Self(0x0800);
    /// May count in a locked period. Needs `ledger:override-lock`.
    pub const OVERRIDES_LOCK: Self = Self(0x1000);

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of those are among these.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl PackedTransfer {
    /// Moves an amount from one account to another.
    pub const fn new(
        id: TransferId,
        debit_account: AccountId,
        credit_account: AccountId,
        amount: Amount,
    ) -> Self {
        Self {
            id,
            debit_account: Some(debit_account),
            credit_account: Some(credit_account),
            amount,
            kind: TransferKind::Single,
            user_data: UserData { data_128: 0, data_64: 0, data_32: 0 },
            code: 0,
            effective_at: None,
            flags: TransferFlags::NONE,
        }
    }

    /// Posts, voids or reverses a whole set.
    pub const fn whole(id: TransferId, kind: TransferKind) -> Self {
        Self {
            id,
            debit_account: None,
            credit_account: None,
            amount: Amount::ZERO,
            kind,
            user_data: UserData { data_128: 0, data_64: 0, data_32: 0 },
            code: 0,
            effective_at: None,
            flags: TransferFlags::WHOLE,
        }
    }

    /// Reserves the amount, rather than moving it.
    #[must_use]
    pub const fn pending(self, timeout_seconds: u32) -> Self {
        let kind =
            TransferKind::Pending { timeout_seconds, allowance: Amount::ZERO, is_scheduled: false };
        Self { kind, ..self }
    }

    /// Appends the record. `is_linked`: more of its set follows.
    pub(super) fn put(&self, is_linked: bool, out: &mut Vec<u8>) {
        let (mut flags, other, timeout) = self.kind.fields();
        flags |= self.flags.0;
        if is_linked {
            flags |= LINKED;
        }
        if self.effective_at.is_some() {
            flags |= EFFECTIVE_AT;
        }
        let account = |account: Option<AccountId>| account.map_or(0, AccountId::as_u128);
        let user_data = self.user_data;
        out.reserve(BYTES);
        out.extend_from_slice(&self.id.as_u128().to_le_bytes());
        out.extend_from_slice(&account(self.debit_account).to_le_bytes());
        out.extend_from_slice(&account(self.credit_account).to_le_bytes());
        out.extend_from_slice(&self.amount.minor_units().to_le_bytes());
        out.extend_from_slice(&other.to_le_bytes());
        out.extend_from_slice(&user_data.data_128.to_le_bytes());
        out.extend_from_slice(&user_data.data_64.to_le_bytes());
        out.extend_from_slice(&self.effective_at.unwrap_or_default().unix_nanos().to_le_bytes());
        out.extend_from_slice(&user_data.data_32.to_le_bytes());
        out.extend_from_slice(&timeout.to_le_bytes());
        out.extend_from_slice(&self.code.to_le_bytes());
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
    }
}

impl TransferKind {
    /// Flags, what stands where another set's id or the allowance belongs, and the timeout.
    const fn fields(self) -> (u16, u128, u32) {
        match self {
            Self::Single => (0, 0, 0),
            Self::Pending { timeout_seconds, allowance, is_scheduled } => {
                let flags = if is_scheduled { PENDING | SCHEDULED } else { PENDING };
                (flags, allowance.minor_units(), timeout_seconds)
            }
            Self::Post { pending } => (POST, pending.as_u128(), 0),
            Self::Void { pending } => (VOID, pending.as_u128(), 0),
            Self::Reversal { of } => (REVERSAL, of.as_u128(), 0),
        }
    }

    fn of(flags: u16, other: u128, timeout_seconds: u32) -> Option<Self> {
        let id = || TransferId::from_u128(other).ok();
        Some(match flags & KINDS {
            0 => Self::Single,
            PENDING | 0x0402 => Self::Pending {
                timeout_seconds,
                allowance: Amount::from_minor_units(other),
                is_scheduled: flags & SCHEDULED != 0,
            },
            POST => Self::Post { pending: id()? },
            VOID => Self::Void { pending: id()? },
            REVERSAL => Self::Reversal { of: id()? },
            _ => return None,
        })
    }
}

/// A transfer as the ledger recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedTransfer {
    /// The transfer, with all that followed from another set.
    pub transfer: PackedTransfer,
    /// What became of it.
    pub result: TransferResult,
}

/// Reads packed transfers; `None` where it is none, or of a newer server.
pub(super) fn recorded(bytes: &Bytes) -> Option<Vec<RecordedTransfer>> {
    let (records, rest) = bytes.as_chunks::<BYTES>();
    if !rest.is_empty() {
        return None;
    }
    records.iter().map(take).collect()
}

fn take(record: &[u8; BYTES]) -> Option<RecordedTransfer> {
    let mut rest = record.as_slice();
    let id = TransferId::from_u128(u128::from_le_bytes(field(&mut rest)?)).ok()?;
    let debit_account = u128::from_le_bytes(field(&mut rest)?);
    let credit_account = u128::from_le_bytes(field(&mut rest)?);
    let amount = Amount::from_minor_units(u128::from_le_bytes(field(&mut rest)?));
    let other = u128::from_le_bytes(field(&mut rest)?);
    let data_128 = u128::from_le_bytes(field(&mut rest)?);
    let data_64 = u64::from_le_bytes(field(&mut rest)?);
    let effective_at = u64::from_le_bytes(field(&mut rest)?);
    let data_32 = u32::from_le_bytes(field(&mut rest)?);
    let timeout = u32::from_le_bytes(field(&mut rest)?);
    let code = u16::from_le_bytes(field(&mut rest)?);
    let flags = u16::from_le_bytes(field(&mut rest)?);
    let [result]: [u8; 1] = field(&mut rest)?;
    let transfer = PackedTransfer {
        id,
        debit_account: AccountId::from_u128(debit_account).ok(),
        credit_account: AccountId::from_u128(credit_account).ok(),
        amount,
        kind: TransferKind::of(flags, other, timeout)?,
        user_data: UserData { data_128, data_64, data_32 },
        code,
        effective_at: (flags & EFFECTIVE_AT != 0)
            .then_some(Timestamp::from_unix_nanos(effective_at)),
        flags: TransferFlags(flags & !KINDS & !EFFECTIVE_AT & !LINKED),
    };
    let result = TransferResult::try_from(i32::from(result)).ok()?;
    Some(RecordedTransfer { transfer, result })
}

fn field<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (field, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*field)
}

/// Posting sets, packed: each happens or not by itself, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedSets {
    pub(super) records: Vec<u8>,
}

impl PackedSets {
    /// None yet.
    pub const fn new() -> Self {
        Self { records: Vec::new() }
    }

    /// None yet, with room for so many transfers.
    pub fn with_capacity(transfers: usize) -> Self {
        Self { records: Vec::with_capacity(transfers * BYTES) }
    }

    /// Adds a set of one transfer.
    pub fn push(&mut self, transfer: &PackedTransfer) {
        transfer.put(false, &mut self.records);
    }

    /// Adds a set of several transfers, under one id: all of them happen, or none.
    pub fn push_set(&mut self, transfers: &[PackedTransfer]) {
        for (number, transfer) in (1..).zip(transfers) {
            transfer.put(number < transfers.len(), &mut self.records);
        }
    }

    /// How many transfers they have.
    pub const fn len(&self) -> usize {
        self.records.len() / BYTES
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

impl From<&PackedTransfer> for PackedSets {
    fn from(transfer: &PackedTransfer) -> Self {
        let mut sets = Self::with_capacity(1);
        sets.push(transfer);
        sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> TransferId {
        TransferId::from_u128(number).unwrap()
    }

    #[test]
    fn what_is_packed_is_read_again() {
        let account = |number| AccountId::from_u128(number).unwrap();
        let single =
            PackedTransfer::new(id(7), account(1), account(2), Amount::from_minor_units(1 << 90));
        let pending = TransferKind::Pending {
            timeout_seconds: 9,
            allowance: Amount::MAX,
            is_scheduled: true,
        };
        let transfers = [
            single,
            single.pending(60),
            PackedTransfer { kind: pending, effective_at: Some(Timestamp::MAX), ..single },
            PackedTransfer::whole(id(8), TransferKind::Post { pending: id(3) }),
            PackedTransfer::whole(id(8), TransferKind::Void { pending: id(3) }),
            PackedTransfer {
                flags: TransferFlags::IMPORTED.with(TransferFlags::BALANCING_CREDIT),
                user_data: UserData { data_128: 1 << 100, data_64: 1 << 50, data_32: 1 << 30 },
                code: 0xabcd,
                ..PackedTransfer::whole(id(8), TransferKind::Reversal { of: id(3) })
            },
        ];
        let mut sets = PackedSets::new();
        sets.push_set(&transfers);
        assert_eq!(sets.len(), transfers.len());
        let flags: Vec<u8> = sets.records.chunks(BYTES).map(|record| record[122] & 1).collect();
        assert_eq!(flags, [1, 1, 1, 1, 1, 0]);
        let read = recorded(&sets.records.into()).unwrap();
        let read: Vec<_> = read.into_iter().map(|recorded| recorded.transfer).collect();
        assert_eq!(read, transfers);
    }

    #[test]
    fn what_is_no_record_is_not_read() {
        assert_eq!(recorded(&Bytes::from_static(&[1; 127])), None);
        assert_eq!(recorded(&Bytes::from_static(&[0; 128])), None);
    }
}
