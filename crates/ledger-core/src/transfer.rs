//! The core record of a transfer, and what is asked for.

use std::time::Duration;

use lombard_types::{AccountId, Amount, Timestamp, TransferId};

use crate::Ending;

/// Money moved, reserved or released between two accounts by one amount: the debit account is debited, the credit
/// account credited.
///
/// A *posting set* is one transfer or several that follow each other under one id: all of them happen or none. Immutable
/// once recorded; a correction is another transfer. Its stored form is a packed record of 128 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Chosen by the client: a second set with this id is a retry of the first. All transfers of a set have it.
    pub id: TransferId,
    /// The account that is debited.
    pub debit_account: AccountId,
    /// The account that is credited.
    pub credit_account: AccountId,
    /// How much, in minor units of the accounts' asset: what was moved, also where balancing or posting made it less
    /// than what was asked for. Of a refused transfer, what was asked for.
    pub amount: Amount,
    /// What it does.
    pub kind: TransferKind,
    /// For the caller's own use; the ledger only keeps it.
    pub user_data: UserData,
    /// What kind of transfer it is, in the caller's numbering; 0 where there is none.
    pub code: u16,
    /// When it counts, where that is not when it was recorded.
    pub effective_at: Option<Timestamp>,
    /// How it was asked for.
    pub flags: TransferFlags,
}

/// What a transfer does to its two accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// Moves the amount at once (TigerBeetle: single-phase).
    Single,
    /// Reserves the amount until it is posted or voided.
    Pending(Reservation),
    /// Moves what a pending transfer has reserved, or a part of it; the rest is released.
    Post {
        /// The pending transfer.
        pending: TransferId,
    },
    /// Releases what a pending transfer has reserved.
    Void {
        /// The pending transfer.
        pending: TransferId,
    },
    /// Moves back what another transfer has moved, or a part of it.
    Reversal {
        /// The transfer that is reversed.
        of: TransferId,
    },
}

impl TransferKind {
    /// Whether two neighbours of a set are about the same other set: the first transfer of such a run is about the
    /// other's first, the second about its second, and so on.
    pub(crate) fn is_same_run(self, next: Self) -> bool {
        match (self, next) {
            (Self::Post { pending: a }, Self::Post { pending: b })
            | (Self::Void { pending: a }, Self::Void { pending: b })
            | (Self::Reversal { of: a }, Self::Reversal { of: b }) => a == b,
            _ => false,
        }
    }

    /// How much more than its amount may be posted.
    pub(crate) const fn allowance(self) -> Amount {
        match self {
            Self::Pending(reservation) => reservation.allowance,
            _ => Amount::ZERO,
        }
    }

    /// The set that it is about, where there is one.
    pub const fn about(self) -> Option<TransferId> {
        match self {
            Self::Single | Self::Pending(_) => None,
            Self::Post { pending: id } | Self::Void { pending: id } | Self::Reversal { of: id } => {
                Some(id)
            }
        }
    }
}

/// How long a pending transfer waits, and for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    /// Seconds after its record until it ends by itself, to the nanosecond; 0 for never.
    pub timeout_seconds: u32,
    /// How much more than the amount may be posted.
    pub allowance: Amount,
    /// It posts by itself at its effective time, unless it was posted or voided before.
    pub is_scheduled: bool,
}

impl Reservation {
    /// When a set with this reservation ends by itself, and how. The effective time is that of its first transfer.
    pub fn ends(
        &self,
        effective_at: Option<Timestamp>,
        recorded_at: Timestamp,
    ) -> Option<(Timestamp, Ending)> {
        if self.is_scheduled {
            return effective_at.map(|time| (time, Ending::Posted));
        }
        let timeout = Duration::from_secs(u64::from(self.timeout_seconds));
        (!timeout.is_zero()).then(|| (recorded_at.plus(timeout), Ending::Expired))
    }
}

