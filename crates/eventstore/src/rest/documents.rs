//! `/v1/eventstore/streams/{stream}/snapshot` and `.../metadata`: what a stream's owner keeps beside its events.
//!
//! A snapshot is the state that the events up to a revision lead to, so that a reader need not begin at the first. The
//! store does not look into it; it only takes none that is ahead of the stream.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};
use lombard_chassis::{Context, Json, Path, Problem, problems};
use lombard_eventstore_core::{Content, DocumentKey, DocumentKind, Evidence, PutDocument};
use lombard_types::{Revision, StreamName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{answer::Answer, precondition};
use crate::{
    api::{Api, Stored},
    authority::Caller,
    problem,
};

/// A stream's state, as its owner sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotForm {
    /// The revision of the last event that it includes.
    stream_revision: String,
    /// Any JSON.
    data: Box<RawValue>,
}

/// A stream's state, as it is stored and read.
#[derive(Debug, Serialize, Deserialize)]
struct Snapshot {
    stream_revision: String,
    data: Box<RawValue>,
}

/// Stores a snapshot in place of the one before; its own revisions are told by `ETag` and expected by `If-Match`.
/// Needs `events:append` for the stream.
pub(super) async fn write_snapshot(
    State(api): State<Api>,
    caller: Caller,
    context: Context,
    Path(stream): Path<String>,
    headers: HeaderMap,
    Json(form): Json<SnapshotForm>,
) -> Result<Response, Problem> {
    let stream = writable(&caller, &stream)?;
    let SnapshotForm { stream_revision, data } = form;
    let revision: Revision = stream_revision
        .parse()
        .map_err(|error| problem::invalid_member("stream_revision", error))?;
    let last = api.last_chunk(&stream, api.reader.durable())?.last_revision();
    if revision > last {
        return Err(problem::invalid_member(
            "stream_revision",
            format!("the stream is at revision {last} only"),
        ));
    }
    let snapshot = Snapshot { stream_revision: revision.to_string(), data };
    let evidence = caller.evidence(context)?;
    put(&api, DocumentKind::StreamSnapshot, &stream, &headers, &snapshot, evidence).await
}

/// The newest snapshot. Needs `events:read` for the stream.
pub(super) async fn read_snapshot(
    State(api): State<Api>,
    caller: Caller,
    Path(stream): Path<String>,
) -> Result<Response, Problem> {
    let stream = readable(&caller, &stream)?;
    get(&api, DocumentKind::StreamSnapshot, &stream).await
}

/// Stores a stream's metadata, any JSON object, in place of what was there. Needs `events:append` for the stream.
pub(super) async fn write_metadata(
    State(api): State<Api>,
    caller: Caller,
    context: Context,
    Path(stream): Path<String>,
    headers: HeaderMap,
    Json(metadata): Json<serde_json::Map<String, serde_json::Value>>,
) -> Result<Response, Problem> {
    let stream = writable(&caller, &stream)?;
    let evidence = caller.evidence(context)?;
    put(&api, DocumentKind::StreamMetadata, &stream, &headers, &metadata, evidence).await
}

/// A stream's metadata. Needs `events:read` for the stream.
pub(super) async fn read_metadata(
    State(api): State<Api>,
    caller: Caller,
    Path(stream): Path<String>,
) -> Result<Response, Problem> {
    let stream = readable(&caller, &stream)?;
    get(&api, DocumentKind::StreamMetadata, &stream).await
}

fn writable(caller: &Caller, stream: &str) -> Result<StreamName, Problem> {
    let stream: StreamName = stream.parse().map_err(problem::invalid_path)?;
    caller.append(&stream)?;
    Ok(stream)
}

fn readable(caller: &Caller, stream: &str) -> Result<StreamName, Problem> {
    let stream: StreamName = stream.parse().map_err(problem::invalid_path)?;
    caller.read(&stream)?;
    Ok(stream)
}

/// Stores a document: 201 the first time, then 204. The same again, after an answer that was lost, is no conflict.
async fn put(
    api: &Api,
    kind: DocumentKind,
    stream: &StreamName,
    headers: &HeaderMap,
    document: &(impl Serialize + Sync),
    evidence: Evidence,
) -> Result<Response, Problem> {
    let expected = precondition::expected(headers)?;
    let json = serde_json::to_vec(document).map_err(|error| {
        tracing::error!(%error, "failed to write a document");
        Problem::new(&problems::INTERNAL)
    })?;
    let key = DocumentKey { kind, name: stream.as_str().into() };
    let content = Content(json.into());
    let Stored { revision, position } =
        api.put(PutDocument { key, expected, content, evidence }).await?;
    let status =
        if revision == Revision::START { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    let answer = Answer::new(status.into_response()).position(Some(position)).revision(revision);
    Ok(answer.into_response())
}

/// A document as it was stored.
async fn get(api: &Api, kind: DocumentKind, stream: &StreamName) -> Result<Response, Problem> {
    let key = DocumentKey { kind, name: stream.as_str().into() };
    let Some((document, position)) = api.document(&key).await? else {
        return Err(problem::document_not_found(&key));
    };
    let body = ([(header::CONTENT_TYPE, "application/json")], document.content.0.into_vec());
    Ok(Answer::new(body).position(Some(position)).revision(document.revision).into_response())
}
