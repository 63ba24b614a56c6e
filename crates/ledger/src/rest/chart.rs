//! `/v1/ledger/chart-rules`: what may be opened where.

use std::sync::Arc;

use axum::extract::State;
use lombard_chassis::{Context, Json, Path, Problem};
use lombard_ledger_api::{Answer, SideBody};
use lombard_ledger_core::{Asset, Balance, ChartRule, Command, Reply};
use lombard_types::{AccountPath, AssetCode};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    authority::{Caller, Right},
    body::Decimal,
    evidence,
    idempotency::OptionalIdempotencyKey,
    unexpected_reply,
};
use crate::problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRule {
    #[serde(default = "open")]
    open: bool,
    normal_side: Option<SideBody>,
    #[serde(default)]
    assets: Vec<String>,
    /// In units of the rule's assets, which must then have one scale.
    floor_min: Option<Decimal>,
}

const fn open() -> bool {
    true
}

#[derive(Debug, Serialize)]
pub(super) struct RuleBody {
    prefix: String,
    open: bool,
    normal_side: Option<SideBody>,
    assets: Vec<String>,
    floor_min: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct RulesBody {
    items: Vec<RuleBody>,
}

/// Sets the rule for accounts at `prefix` and below, in place of the one before. Needs `ledger:chart`.
pub(super) async fn set(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    OptionalIdempotencyKey(key): OptionalIdempotencyKey,
    Path(prefix): Path<String>,
    Json(body): Json<NewRule>,
) -> Result<Answer<RuleBody>, Problem> {
    caller.may_book(Right::Chart)?;
    let prefix: AccountPath = prefix.parse().map_err(problem::invalid_path)?;
    let mut assets = Vec::with_capacity(body.assets.len());
    for code in &body.assets {
        let code: AssetCode =
            code.parse().map_err(|error| problem::invalid_field("assets", error))?;
        assets.push(Asset { scale: api.scale_of(&code).await?, code });
    }
    let rule = ChartRule {
        prefix,
        is_open: body.open,
        normal_side: body.normal_side.map(Into::into),
        floor_min: floor_min(body.floor_min.as_ref(), &assets)?,
        assets: assets.into_iter().map(|asset| asset.code).collect(),
    };
    let evidence = evidence::of(&caller, context, key);
    let done = api.submit(Command::SetChartRule { rule, evidence }).await?;
    api.rule_answer(done).await
}

fn floor_min(decimal: Option<&Decimal>, assets: &[Asset]) -> Result<Option<Balance>, Problem> {
    let Some(decimal) = decimal else { return Ok(None) };
    let text = decimal.text("floor_min")?;
    // Nothing is nothing in every asset.
    if text == "0" {
        return Ok(Some(Balance::ZERO));
    }
    let scale = match assets {
        [first, rest @ ..] if rest.iter().all(|asset| asset.scale == first.scale) => first.scale,
        _ => {
            let expected = "other than 0 it needs assets, all of one scale";
            return Err(problem::invalid_field("floor_min", expected));
        }
    };
    let floor = Balance::parse(text, scale);
    floor.map(Some).map_err(|error| problem::from_parse_amount_error("floor_min", error))
}

/// Removes the rule of a prefix, and answers what it was. Needs `ledger:chart`.
pub(super) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    context: Context,
    OptionalIdempotencyKey(key): OptionalIdempotencyKey,
    Path(prefix): Path<String>,
) -> Result<Answer<RuleBody>, Problem> {
    caller.may_book(Right::Chart)?;
    let prefix = prefix.parse().map_err(problem::invalid_path)?;
    let evidence = evidence::of(&caller, context, key);
    let done = api.submit(Command::RemoveChartRule { prefix, evidence }).await?;
    api.rule_answer(done).await
}

/// All rules, by prefix. Linearizable: the writer is asked. Needs `ledger:read`.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<Answer<RulesBody>, Problem> {
    caller.read_anything()?;
    let asked =
        api.writer.query(|machine| machine.book().chart_rules().cloned().collect::<Vec<_>>());
    let (rules, position) = asked.await.map_err(problem::from_query_error)?;
    let mut items = Vec::with_capacity(rules.len());
    for rule in rules {
        items.push(api.rule_body(rule).await?);
    }
    Ok(Answer::ok(position, RulesBody { items }))
}

impl Api {
    async fn rule_answer(&self, done: super::Done) -> Result<Answer<RuleBody>, Problem> {
        match done.reply {
            Reply::ChartRule(rule) => {
                Ok(Answer::ok(Some(done.position), self.rule_body(rule).await?))
            }
            _ => Err(unexpected_reply()),
        }
    }

    async fn rule_body(&self, rule: ChartRule) -> Result<RuleBody, Problem> {
        let ChartRule { prefix, is_open, normal_side, assets, floor_min } = rule;
        let floor_min = match (floor_min, assets.first()) {
            (None, _) => None,
            (Some(floor), Some(code)) => {
                Some(floor.display(self.scale_of(code).await?).to_string())
            }
            (Some(_), None) => Some("0".to_owned()),
        };
        Ok(RuleBody {
            prefix: prefix.to_string(),
            open: is_open,
            normal_side: normal_side.map(Into::into),
            assets: assets.iter().map(ToString::to_string).collect(),
            floor_min,
        })
    }
}
