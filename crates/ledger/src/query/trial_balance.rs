//! The trial balance: both sides of all accounts, per asset.

use std::collections::BTreeMap;

use lombard_types::{AssetCode, Sum};

use super::LedgerView;

/// One asset's line of the trial balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetTotals {
    /// How many accounts hold it.
    pub account_count: u64,
    /// The sum of all posted debits.
    pub debits: Sum,
    /// The sum of all posted credits.
    pub credits: Sum,
}

impl AssetTotals {
    /// What double entry promises.
    pub fn is_balanced(&self) -> bool {
        self.debits == self.credits
    }
}

impl LedgerView {
    /// Adds up the totals of every account anew, so that it is a check and not a copy of what is being checked. Reads
    /// every account.
    pub fn trial_balance(&self) -> BTreeMap<&AssetCode, AssetTotals> {
        let mut assets = BTreeMap::new();
        for account in &self.accounts {
            let totals = assets.entry(&account.asset.code).or_insert(AssetTotals {
                account_count: 0,
                debits: Sum::default(),
                credits: Sum::default(),
            });
            totals.account_count += 1;
            totals.debits.add(account.totals.debits_posted);
            totals.credits.add(account.totals.credits_posted);
        }
        assets
    }
}
