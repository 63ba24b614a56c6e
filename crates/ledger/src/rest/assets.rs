//! `/v1/ledger/assets`.

use axum::extract::State;
use lombard_chassis::{Context, Json, Problem, Query};
use lombard_ledger_core::{Command, CreateAsset, Reply};
use lombard_types::{AssetCode, Position, Scale};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    answer::Answer,
    authority::Caller,
    evidence,
    idempotency::OptionalIdempotencyKey,
    paging::{self, PageBody},
};
use crate::{
    problem,
    query::{AssetRow, LedgerView},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAsset {
    code: String,
    scale: u8,
}

#[derive(Debug, Serialize)]
pub(super) struct AssetBody {
    code: String,
    scale: u8,
    /// Whether it is a currency that every book knows.
    built_in: bool,
}

/// Makes an asset known. 201, or 200 where it was known. Needs `ledger:write` without a path.
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    context: Context,
    OptionalIdempotencyKey(key): OptionalIdempotencyKey,
    Json(body): Json<NewAsset>,
) -> Result<Answer<AssetBody>, Problem> {
    caller.write_book()?;
    let code = body.code.parse().map_err(|error| problem::invalid_field("code", error))?;
    let scale = Scale::new(body.scale).map_err(|error| problem::invalid_field("scale", error))?;
    let evidence = evidence::of(&caller, context, key);
    let done = api.submit(Command::CreateAsset(CreateAsset { code, scale, evidence })).await?;
    let Reply::Asset(asset) = done.reply else {
        return Err(super::unexpected_reply());
    };
    let is_known =
        |view: &LedgerView| view.asset(&asset.code).is_some_and(|row| row.created.is_none());
    let body = AssetBody {
        built_in: api.view.read(is_known),
        code: asset.code.to_string(),
        scale: asset.scale.digits(),
    };
    Ok(if done.is_new {
        Answer::created(done.position, "/v1/ledger/assets".to_owned(), body)
    } else {
        Answer::ok(Some(done.position), body)
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    after: Option<String>,
    limit: Option<String>,
    at_least: Option<String>,
}

/// All assets, in order of code. Needs `ledger:read` for anything.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Answer<PageBody<AssetBody>>, Problem> {
    caller.read_anything()?;
    let limit = paging::limit(listing.limit.as_deref(), &api.config)?;
    let after: Option<AssetCode> = paging::parameter("after", listing.after.as_deref())?;
    let at_least: Option<Position> = paging::parameter("at_least", listing.at_least.as_deref())?;
    api.reach(at_least).await?;
    let (body, position) = api.read(|view| {
        let page = view.assets(after.as_ref(), limit);
        let item = |(code, row): (&AssetCode, AssetRow)| AssetBody {
            code: code.to_string(),
            scale: row.scale.digits(),
            built_in: row.created.is_none(),
        };
        PageBody::of(page, item, |code| code.to_string())
    });
    Ok(Answer::ok(position, body))
}
