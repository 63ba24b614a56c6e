//! Everything that a gateway routes to.

use axum::extract::State;
use lombard_chassis::{Problem, Query};

use super::{
    Api,
    answer::{Answer, Encoded},
    authority::Reader,
    wait::Wait,
};
use crate::watch::Topic;

/// `GET /catalog`, also as a long poll on the overall index.
pub(super) async fn get(
    State(api): State<Api>,
    _: Reader,
    Query(wait): Query<Wait>,
) -> Result<Answer<Encoded>, Problem> {
    api.wait(Topic::Overall, wait).await?;
    let (body, end) = api.view.read_at(|view| view.catalog_body());
    Ok(Answer::ok(end.previous(), Encoded(body)))
}
