//! The event store, as the gateway itself uses it: over its own pools, with a token of its own.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use lombard_gateway_core::Role;
use serde::Deserialize;

use super::record::Record;
use crate::{
    Resource,
    body::RequestBody,
    forward::{Rules, forward},
    worker::Worker,
};

/// Longest answer that is read: one event of the longest kind.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const TRIES_MAX: usize = 3;

/// The event store did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the event store is away")]
    Away,
    #[error("the event store answers {0}")]
    Status(StatusCode),
    #[error("the event store's answer cannot be read")]
    Malformed,
}

/// What a stream must be like before an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Absent,
    Revision(u64),
}

/// The last event of a stream.
pub(crate) struct Last {
    pub(crate) revision: u64,
    pub(crate) record: Record,
}

#[derive(Deserialize)]
struct Event {
    revision: String,
    data: Record,
}

/// Appends an event. The revision that it got, or `None` where the stream is not as expected. Asked again with the same id,
/// the store gives the first answer.
pub(crate) async fn append(
    worker: &Worker,
    stream: &str,
    expected: Expected,
    record: &Record,
) -> Result<Option<u64>, StoreError> {
    let event = record.to_event(uuid::Uuid::now_v7()).to_string();
    let mut request = Request::new(RequestBody::whole(Bytes::from(event)));
    *request.method_mut() = Method::POST;
    let (name, value) = match expected {
        Expected::Absent => (header::IF_NONE_MATCH, "*".to_owned()),
        Expected::Revision(revision) => (header::IF_MATCH, format!("\"{revision}\"")),
    };
    request.headers_mut().insert(name, text(&value)?);
    let media_type = HeaderValue::from_static("application/cloudevents+json");
    request.headers_mut().insert(header::CONTENT_TYPE, media_type);
    let (status, revision, _) = call(worker, stream, "", request).await?;
    match status {
        StatusCode::PRECONDITION_FAILED => Ok(None),
        status if status.is_success() => revision.map(Some).ok_or(StoreError::Malformed),
        status => Err(StoreError::Status(status)),
    }
}

/// The last event of a stream; `None` where it has none that can be read yet.
pub(crate) async fn last(worker: &Worker, stream: &str) -> Result<Option<Last>, StoreError> {
    let request = Request::new(RequestBody::whole(Bytes::new()));
    let (status, _, body) = call(worker, stream, "?direction=backwards&limit=1", request).await?;
    match status {
        StatusCode::NOT_FOUND => return Ok(None),
        status if !status.is_success() => return Err(StoreError::Status(status)),
        _ => {}
    }
    let events: Vec<Event> = serde_json::from_slice(&body).map_err(|_| StoreError::Malformed)?;
    let Some(event) = events.into_iter().next() else { return Ok(None) };
    let revision = event.revision.parse().map_err(|_| StoreError::Malformed)?;
    Ok(Some(Last { revision, record: event.data }))
}

async fn call(
    worker: &Worker,
    stream: &str,
    query: &str,
    mut request: Request<RequestBody>,
) -> Result<(StatusCode, Option<u64>, Bytes), StoreError> {
    let cluster = worker.shared.endpoints.role(Role::Eventstore).ok_or(StoreError::Away)?;
    let token = worker.shared.tokens.token(Resource::Eventstore).await.map_err(|error| {
        tracing::warn!(error, "no token for the event store");
        StoreError::Away
    })?;
    let mut bearer = text(&format!("Bearer {token}"))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    let target = format!("/v1/eventstore/streams/{stream}/events{query}");
    *request.uri_mut() = target.parse().map_err(|_| StoreError::Malformed)?;
    let rules = Rules {
        tries_max: TRIES_MAX,
        statuses: &[503],
        timeout: worker.config.response_timeout(),
        try_timeout: None,
        body_bytes_max: u64::MAX,
        deadline: None,
        // Events have ids: the same one again is no other one.
        can_repeat: true,
    };
    let sent = Box::pin(forward(worker, &cluster, request, &rules, None)).await;
    let response = sent.map_err(|_| StoreError::Away)?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|_| StoreError::Malformed)?.to_bytes();
    let etag = parts.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
    let revision = etag.and_then(|etag| etag.trim_matches('"').parse().ok());
    Ok((parts.status, revision, body))
}

fn text(value: &str) -> Result<HeaderValue, StoreError> {
    HeaderValue::from_str(value).map_err(|_| StoreError::Malformed)
}
