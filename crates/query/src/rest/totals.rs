//! `/v1/ledger/totals`.

use axum::{extract::State, response::Response};
use lombard_chassis::{Problem, Query};
use serde::{Deserialize, Serialize};

use super::{Api, Reader, answer};
use crate::{PrefixTotals, problem};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    prefix: Option<String>,
    at_least: Option<String>,
    as_of: Option<String>,
}

#[derive(Debug, Serialize)]
struct TotalsBody {
    prefix: Option<String>,
    assets: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    asset: String,
    account_count: u32,
    debits_pending: String,
    debits_posted: String,
    credits_pending: String,
    credits_posted: String,
}

/// What all accounts whose path begins with a prefix add up to, per asset: it looks at each of them. Without a prefix,
/// of the whole book, as it was recorded. Needs `ledger:read` for everything that begins with the prefix.
pub(super) async fn get(
    reader: Reader,
    State(api): State<Api>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    match &asked.prefix {
        Some(prefix) => reader.all_below(prefix)?,
        None => reader.whole_book()?,
    }
    let cut = api.cut(asked.at_least.as_deref(), asked.as_of.as_deref()).await?;
    let lines = api.ask(|index| {
        let Some(prefix) = &asked.prefix else {
            return index.trial_balance(cut).map_err(|error| problem::internal(&error));
        };
        let lines = index.prefix_totals(prefix, cut, api.config.examined_max);
        lines.map_err(|error| problem::internal(&error))?.map_err(problem::too_many)
    })?;
    let assets = lines.iter().map(Line::of).collect();
    Ok(answer(cut, TotalsBody { prefix: asked.prefix, assets }))
}

impl Line {
    fn of(totals: &PrefixTotals) -> Self {
        let (scale, sums) = (totals.scale, &totals.sums);
        Self {
            asset: totals.asset.to_string(),
            account_count: sums.account_count,
            debits_pending: sums.debits_pending.display(scale),
            debits_posted: sums.debits_posted.display(scale),
            credits_pending: sums.credits_pending.display(scale),
            credits_posted: sums.credits_posted.display(scale),
        }
    }
}
