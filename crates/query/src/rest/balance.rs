//! `/v1/ledger/accounts/{id}/balance`.

use axum::{extract::State, response::Response};
use lombard_chassis::{Path, Problem, Query};
use lombard_ledger_api::parameter;
use lombard_ledger_core::Totals;
use lombard_types::{AccountId, Amount, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Api, Reader, answer};

use crate::{AccountRow, problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    at_least: Option<String>,
    as_of: Option<String>,
    effective_at: Option<String>,
}

/// What an account held. Amounts are decimal strings in units of the asset.
#[derive(Debug, Serialize)]
struct BalanceBody {
    account_id: String,
    path: String,
    asset: String,
    /// The time that it is of: of the record at `as_of`, or of the question.
    time: String,
    effective_at: Option<String>,
    /// How many entries the account had. Not told by effective time, which has no order.
    version: Option<String>,
    /// On the account's normal side.
    posted: String,
    /// Only what is posted has an effective time.
    pending: Option<String>,
    available: Option<String>,
    debits_posted: String,
    credits_posted: String,
    debits_pending: Option<String>,
    credits_pending: Option<String>,
}

/// What an account held: now, as of a position or time, or by what counts up to an effective time, as far as that was
/// known then. Needs `ledger:read` for its path.
pub(super) async fn get(
    reader: Reader,
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let id: AccountId = id.parse().map_err(problem::invalid_path)?;
    let effective_at: Option<Timestamp> = parameter("effective_at", asked.effective_at.as_deref())?;
    let cut = api.cut(asked.at_least.as_deref(), asked.as_of.as_deref()).await?;
    let body = api.about(&reader, id, cut, |index, account| {
        let Some(at) = effective_at else {
            let standing = index.standing(account.number, cut);
            let standing = standing.map_err(|error| problem::internal(&error))?;
            return Ok(BalanceBody::recorded(account, standing.version, &standing.totals));
        };
        let totals = index.effective(account.number, at, cut, api.config.examined_max);
        let totals = totals.map_err(|error| problem::internal(&error))?;
        Ok(BalanceBody::effective(account, at, &totals.map_err(problem::too_many)?))
    })?;
    Ok(answer(cut, BalanceBody { time: cut.time.to_string(), ..body }))
}

impl BalanceBody {
    fn posted(account: &AccountRow, totals: &Totals) -> Self {
        let scale = account.asset.scale;
        let amount = |total| Amount::from_minor_units(total).display(scale).to_string();
        Self {
            account_id: account.id.to_string(),
            path: account.path.to_string(),
            asset: account.asset.code.to_string(),
            time: String::new(),
            effective_at: None,
            version: None,
            posted: totals.posted(account.normal_side).display(scale).to_string(),
            pending: None,
            available: None,
            debits_posted: amount(totals.debits_posted),
            credits_posted: amount(totals.credits_posted),
            debits_pending: None,
            credits_pending: None,
        }
    }

    fn effective(account: &AccountRow, at: Timestamp, totals: &Totals) -> Self {
        Self { effective_at: Some(at.to_string()), ..Self::posted(account, totals) }
    }

    fn recorded(account: &AccountRow, version: u64, totals: &Totals) -> Self {
        let (side, scale) = (account.normal_side, account.asset.scale);
        let amount = |total| Some(Amount::from_minor_units(total).display(scale).to_string());
        Self {
            version: Some(version.to_string()),
            pending: Some(totals.pending(side).display(scale).to_string()),
            available: Some(totals.available(side).display(scale).to_string()),
            debits_pending: amount(totals.debits_pending),
            credits_pending: amount(totals.credits_pending),
            ..Self::posted(account, totals)
        }
    }
}
