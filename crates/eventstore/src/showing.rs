//! From an event as it is stored to what a reader may see of it, for every edge.

use lombard_engine::DecodeError;
use lombard_eventstore_core::{Evidence, Placed};

use crate::{
    cloud_event::EventContent,
    codec::{self, Recorded},
    query::Stored,
};

/// An event as a reader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Shown<'a> {
    /// Id, type and tags, and where it stands.
    pub(crate) placed: Placed<'a>,
    pub(crate) recorded: Recorded,
    /// Who wrote it.
    pub(crate) evidence: &'a Evidence,
    /// The rest. What it holds in `placed` is not for readers.
    pub(crate) content: EventContent<'a>,
}

/// Shows events. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Showing {}

impl Showing {
    /// What a reader sees of an event. The error is a defect or damage.
    #[expect(clippy::unused_self, reason = "every edge goes through it, whatever it will need")]
    pub(crate) fn show<'a>(&self, stored: Stored<'a>) -> Result<Shown<'a>, DecodeError> {
        let Stored { placed, recorded, evidence } = stored;
        let content = codec::decode_content(&placed.event.content)?;
        Ok(Shown { placed, recorded, evidence, content })
    }
}
