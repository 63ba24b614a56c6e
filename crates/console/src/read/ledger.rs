//! What the ledger answers, as far as the page shows it. Amounts are texts and stay texts.

use serde::Deserialize;

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) id: String,
    pub(crate) status: Option<String>,
    pub(crate) result: Option<String>,
    pub(crate) debit_account: String,
    pub(crate) credit_account: String,
    pub(crate) asset: String,
    pub(crate) amount: String,
    pub(crate) recorded_at: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Account {
    pub(crate) path: String,
    pub(crate) asset: String,
    pub(crate) balance: Balance,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Balance {
    pub(crate) posted: String,
    pub(crate) pending: String,
    pub(crate) available: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TrialBalance {
    pub(crate) balanced: bool,
    pub(crate) assets: Vec<AssetTotals>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AssetTotals {
    pub(crate) asset: String,
    pub(crate) debits: String,
    pub(crate) credits: String,
    pub(crate) balanced: bool,
}
