//! Everything that a gateway routes to.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use lombard_chassis::{Problem, Query, event_stream};

use super::{
    Api,
    answer::{Answer, Encoded},
    authority::Reader,
    subscribe,
    wait::Wait,
};
use crate::watch::Topic;

/// `GET /catalog`, also as a long poll on the overall index, or as a watch: the instances that take traffic.
pub(super) async fn get(
    State(api): State<Api>,
    Reader { expires_in }: Reader,
    headers: HeaderMap,
    Query(wait): Query<Wait>,
) -> Result<Response, Problem> {
    if event_stream::is_wanted(&headers) {
        return subscribe::respond(api, Topic::Overall, &headers, expires_in).await;
    }
    api.wait(Topic::Overall, wait).await?;
    let (body, end) = api.view.read_at(|view| view.catalog_body());
    Ok(Answer::ok(end.previous(), Encoded(body)).into_response())
}
