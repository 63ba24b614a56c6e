//! What happened: the only thing that is stored.

use lombard_types::{Revision, StreamName};

use crate::{EventPosition, Evidence, NewEvent};

/// One append, whole. It says where its events stand, so that it can be read by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The position of its first event; the others follow without a gap, in the order of `streams`.
    pub first_position: EventPosition,
    /// What was added to which stream.
    pub streams: Vec<StreamAppended>,
    /// Who asked.
    pub evidence: Evidence,
}

/// What was added to one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamAppended {
    /// The stream.
    pub stream: StreamName,
    /// The revision of the first event; the others follow without a gap.
    pub first_revision: Revision,
    /// The events.
    pub events: Vec<NewEvent>,
}
