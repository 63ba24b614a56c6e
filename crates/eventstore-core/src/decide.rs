//! Decides commands.

use std::collections::BTreeSet;

use lombard_types::{Position, Revision, StreamName};

use crate::{
    Append, Appended, Command, Condition, DocumentStored, Event, EventPosition, Past, PutDocument,
    Rejection, StreamAppend, StreamAppended, Unreadable,
};

/// What one append may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams of one append.
    pub append_streams_max: usize,
    /// Events of one append, over all its streams.
    pub append_events_max: usize,
}

/// The outcome of a command that was not rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This happens.
    Commit(Event, Reply),
    /// An event of the append has happened before, in this record: either the whole append is a retry, or an id is used
    /// twice. [`Appended::repeated_by`] tells.
    Recorded(Position, Append),
}

/// What the caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Where the events of an append stand: one for each stream, in the append's order.
    Appended(Vec<StreamRange>),
    /// The revision of the document that was stored.
    Stored(Revision),
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

/// What would happen. [`Rejection`] documents which one is answered where several apply.
pub fn decide(past: &impl Past, limits: Limits, command: Command) -> Result<Decision, Rejection> {
    match command {
        Command::Append(append) => decide_append(past, limits, append),
        Command::Put(put) => decide_put(past, put),
    }
}

fn decide_append(past: &impl Past, limits: Limits, append: Append) -> Result<Decision, Rejection> {
    check_form(limits, &append)?;
    if let Some(record) = record_of_any(past, &append)? {
        return Ok(Decision::Recorded(record, append));
    }
    let mut first_revisions = Vec::with_capacity(append.streams.len());
    for StreamAppend { stream, expected, .. } in &append.streams {
        let actual = past.last_revision(stream)?;
        if !expected.is_met(actual) {
            let (stream, expected) = (stream.clone(), *expected);
            return Err(Rejection::WrongExpectedRevision { stream, expected, actual });
        }
        first_revisions.push(actual.map_or(Revision::START, Revision::next));
    }
    if let Some(condition) = &append.condition {
        check_condition(past, condition)?;
    }
    let Append { streams, evidence, .. } = append;
    let added = |(part, first_revision): (StreamAppend, Revision)| {
        let StreamAppend { stream, events, .. } = part;
        StreamAppended { stream, first_revision, events }
    };
    let streams = streams.into_iter().zip(first_revisions).map(added).collect();
    let appended = Appended { first_position: past.next_position(), streams, evidence };
    let reply = Reply::Appended(appended.ranges());
    Ok(Decision::Commit(Event::Appended(appended), reply))
}

fn record_of_any(past: &impl Past, append: &Append) -> Result<Option<Position>, Unreadable> {
    for event in append.events() {
        if let Some(record) = past.record_of(event.id)? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

fn check_form(limits: Limits, append: &Append) -> Result<(), Rejection> {
    let is_empty = |part: &StreamAppend| part.events.is_empty();
    if append.streams.is_empty() || append.streams.iter().any(is_empty) {
        return Err(Rejection::NoEvents);
    }
    let (count, count_max) = (append.streams.len(), limits.append_streams_max);
    if count > count_max {
        return Err(Rejection::TooManyStreams { count, count_max });
    }
    let (count, count_max) = (append.events().count(), limits.append_events_max);
    if count > count_max {
        return Err(Rejection::TooManyEvents { count, count_max });
    }
    if append.streams.len() > 1 {
        let mut streams = BTreeSet::new();
        for part in &append.streams {
            if !streams.insert(&part.stream) {
                return Err(Rejection::StreamRepeated { stream: part.stream.clone() });
            }
        }
    }
    // Ids in ascending order, as clients make them, are compared with their neighbour only.
    let is_ascending = || append.events().zip(append.events().skip(1)).all(|(a, b)| a.id < b.id);
    if count > 1 && !is_ascending() {
        let mut ids = BTreeSet::new();
        for event in append.events() {
            if !ids.insert(event.id) {
                return Err(Rejection::EventIdRepeated { id: event.id });
            }
        }
    }
    Ok(())
}

fn check_condition(past: &impl Past, condition: &Condition) -> Result<(), Rejection> {
    let from = condition.after.map_or(EventPosition::START, EventPosition::next);
    for criterion in &condition.query.0 {
        if let Some(position) = past.find(criterion, from)? {
            return Err(Rejection::ConditionFailed { position });
        }
    }
    Ok(())
}

fn decide_put(past: &impl Past, put: PutDocument) -> Result<Decision, Rejection> {
    let PutDocument { key, expected, content, evidence } = put;
    let actual = past.document(&key)?;
    if !expected.is_met(actual) {
        return Err(Rejection::WrongDocumentRevision { key, expected, actual });
    }
    let revision = actual.map_or(Revision::START, Revision::next);
    let stored = DocumentStored { key, revision, content, evidence };
    Ok(Decision::Commit(Event::Stored(stored), Reply::Stored(revision)))
}

impl Appended {
    /// Where its events stand, one range for each stream.
    pub fn ranges(&self) -> Vec<StreamRange> {
        let mut position = self.first_position;
        let range = |part: &StreamAppended| {
            let first_position = position;
            position = first_position.plus(part.event_count());
            let rest = part.event_count().saturating_sub(1);
            StreamRange {
                stream: part.stream.clone(),
                first_revision: part.first_revision,
                last_revision: part.first_revision.plus(rest),
                first_position,
                last_position: first_position.plus(rest),
            }
        };
        self.streams.iter().map(range).collect()
    }
}
