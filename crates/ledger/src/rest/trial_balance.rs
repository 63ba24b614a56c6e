//! `/v1/ledger/trial-balance`.

use axum::extract::State;
use lombard_chassis::{Problem, Query};
use lombard_types::Scale;
use serde::Serialize;

use super::{Api, answer::Answer, authority::Caller, paging::Reading};

#[derive(Debug, Serialize)]
pub(super) struct TrialBalance {
    /// Whether debits equal credits in every asset.
    balanced: bool,
    assets: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    asset: String,
    account_count: u64,
    debits: String,
    credits: String,
    balanced: bool,
}

/// Both sides of all accounts, per asset that any account holds. Needs `ledger:read` without a path.
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller,
    Query(reading): Query<Reading>,
) -> Result<Answer<TrialBalance>, Problem> {
    caller.read_book()?;
    api.reach(reading.at_least()?).await?;
    let (assets, position) = api.read(|view| {
        let lines = view.trial_balance().into_iter().map(|(code, totals)| {
            let scale = view.asset(code).map_or(Scale::MAX, |asset| asset.scale);
            Line {
                asset: code.to_string(),
                account_count: totals.account_count,
                debits: totals.debits.display(scale),
                credits: totals.credits.display(scale),
                balanced: totals.is_balanced(),
            }
        });
        lines.collect::<Vec<_>>()
    });
    let balanced = assets.iter().all(|line| line.balanced);
    Ok(Answer::ok(position, TrialBalance { balanced, assets }))
}
