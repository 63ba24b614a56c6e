//! Which services there are, and the instances of one.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use lombard_chassis::{Problem, Query, event_stream};

use super::{
    Api,
    answer::{Answer, Encoded},
    authority::{Reader, ServiceReader},
    subscribe,
    wait::Wait,
};
use crate::watch::Topic;

/// `GET /services`.
pub(super) async fn list(State(api): State<Api>, _: Reader) -> Result<Answer<Encoded>, Problem> {
    api.reach_start().await?;
    let (body, end) = api.view.read_at(|view| view.services_body());
    Ok(Answer::ok(end.previous(), Encoded(body)))
}

/// `GET /services/{service}`, also as a long poll or as a watch. A service that does not exist has no instances and the
/// overall index, so that one can wait for it to appear.
pub(super) async fn get(
    State(api): State<Api>,
    ServiceReader { service, expires_in }: ServiceReader,
    headers: HeaderMap,
    Query(wait): Query<Wait>,
) -> Result<Response, Problem> {
    let topic = Topic::Service(service.clone());
    if event_stream::is_wanted(&headers) {
        return subscribe::respond(api, topic, &headers, expires_in).await;
    }
    api.wait(topic, wait).await?;
    let (body, end) = api.view.read_at(|view| view.service_body(&service));
    Ok(Answer::ok(end.previous(), Encoded(body)).into_response())
}
