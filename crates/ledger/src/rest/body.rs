//! JSON forms that several requests and answers share. Converted by hand: the rules' own types are not what is sent.

use lombard_chassis::Problem;
use lombard_ledger_core::{AccountRef, Asset, Balance, NormalSide, Totals, Transfer};
use lombard_types::{AccountId, AccountPath, Amount, Position, Scale, Timestamp};
use serde::{Deserialize, Serialize};

use crate::problem;

// === requests ===

/// A decimal number, which must be a string: as a JSON number, many programs would round it on the way.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a decimal string such as \"12.50\"")]
pub(crate) enum Decimal {
    Text(String),
    Number(f64),
}

impl Decimal {
    pub(crate) fn text(&self, field: &'static str) -> Result<&str, Problem> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Number(number) => Err(Problem::new(&problem::AMOUNT_NOT_A_STRING)
                .detail(format!(
                    "{field}: say \"{number}\", a string, rather than the number {number}"
                ))
                .with("field", field)),
        }
    }
}

/// An account by its path, or by its id as an object.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "an account's path, or its id as {\"id\": \"...\"}")]
pub(crate) enum AccountName {
    Path(String),
    Id(ById),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ById {
    pub(crate) id: String,
}

impl AccountName {
    pub(crate) fn parse(&self, field: &'static str) -> Result<AccountRef, Problem> {
        match self {
            Self::Path(path) => path
                .parse()
                .map(AccountRef::Path)
                .map_err(|error| problem::invalid_field(field, error)),
            Self::Id(ById { id }) => {
                id.parse().map(AccountRef::Id).map_err(|error| problem::invalid_field(field, error))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SideBody {
    Debit,
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

// === answers ===

/// An account with its balances. Amounts are decimal strings in units of the asset.
#[derive(Debug, Serialize)]
pub(crate) struct AccountBody {
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

/// What makes an account's JSON, from the writer's reply or from the view.
pub(crate) struct AccountParts<'a> {
    pub(crate) id: AccountId,
    pub(crate) path: &'a AccountPath,
    pub(crate) asset: &'a Asset,
    pub(crate) normal_side: NormalSide,
    pub(crate) floor: Option<Balance>,
    pub(crate) ceiling: Option<Balance>,
    pub(crate) is_closed: bool,
    pub(crate) version: u64,
    pub(crate) totals: &'a Totals,
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

/// When a transfer counts.
pub(crate) fn effective_at(transfer: &Transfer, recorded_at: Timestamp) -> Timestamp {
    transfer.effective_at.unwrap_or(recorded_at)
}

pub(crate) fn amount_text(amount: Amount, scale: Scale) -> String {
    amount.display(scale).to_string()
}

/// A string, since programs that read JSON numbers as floats would round large ones.
pub(crate) fn position_text(position: Position) -> String {
    position.to_string()
}
