//! Data subjects: what is known of one, and erasing one.

use lombard_chassis::{Problem, problems};
use lombard_eventstore_core::{
    Content, DocumentKey, DocumentKind, Evidence, Expected, PutDocument,
};
use lombard_types::{Position, Timestamp};

use super::Api;
use crate::problem;

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
    /// Destroys a subject's key. First the log says so, for ever; a start goes on where this was interrupted. What has
    /// begun is carried out also where the client goes away.
    pub(crate) async fn erase_subject(
        &self,
        subject: &str,
        evidence: Evidence,
    ) -> Result<SubjectState, Problem> {
        let (api, subject) = (self.clone(), subject.to_owned());
        let erasing = async move {
            let key = erased(&subject);
            let content = Content(Box::default());
            api.put(PutDocument { key, expected: Expected::NoStream, content, evidence }).await?;
            api.subject(&subject).await
        };
        tokio::spawn(erasing).await.unwrap_or_else(|error| {
            tracing::error!(%error, "erasing a data subject broke off");
            Err(Problem::new(&problems::INTERNAL))
        })
    }

    /// What is known of a subject. It is told to be erased when its key is: one of whom only the log says so, because that
    /// was interrupted, is erased now.
    pub(crate) async fn subject(&self, subject: &str) -> Result<SubjectState, Problem> {
        if let Some((_, position)) = self.document(&erased(subject)).await? {
            let done = self.keys.erase(subject).await;
            done.map_err(|error| problem::from_subject_keys_error(&error))?;
            let stored = self.reader.record(position).await;
            let stored = stored.map_err(|error| problem::from_query_error(&error))?;
            return Ok(SubjectState::Erased { position, at: stored.recorded.time });
        }
        match self.keys.find(subject) {
            Ok(Some(_)) => Ok(SubjectState::Active),
            Ok(None) => Err(problem::subject_not_found(subject)),
            Err(error) => Err(problem::from_subject_keys_error(&error)),
        }
    }
}

fn erased(subject: &str) -> DocumentKey {
    DocumentKey { kind: DocumentKind::ErasedSubject, name: subject.into() }
}