/// Three numbers for the caller's own use, as in TigerBeetle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UserData {
    /// 128 bits: an order, a payment.
    pub data_128: u128,
    /// 64 bits: a time.
    pub data_64: u64,
    /// 32 bits: a place.
    pub data_32: u32,
}

/// How a transfer is meant. The bits are those of the packed record, and TigerBeetle's where it has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TransferFlags(u16);

impl TransferFlags {
    /// The next transfer belongs to the same set.
    pub const LINKED: Self = Self(1 << 0);
    /// The amount is the most that may move: less where the debit account has not so much above its floor or zero.
    pub const BALANCING_DEBIT: Self = Self(1 << 4);
    /// The amount is the most that may move: less where the credit account, the other way round, has not so much.
    pub const BALANCING_CREDIT: Self = Self(1 << 5);
    /// It happened elsewhere: its effective time is in the past, and limits of balances were that place's business.
    pub const IMPORTED: Self = Self(1 << 8);
    /// Posts or reverses all that is there to post or reverse; the amount of the request counts for nothing.
    pub const WHOLE: Self = Self(1 << 11);
    /// May count in a locked period. It takes a right of its own.
    pub const OVERRIDES_LOCK: Self = Self(1 << 12);

    const ALL: u16 = Self::LINKED.0
        | Self::BALANCING_DEBIT.0
        | Self::BALANCING_CREDIT.0
        | Self::IMPORTED.0
        | Self::WHOLE.0
        | Self::OVERRIDES_LOCK.0;

    /// The flags of these bits; `None` where one is none of them.
    pub const fn from_bits(bits: u16) -> Option<Self> {
        if bits & !Self::ALL == 0 { Some(Self(bits)) } else { None }
    }

    /// Their bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all of `flags` are set.
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether any of `flags` is set.
    pub const fn has_any(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }

    /// These without `flags`.
    #[must_use]
    pub const fn without(self, flags: Self) -> Self {
        Self(self.0 & !flags.0)
    }
}

/// A transfer that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTransfer {
    /// The id of its set.
    pub id: TransferId,
    /// The account to debit. `None` for one that does not exist; to post, void or reverse, for the one that follows
    /// from the other transfer.
    pub debit_account: Option<AccountId>,
    /// The account to credit, likewise.
    pub credit_account: Option<AccountId>,
    /// How much, in minor units.
    pub amount: Amount,
    /// What it is to do.
    pub kind: TransferKind,
    /// For the caller's own use.
    pub user_data: UserData,
    /// What kind of transfer it is; 0 where there is none.
    pub code: u16,
    /// When it counts; `None` means when it is recorded.
    pub effective_at: Option<Timestamp>,
    /// How it is meant.
    pub flags: TransferFlags,
}

impl NewTransfer {
    /// A transfer that moves the amount at once.
    pub fn single(
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
            user_data: UserData::default(),
            code: 0,
            effective_at: None,
            flags: TransferFlags::default(),
        }
    }

    /// One that acts on all of another set: posts, voids or reverses it.
    pub fn whole(id: TransferId, kind: TransferKind) -> Self {
        Self {
            id,
            debit_account: None,
            credit_account: None,
            amount: Amount::ZERO,
            kind,
            user_data: UserData::default(),
            code: 0,
            effective_at: None,
            flags: TransferFlags::WHOLE,
        }
    }

    /// Whether the next transfer belongs to the same set.
    pub const fn is_linked(&self) -> bool {
        self.flags.has(TransferFlags::LINKED)
    }

    /// The record of it, moved between these accounts.
    pub(crate) fn recorded(&self, debit_account: AccountId, credit_account: AccountId) -> Transfer {
        let Self { id, amount, kind, user_data, code, effective_at, flags, .. } = *self;
        Transfer {
            id,
            debit_account,
            credit_account,
            amount,
            kind,
            user_data,
            code,
            effective_at,
            flags,
        }
    }
}
