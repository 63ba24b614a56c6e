//! The core record of a transfer.

use lombard_types::{AccountId, Amount, Timestamp, TransferId};

/// Money moved from one account to another: the debit account is debited, the credit account credited, by one amount.
///
/// Immutable once recorded; a correction is another transfer. Its stored form is a packed record of 128 bytes, in
/// which room is kept for a pending transfer's id, timeout and flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Chosen by the client: a second transfer with this id is a retry of the first.
    pub id: TransferId,
    /// The account that is debited.
    pub debit_account: AccountId,
    /// The account that is credited.
    pub credit_account: AccountId,
    /// How much, in minor units of the accounts' asset.
    pub amount: Amount,
    /// For the caller's own use; the ledger only keeps it.
    pub user_data: UserData,
    /// What kind of transfer it is, in the caller's numbering; 0 where there is none.
    pub code: u16,
    /// When it counts, where that is not when it was recorded.
    pub effective_at: Option<Timestamp>,
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
