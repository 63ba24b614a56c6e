//! Accounts as they stand.

use lombard_ledger_core::{Asset, Balance, NormalSide, Recorded, Totals};
use lombard_types::{AccountId, AccountPath};

use crate::place::{AccountNumber, AssetNumber, Place};

/// An account as the events so far have left it.
#[derive(Clone, Debug)]
pub struct AccountRow {
    /// In the order in which accounts were opened.
    pub number: AccountNumber,
    /// Its id.
    pub id: AccountId,
    /// Where it stands in the tree of accounts.
    pub path: AccountPath,
    /// What it holds.
    pub asset: Asset,
    pub(crate) asset_number: AssetNumber,
    /// On which side it grows.
    pub normal_side: NormalSide,
    /// What is available may not go below this.
    pub floor: Option<Balance>,
    /// What is posted and expected may not go above this.
    pub ceiling: Option<Balance>,
    /// Whether it takes no transfers.
    pub is_closed: bool,
    /// When it was opened.
    pub opened: Recorded,
    /// Where.
    pub(crate) opened_at: Place,
    /// How many entries it has.
    pub version: u64,
    /// What has been moved over it, as far as it is recorded.
    pub totals: Totals,
}
