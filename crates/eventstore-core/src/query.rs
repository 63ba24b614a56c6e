//! Which events are meant, by type and tags.

use crate::{EventPosition, EventType, Tag};

/// Events of some types with some tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Criterion {
    /// The event has one of these types; empty: any.
    pub types: Vec<EventType>,
    /// The event has all of these tags; empty: any.
    pub tags: Vec<Tag>,
}

impl Criterion {
    /// Whether an event of this type with these tags, which are sorted, is meant.
    pub fn is_met_by(&self, event_type: &EventType, tags: &[Tag]) -> bool {
        (self.types.is_empty() || self.types.contains(event_type))
            && self.tags.iter().all(|tag| tags.binary_search(tag).is_ok())
    }
}

/// Events that meet one of several criteria. Without any criterion, none is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(pub Vec<Criterion>);

impl Query {
    /// Whether an event of this type with these tags, which are sorted, is meant.
    pub fn is_met_by(&self, event_type: &EventType, tags: &[Tag]) -> bool {
        self.0.iter().any(|criterion| criterion.is_met_by(event_type, tags))
    }
}

/// That nothing of a kind has happened since somebody looked: a dynamic consistency boundary.
///
/// The writer reads the events that his decision depends on, remembers the position up to which he has read, and
/// appends on the condition that there is no further one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What the decision depends on.
    pub query: Query,
    /// Up to where the writer knows the events; `None`: there is none.
    pub after: Option<EventPosition>,
}
