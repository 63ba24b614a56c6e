//! `/v1/ledger/assets`.

use axum::{extract::State, response::Response};
use lombard_chassis::{Problem, Query};
use lombard_ledger_api::{AssetBody, PageBody, parameter};
use lombard_ledger_core::Asset;
use lombard_types::AssetCode;
use serde::Deserialize;

use super::{Api, Reader, answer};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    after: Option<String>,
    limit: Option<String>,
    at_least: Option<String>,
}

/// All assets, in order of code. Needs `ledger:read` for anything.
pub(super) async fn list(
    _reader: Reader,
    State(api): State<Api>,
    Query(listing): Query<Listing>,
) -> Result<Response, Problem> {
    let limit = api.limit(listing.limit.as_deref())?;
    let after: Option<AssetCode> = parameter("after", listing.after.as_deref())?;
    let cut = api.cut(listing.at_least.as_deref(), None).await?;
    let page = api.ask(|index| Ok(index.assets(after.as_ref(), limit)))?;
    let body = PageBody::of(
        page,
        |row| AssetBody::from(&Asset { code: row.code, scale: row.scale }),
        |code| code.to_string(),
    );
    Ok(answer(cut, body))
}
