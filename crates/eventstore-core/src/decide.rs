//! Decides appends.

use std::collections::BTreeSet;

use lombard_types::{Revision, StreamName};

use crate::{
    Append, Appended, EventPosition, Recorded, Rejection, Reuse, Store, StreamAppend,
    StreamAppended,
};

/// The outcome of an append that was not rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This happens.
    Commit(Appended, AppendReply),
    /// It happened before; nothing new does.
    Answer(AppendReply),
}

/// Where the events of an append stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendReply {
    /// One for each stream, in the append's order.
    pub streams: Vec<StreamRange>,
    /// For a retry: where and when the events were recorded the first time.
    pub earlier: Option<Recorded>,
}

/// Where the events that an append added to one stream stand; both ends are included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRange {
    /// The stream.
    pub stream: StreamName,
    /// The revision of the first of them.
    pub first_revision: Revision,
    /// The revision of the last of them.
    pub last_revision: Revision,
    /// The position of the first of them.
    pub first_position: EventPosition,
    /// The position of the last of them.
    pub last_position: EventPosition,
}

impl StreamRange {
    /// A range that begins here and is as long as the append's list of events, which is not empty.
    fn of(append: &StreamAppend, revision: Revision, position: EventPosition) -> Self {
        let rest = u64::try_from(append.events.len()).unwrap_or(u64::MAX).saturating_sub(1);
        Self {
            stream: append.stream.clone(),
            first_revision: revision,
            last_revision: revision.plus(rest),
            first_position: position,
            last_position: position.plus(rest),
        }
    }
}

impl Store {
    /// What would happen. [`Rejection`] documents which one is answered where several apply.
    pub fn decide(&self, append: Append) -> Result<Decision, Rejection> {
        self.check_form(&append)?;
        if let Some(reply) = self.earlier_reply(&append)? {
            return Ok(Decision::Answer(reply));
        }
        self.check_expected(&append)?;
        Ok(self.commit(append))
    }

    fn check_form(&self, append: &Append) -> Result<(), Rejection> {
        let is_empty = |part: &StreamAppend| part.events.is_empty();
        if append.streams.is_empty() || append.streams.iter().any(is_empty) {
            return Err(Rejection::NoEvents);
        }
        let (count, count_max) = (append.streams.len(), self.limits.append_streams_max);
        if count > count_max {
            return Err(Rejection::TooManyStreams { count, count_max });
        }
        let (count, count_max) = (append.events().count(), self.limits.append_events_max);
        if count > count_max {
            return Err(Rejection::TooManyEvents { count, count_max });
        }
        let mut streams = BTreeSet::new();
        for part in &append.streams {
            if !streams.insert(&part.stream) {
                return Err(Rejection::StreamRepeated { stream: part.stream.clone() });
            }
        }
        let mut ids = BTreeSet::new();
        for event in append.events() {
            if !ids.insert(event.id) {
                return Err(Rejection::EventIdRepeated { id: event.id });
            }
        }
        Ok(())
    }

    /// The first answer, where this append happened before; a rejection where any of its ids is spent otherwise.
    fn earlier_reply(&self, append: &Append) -> Result<Option<AppendReply>, Rejection> {
        let Some((id, known)) =
            append.events().find_map(|event| Some((event.id, self.known(event.id)?)))
        else {
            return Ok(None);
        };
        let reused = |id, how| Rejection::EventIdReused { id, how };
        let Some(earlier) = self.append_of(known.position) else {
            return Err(reused(id, Reuse::OtherAppend));
        };
        let mut position = earlier.first;
        for event in append.events() {
            let known = self.known(event.id);
            if known.is_some_and(|known| known.digest != event.digest) {
                return Err(reused(event.id, Reuse::OtherContent));
            }
            if known.is_none_or(|known| known.position != position) {
                return Err(reused(id, Reuse::OtherAppend));
            }
            position = position.next();
        }
        if position != earlier.end {
            return Err(reused(id, Reuse::OtherAppend));
        }
        let ranges = append.streams.iter().filter_map(|part| {
            let first = self.known(part.events.first()?.id)?;
            Some(StreamRange::of(part, first.revision, first.position))
        });
        Ok(Some(AppendReply { streams: ranges.collect(), earlier: Some(earlier.recorded) }))
    }

    fn check_expected(&self, append: &Append) -> Result<(), Rejection> {
        for StreamAppend { stream, expected, .. } in &append.streams {
            let actual = self.last_revision(stream);
            if !expected.is_met(actual) {
                let (stream, expected) = (stream.clone(), *expected);
                return Err(Rejection::WrongExpectedRevision { stream, expected, actual });
            }
        }
        Ok(())
    }

    fn commit(&self, append: Append) -> Decision {
        let first_position = self.next_position();
        let mut position = first_position;
        let mut ranges = Vec::with_capacity(append.streams.len());
        let mut streams = Vec::with_capacity(append.streams.len());
        for part in append.streams {
            let first_revision =
                self.last_revision(&part.stream).map_or(Revision::START, Revision::next);
            let range = StreamRange::of(&part, first_revision, position);
            position = range.last_position.next();
            ranges.push(range);
            let StreamAppend { stream, events, .. } = part;
            streams.push(StreamAppended { stream, first_revision, events });
        }
        let appended = Appended { first_position, streams, evidence: append.evidence };
        Decision::Commit(appended, AppendReply { streams: ranges, earlier: None })
    }
}
