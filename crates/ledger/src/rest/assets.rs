//! `/v1/ledger/assets`.

use std::sync::Arc;

use axum::extract::State;
use lombard_chassis::{Context, Json, Problem};
use lombard_ledger_api::{Answer, AssetBody};
use lombard_ledger_core::{Command, CreateAsset, Reply};
use lombard_types::Scale;
use serde::Deserialize;

use super::{Api, authority::Caller, evidence, idempotency::OptionalIdempotencyKey};
use crate::problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAsset {
    code: String,
    scale: u8,
}

/// Makes an asset known. 201, or 200 where it was known. Needs `ledger:write` without a path.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
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
    let body = AssetBody::from(&asset);
    Ok(if done.is_new {
        Answer::created(done.position, "/v1/ledger/assets".to_owned(), body)
    } else {
        Answer::ok(Some(done.position), body)
    })
}
