//! What is kept beside the events: small texts with a name, of which the newest counts.

use lombard_types::Revision;

use crate::{Content, Evidence, Expected};

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// A stream's state at one of its revisions, made by the stream's owner so as not to read all its events.
    StreamSnapshot,
    /// What a stream's owner notes of it.
    StreamMetadata,
    /// What the events of one type must look like, and how older ones are brought into that form.
    Schema,
    /// That a subject's key is destroyed.
    ErasedSubject,
}

/// Names a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey {
    /// What it is about.
    pub kind: DocumentKind,
    /// Of whom or what: a stream, an event type, a subject.
    pub name: Box<str>,
}

/// Stores a document in place of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutDocument {
    /// Which.
    pub key: DocumentKey,
    /// What its revision must be.
    pub expected: Expected,
    /// The document as the shell wrote it.
    pub content: Content,
    /// Who asked.
    pub evidence: Evidence,
}

/// A document was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentStored {
    /// Which.
    pub key: DocumentKey,
    /// How often it had been stored before.
    pub revision: Revision,
    /// The document.
    pub content: Content,
    /// Who asked.
    pub evidence: Evidence,
}
