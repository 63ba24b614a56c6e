//! Who changed what of a service, and why.

use axum::extract::State;
use lombard_chassis::{Problem, Query};
use serde::Deserialize;

use super::{
    Api,
    answer::{Answer, Encoded},
    authority::ServiceReader,
};

/// `?limit=N`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
}

/// Changes that are shown where the request does not say how many.
const LIMIT_DEFAULT: usize = 100;

/// `GET /services/{service}/history`: the newest changes first, of those that are at hand. The log has all.
pub(super) async fn get(
    State(api): State<Api>,
    ServiceReader { service, .. }: ServiceReader,
    Query(page): Query<Page>,
) -> Result<Answer<Encoded>, Problem> {
    api.reach_start().await?;
    let limit = page.limit.unwrap_or(LIMIT_DEFAULT).min(api.config.history_page_max);
    let (body, end) = api.view.read_at(|view| view.history_body(&service, limit));
    Ok(Answer::ok(end.previous(), Encoded(body)))
}
