//! Data subjects: what is known of one, and erasing one.

use lombard_chassis::{Problem, problems};
use lombard_eventstore_core::{
    Content, DocumentKey, DocumentKind, Evidence, Expected, PutDocument,
};
use lombard_types::{Position, Timestamp};

use super::Api;
use crate::{problem, subjects::SubjectKey};

/// What became of a data subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubjectState {
    Active,
    /// Said by this record.
    Erased {
        position: Position,
        at: Timestamp,
    },
}

impl Api {
    /// Destroys a subject's key. First the log says so, for ever; a start goes on where this was interrupted.
    pub(crate) async fn erase_subject(
        &self,
        subject: &str,
        evidence: Evidence,
    ) -> Result<SubjectState, Problem> {
        let key = erased(subject);
        let content = Content(Box::default());
        self.put(PutDocument { key, expected: Expected::NoStream, content, evidence }).await?;
        let (keys, name) = (self.keys.clone(), subject.to_owned());
        let erase = move || keys.erase(std::iter::once(name.as_str()));
        let done = tokio::task::spawn_blocking(erase).await.map_err(|error| {
            tracing::error!(%error, "erasing a data subject broke off");
            Problem::new(&problems::INTERNAL)
        })?;
        done.map_err(|error| problem::from_subject_keys_error(&error))?;
        self.subject(subject).await
    }

    /// What is known of a subject.
    pub(crate) async fn subject(&self, subject: &str) -> Result<SubjectState, Problem> {
        if let Some((_, position)) = self.document(&erased(subject)).await? {
            let stored = self.reader.record(position).await;
            let stored = stored.map_err(|error| problem::from_query_error(&error))?;
            return Ok(SubjectState::Erased { position, at: stored.recorded.time });
        }
        match self.keys.find(subject) {
            Ok(Some(SubjectKey::Live(_) | SubjectKey::Erased)) => Ok(SubjectState::Active),
            Ok(None) => Err(problem::subject_not_found(subject)),
            Err(error) => Err(problem::from_subject_keys_error(&error)),
        }
    }
}

fn erased(subject: &str) -> DocumentKey {
    DocumentKey { kind: DocumentKind::ErasedSubject, name: subject.into() }
}
