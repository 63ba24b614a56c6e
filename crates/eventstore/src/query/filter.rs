//! Which of the events that stand in the way are wanted.

use lombard_eventstore_core::{Placed, Query};

/// What a reader wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Events of streams whose name begins so.
    pub(crate) stream_prefix: Option<Box<str>>,
    /// Events that meet one of these; `None`: any.
    pub(crate) query: Option<Query>,
}

impl Filter {
    pub(crate) fn is_met_by(&self, placed: &Placed<'_>) -> bool {
        let is_stream_met = self
            .stream_prefix
            .as_deref()
            .is_none_or(|prefix| placed.stream.as_str().starts_with(prefix));
        let event = placed.event;
        is_stream_met
            && self
                .query
                .as_ref()
                .is_none_or(|query| query.is_met_by(&event.event_type, &event.tags))
    }
}
