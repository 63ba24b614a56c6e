//! Reads at a start what the role has to know of the documents in its log.

use lombard_eventstore_core::{DocumentKind, DocumentStored, Event};
use lombard_log::{ReadError, SharedLog};
use lombard_types::Position;

use crate::{
    codec::{self, Recorded},
    index::{EventIndex, blocking},
    schema::Schemas,
    subjects::SubjectKeys,
};

/// Documents read at once.
const CHUNK: usize = 1000;

/// The documents of the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// The index that says where they are.
    #[error("failed to look up documents")]
    Index(#[from] lombard_index::ReadError),
    /// The log that holds them.
    #[error("failed to read a document")]
    Log(#[from] ReadError),
    /// The key of an erased subject could not be destroyed again.
    #[error("failed to destroy the key of an erased data subject: {cause}")]
    Erase {
        /// Why.
        cause: String,
    },
    /// A record that is not what the index says.
    #[error("record {record} holds no document")]
    Malformed {
        /// The record.
        record: Position,
    },
}

/// Makes known the schemas that are in the index. Those behind it are learned when the log is replayed.
pub(crate) fn learn_schemas(
    schemas: &Schemas,
    index: &EventIndex,
    log: &SharedLog,
) -> Result<(), DocumentsError> {
    each(index, log, DocumentKind::Schema, Position::START, |stored, recorded| {
        schemas.learn(&stored, recorded.position, recorded.time);
    })
}

/// Destroys the keys of all subjects that the log says are erased, as far as they are there: the file of keys may be
/// older than the log.
pub(crate) fn erase_subjects(
    keys: &SubjectKeys,
    index: &EventIndex,
    log: &SharedLog,
) -> Result<(), DocumentsError> {
    let mut erased = Ok(());
    let erase = |stored: DocumentStored, _| {
        if erased.is_ok() {
            erased = keys.erase_all(std::iter::once(&*stored.key.name));
        }
    };
    each(index, log, DocumentKind::ErasedSubject, Position::START, erase)?;
    erased.map_err(|error| DocumentsError::Erase { cause: error.to_string() })
}

/// Tells of each document of a kind from a record on, in their order. Blocks.
pub(crate) fn each(
    index: &EventIndex,
    log: &SharedLog,
    kind: DocumentKind,
    from: Position,
    mut tell: impl FnMut(DocumentStored, Recorded),
) -> Result<(), DocumentsError> {
    let mut from = from;
    loop {
        let positions = index.catalog(kind, from, CHUNK)?;
        let Some(last) = positions.last() else { return Ok(()) };
        from = last.next();
        for record in blocking::read_each(log, &positions)? {
            let malformed = DocumentsError::Malformed { record: record.position };
            match codec::decode_record(&record) {
                Ok(decoded) => match decoded.event {
                    Event::Stored(stored) => tell(stored, decoded.recorded),
                    Event::Appended(_) => return Err(malformed),
                },
                Err(_) => return Err(malformed),
            }
        }
    }
}
