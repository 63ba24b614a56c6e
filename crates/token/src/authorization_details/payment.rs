//! The built-in type `payment`.

use std::{cmp::Ordering, fmt, str::FromStr};

use lombard_types::{AccountPath, AssetCode};
use serde_json::{Value, json};

use super::Decimal;

/// What the uses of a payment are counted by, also over several tokens of one grant. The authorization server makes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentId(Box<str>);

/// A text is not the id of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a payment's id is 32 small hexadecimal digits")]
pub struct ParsePaymentIdError;

impl PaymentId {
    /// An id of 128 bits, which must be random.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bytes)).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PaymentId {
    type Err = ParsePaymentIdError;

    fn from_str(text: &str) -> Result<Self, ParsePaymentIdError> {
        let fits = text.len() == 32
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if fits { Ok(Self(text.into())) } else { Err(ParsePaymentIdError) }
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Up to `uses` payments of at most `amount` each, of one asset, from one account to another.
///
/// ```json
/// { "type": "payment", "id": "9f0c...", "amount": "125.00", "asset": "EUR",
///   "debtor_account": "customers/42/wallet", "creditor_account": "merchants/7", "uses": 1 }
/// ```
/// A request has no `id`, and may leave out `uses`, which is then 1. Whoever holds a token with payments may, at the
/// ledger, make these payments and change nothing else, whatever the token's scope says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// What its uses are counted by.
    pub id: PaymentId,
    /// The most that one payment may be, in units of the asset. How many minor units that is, the asset's scale says.
    pub amount: Decimal,
    /// What is paid.
    pub asset: AssetCode,
    /// Which account is debited.
    pub debtor_account: AccountPath,
    /// Which account is credited.
    pub creditor_account: AccountPath,
    /// How many payments: 1 to [`Payment::USES_MAX`].
    pub uses: u32,
}

impl Payment {
    /// Its `type`.
    pub const TYPE: &str = "payment";
    /// Most payments that one detail permits.
    pub const USES_MAX: u32 = 1_000_000;

    /// Whether `narrower` is the same payment, of no more and no oftener. Ids are not compared.
    pub fn covers(&self, narrower: &Self) -> bool {
        self.asset == narrower.asset
            && self.debtor_account == narrower.debtor_account
            && self.creditor_account == narrower.creditor_account
            && self.amount.compare(&narrower.amount) != Ordering::Less
            && self.uses >= narrower.uses
    }

    pub(super) fn to_value(&self) -> Value {
        json!({
            "type": Self::TYPE,
            "id": self.id.as_str(),
            "amount": self.amount.as_str(),
            "asset": self.asset.as_str(),
            "debtor_account": self.debtor_account.as_str(),
            "creditor_account": self.creditor_account.as_str(),
            "uses": self.uses,
        })
    }
}
