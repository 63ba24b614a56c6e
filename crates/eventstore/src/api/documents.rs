//! What is kept beside the events.

use lombard_chassis::{Problem, problems};
use lombard_engine::{Committed, SubmitError};
use lombard_eventstore_core::{
    Command, DocumentKey, DocumentStored, Event, PutDocument, Rejection,
};
use lombard_types::{Position, Revision};

use super::Api;
use crate::{machine::Reply, problem};

/// Where a document is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) revision: Revision,
    /// The record of the log that holds it.
    pub(crate) position: Position,
}

impl Api {
    /// Stores a document. The same again, after an answer that was lost, is no conflict.
    pub(crate) async fn put(&self, put: PutDocument) -> Result<Stored, Problem> {
        let (bytes, bytes_max) = (put.content.0.len(), self.config.document_bytes_max);
        if bytes > bytes_max {
            return Err(problem::document_too_large(bytes, bytes_max));
        }
        let (key, content) = (put.key.clone(), put.content.clone());
        match self.writer.submit(Command::Put(put)).await {
            Ok(Committed { position, reply: Reply::Stored(revision), .. }) => {
                Ok(Stored { revision, position })
            }
            Ok(_) => {
                tracing::error!("a document was answered as an append");
                Err(Problem::new(&problems::INTERNAL))
            }
            Err(error) => {
                let is_conflict = matches!(
                    &error,
                    SubmitError::Rejected {
                        rejection: Rejection::WrongDocumentRevision { .. },
                        ..
                    }
                );
                if is_conflict
                    && let Some((current, position)) = self.document(&key).await?
                    && current.content == content
                {
                    return Ok(Stored { revision: current.revision, position });
                }
                Err(problem::from_submit_error(error))
            }
        }
    }

    /// A document's newest durable form, and the record that holds it.
    pub(crate) async fn document(
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
