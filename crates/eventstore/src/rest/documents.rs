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
use lombard_engine::Committed;
use lombard_eventstore_core::{
    Command, Content, DocumentKey, DocumentKind, DocumentStored, Event, PutDocument, Rejection,
};
use lombard_types::{Position, Revision, StreamName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Api, answer::Answer, authority::Caller, precondition};
use crate::{machine::Reply, problem};

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
    api.put(DocumentKind::StreamSnapshot, stream.as_str(), &headers, &snapshot, &caller, context)
        .await
}

/// The newest snapshot. Needs `events:read` for the stream.
pub(super) async fn read_snapshot(
    State(api): State<Api>,
    caller: Caller,
    Path(stream): Path<String>,
) -> Result<Response, Problem> {
    let stream = readable(&caller, &stream)?;
    api.get(DocumentKind::StreamSnapshot, stream.as_str()).await
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
    api.put(DocumentKind::StreamMetadata, stream.as_str(), &headers, &metadata, &caller, context)
        .await
}

/// A stream's metadata. Needs `events:read` for the stream.
pub(super) async fn read_metadata(
    State(api): State<Api>,
    caller: Caller,
    Path(stream): Path<String>,
) -> Result<Response, Problem> {
    let stream = readable(&caller, &stream)?;
    api.get(DocumentKind::StreamMetadata, stream.as_str()).await
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

impl Api {
    /// Stores a document: 201 the first time, then 204. The same again, after an answer that was lost, is no conflict.
    pub(super) async fn put(
        &self,
        kind: DocumentKind,
        name: &str,
        headers: &HeaderMap,
        document: &(impl Serialize + Sync),
        caller: &Caller,
        context: Context,
    ) -> Result<Response, Problem> {
        let expected = precondition::expected(headers)?;
        let json = serde_json::to_vec(document).map_err(|error| {
            tracing::error!(%error, "failed to write a document");
            Problem::new(&problems::INTERNAL)
        })?;
        let bytes_max = self.config.document_bytes_max;
        if json.len() > bytes_max {
            return Err(problem::document_too_large(json.len(), bytes_max));
        }
        let content = Content(json.into());
        let key = DocumentKey { kind, name: name.into() };
        let evidence = caller.evidence(context)?;
        let put = PutDocument { key: key.clone(), expected, content: content.clone(), evidence };
        match self.writer.submit(Command::Put(put)).await {
            Ok(Committed { position, reply: Reply::Stored(revision), .. }) => {
                Ok(stored(revision, position))
            }
            Ok(_) => {
                tracing::error!("a document was answered as an append");
                Err(Problem::new(&problems::INTERNAL))
            }
            Err(error) => {
                let is_conflict = matches!(
                    &error,
                    lombard_engine::SubmitError::Rejected {
                        rejection: Rejection::WrongDocumentRevision { .. },
                        ..
                    }
                );
                if is_conflict
                    && let Some((current, position)) = self.document(&key).await?
                    && current.content == content
                {
                    return Ok(stored(current.revision, position));
                }
                Err(problem::from_submit_error(error))
            }
        }
    }

    /// A document as it was stored.
    pub(super) async fn get(&self, kind: DocumentKind, name: &str) -> Result<Response, Problem> {
        let key = DocumentKey { kind, name: name.into() };
        let Some((document, position)) = self.document(&key).await? else {
            return Err(problem::document_not_found(&key));
        };
        let body = ([(header::CONTENT_TYPE, "application/json")], document.content.0.into_vec());
        Ok(Answer::new(body).position(Some(position)).revision(document.revision).into_response())
    }

    /// A document's newest durable form, and the record that holds it.
    pub(super) async fn document(
        &self,
        key: &DocumentKey,
    ) -> Result<Option<(DocumentStored, Position)>, Problem> {
        let found = self.reader.index.document_record(key);
        let found = found.map_err(|error| problem::from_query_error(&error.into()))?;
        let Some(record) = found else {
            return Ok(None);
        };
        // One that is being stored is waited for.
        self.reach(Some(record)).await?;
        let stored = self.reader.record(record).await;
        let stored = stored.map_err(|error| problem::from_query_error(&error))?;
        match &stored.event {
            Event::Stored(document) if document.key == *key => Ok(Some((document.clone(), record))),
            _ => Err(problem::not_where_indexed(record)),
        }
    }
}

fn stored(revision: Revision, position: Position) -> Response {
    let status =
        if revision == Revision::START { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    Answer::new(status.into_response()).position(Some(position)).revision(revision).into_response()
}
