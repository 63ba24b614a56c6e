//! An account as JSON.

use lombard_ledger_core::{Asset, Balance, NormalSide, Totals};
use lombard_types::{AccountId, AccountPath, Amount};
use serde::{Deserialize, Serialize};

use crate::amount_text;

/// On which side an account grows.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SideBody {
    /// Assets and expenses.
    Debit,
    /// Liabilities, equity and income.
    Credit,
}

impl From<SideBody> for NormalSide {
    fn from(side: SideBody) -> Self {
        match side {
            SideBody::Debit => Self::Debit,
            SideBody::Credit => Self::Credit,
        }
    }
}

impl From<NormalSide> for SideBody {
    fn from(side: NormalSide) -> Self {
        match side {
            NormalSide::Debit => Self::Debit,
            NormalSide::Credit => Self::Credit,
        }
    }
}

/// An account with its balances. Amounts are decimal strings in units of the asset.
#[derive(Debug, Serialize)]
pub struct AccountBody {
    id: String,
    path: String,
    asset: String,
    normal_side: SideBody,
    floor: Option<String>,
    ceiling: Option<String>,
    closed: bool,
    /// How many entries it has had: what a condition on its version is about.
    version: String,
    balance: BalanceBody,
    totals: TotalsBody,
}

/// On the account's normal side.
#[derive(Debug, Serialize)]
struct BalanceBody {
    posted: String,
    pending: String,
    available: String,
}

#[derive(Debug, Serialize)]
struct TotalsBody {
    debits_pending: String,
    debits_posted: String,
    credits_pending: String,
    credits_posted: String,
}

/// What makes an account's JSON.
#[derive(Clone, Copy, Debug)]
pub struct AccountParts<'a> {
    /// Its id.
    pub id: AccountId,
    /// Where it stands in the tree of accounts.
    pub path: &'a AccountPath,
    /// What it holds.
    pub asset: &'a Asset,
    /// On which side it grows.
    pub normal_side: NormalSide,
    /// What is available may not go below this.
    pub floor: Option<Balance>,
    /// What is posted and expected may not go above this.
    pub ceiling: Option<Balance>,
    /// Whether it takes no transfers.
    pub is_closed: bool,
    /// How many entries it has had.
    pub version: u64,
    /// What has been moved over it.
    pub totals: &'a Totals,
}

impl From<AccountParts<'_>> for AccountBody {
    fn from(account: AccountParts<'_>) -> Self {
        let AccountParts {
            id,
            path,
            asset,
            normal_side,
            floor,
            ceiling,
            is_closed,
            version,
            totals,
        } = account;
        let amount = |minor_units| amount_text(Amount::from_minor_units(minor_units), asset.scale);
        let balance = |balance: Balance| balance.display(asset.scale).to_string();
        Self {
            id: id.to_string(),
            path: path.to_string(),
            asset: asset.code.to_string(),
            normal_side: normal_side.into(),
            floor: floor.map(balance),
            ceiling: ceiling.map(balance),
            closed: is_closed,
            version: version.to_string(),
            balance: BalanceBody {
                posted: balance(totals.posted(normal_side)),
                pending: balance(totals.pending(normal_side)),
                available: balance(totals.available(normal_side)),
            },
            totals: TotalsBody {
                debits_pending: amount(totals.debits_pending),
                debits_posted: amount(totals.debits_posted),
                credits_pending: amount(totals.credits_pending),
                credits_posted: amount(totals.credits_posted),
            },
        }
    }
}
