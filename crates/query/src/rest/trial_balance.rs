//! `/v1/ledger/trial-balance`.

use axum::{extract::State, response::Response};
use lombard_chassis::{Problem, Query};
use serde::{Deserialize, Serialize};

use super::{Api, Reader, answer};
use crate::{PrefixTotals, problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    at_least: Option<String>,
    as_of: Option<String>,
}

#[derive(Debug, Serialize)]
struct TrialBalance {
    /// Whether debits equal credits in every asset.
    balanced: bool,
    assets: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    asset: String,
    account_count: u32,
    debits: String,
    credits: String,
    debits_pending: String,
    credits_pending: String,
    balanced: bool,
}

/// Both sides of all accounts, per asset that any account held, as they were recorded. Of the present, every account is
/// added up anew; of the past, it is what was added up then. Needs `ledger:read` without a path.
pub(super) async fn get(
    reader: Reader,
    State(api): State<Api>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    reader.whole_book()?;
    let cut = api.cut(asked.at_least.as_deref(), asked.as_of.as_deref()).await?;
    let lines =
        api.ask(|index| index.trial_balance(cut).map_err(|error| problem::internal(&error)))?;
    let assets: Vec<Line> = lines.iter().map(Line::of).collect();
    let balanced = assets.iter().all(|line| line.balanced);
    Ok(answer(cut, TrialBalance { balanced, assets }))
}

impl Line {
    fn of(totals: &PrefixTotals) -> Self {
        let (scale, sums) = (totals.scale, &totals.sums);
        Self {
            asset: totals.asset.to_string(),
            account_count: sums.account_count,
            debits: sums.debits_posted.display(scale),
            credits: sums.credits_posted.display(scale),
            debits_pending: sums.debits_pending.display(scale),
            credits_pending: sums.credits_pending.display(scale),
            balanced: sums.is_balanced(),
        }
    }
}
