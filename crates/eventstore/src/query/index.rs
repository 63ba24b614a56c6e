//! Where events stand in the log: 16 bytes for each record, 16 for each append to a stream, and the names of streams.
//! The events themselves stay in the log.

use std::{collections::BTreeMap, ops::Bound};

use lombard_engine::{At, View};
use lombard_eventstore_core::{Appended, EventPosition};
use lombard_types::{Position, Revision, StreamName};

/// The index over all events. Follows the log.
#[derive(Debug, Default)]
pub struct EventIndex {
    /// In order of both fields.
    records: Vec<RecordStart>,
    streams: BTreeMap<StreamName, Stream>,
    next_position: EventPosition,
}

/// A record that holds events: those from `first` to before the next record's.
#[derive(Clone, Copy, Debug)]
struct RecordStart {
    record: Position,
    first: EventPosition,
}

#[derive(Debug)]
struct Stream {
    /// In order of both fields. Events of one run follow each other in both counts.
    runs: Vec<Run>,
    next_revision: Revision,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    revision: Revision,
    position: EventPosition,
}

/// An event, and where it is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// Its position among all events.
    pub position: EventPosition,
    /// The record that holds it.
    pub record: Position,
}

/// What is known of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSummary {
    /// Its name.
    pub stream: StreamName,
    /// The revision of its last event.
    pub last_revision: Revision,
    /// The position of its last event.
    pub last_position: EventPosition,
}

impl View for EventIndex {
    type Event = Appended;

    fn apply(&mut self, appended: &Appended, at: At) {
        let mut position = appended.first_position;
        if self.records.last().is_none_or(|last| last.record != at.position) {
            self.records.push(RecordStart { record: at.position, first: position });
        }
        for part in &appended.streams {
            let count = u64::try_from(part.events.len()).unwrap_or(u64::MAX);
            self.extend(&part.stream, Run { revision: part.first_revision, position }, count);
            position = position.plus(count);
        }
        self.next_position = position;
    }
}

impl EventIndex {
    fn extend(&mut self, name: &StreamName, run: Run, count: u64) {
        let next_revision = run.revision.plus(count);
        match self.streams.get_mut(name) {
            None => {
                let stream = Stream { runs: vec![run], next_revision };
                self.streams.insert(name.clone(), stream);
            }
            Some(stream) => {
                // Appends to one stream with nothing in between are one run.
                let continues = stream
                    .runs
                    .last()
                    .is_some_and(|last| position_in(*last, run.revision) == run.position);
                if !continues {
                    stream.runs.push(run);
                }
                stream.next_revision = next_revision;
            }
        }
    }

    /// How many streams there are.
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// How many events there are, which is also the position that the next one gets.
    pub fn next_position(&self) -> EventPosition {
        self.next_position
    }

    /// A stream's last revision; `None` where it does not exist.
    pub fn last_revision(&self, stream: &StreamName) -> Option<Revision> {
        self.streams.get(stream)?.next_revision.previous()
    }

    /// Up to `limit` events of a stream from a revision on.
    pub fn forwards(&self, stream: &StreamName, from: Revision, limit: usize) -> Vec<Located> {
        let Some(stream) = self.streams.get(stream) else {
            return Vec::new();
        };
        (from.get()..stream.next_revision.get())
            .take(limit)
            .filter_map(|revision| self.locate(stream.position(Revision::new(revision))?))
            .collect()
    }

    /// Up to `limit` events of a stream from a revision back.
    pub fn backwards(&self, stream: &StreamName, from: Revision, limit: usize) -> Vec<Located> {
        let Some((stream, last)) = self
            .streams
            .get(stream)
            .and_then(|stream| Some((stream, stream.next_revision.previous()?)))
        else {
            return Vec::new();
        };
        (0..=from.min(last).get())
            .rev()
            .take(limit)
            .filter_map(|revision| self.locate(stream.position(Revision::new(revision))?))
            .collect()
    }

    /// Up to `limit` events of all streams from a position on.
    pub fn all(&self, from: EventPosition, limit: usize) -> Vec<Located> {
        (from.get()..self.next_position.get())
            .take(limit)
            .filter_map(|position| self.locate(EventPosition::new(position)))
            .collect()
    }

    /// The streams whose name begins with `prefix` and comes after `after`, in order of name.
    pub fn streams<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = StreamSummary> + 'a {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.streams
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(name, _)| name.as_str().starts_with(prefix))
            .filter_map(|(name, stream)| {
                let last_revision = stream.next_revision.previous()?;
                Some(StreamSummary {
                    stream: name.clone(),
                    last_revision,
                    last_position: stream.position(last_revision)?,
                })
            })
    }

    fn locate(&self, position: EventPosition) -> Option<Located> {
        let after = self.records.partition_point(|record| record.first <= position);
        let record = self.records.get(after.checked_sub(1)?)?.record;
        Some(Located { position, record })
    }
}

impl Stream {
    fn position(&self, revision: Revision) -> Option<EventPosition> {
        let after = self.runs.partition_point(|run| run.revision <= revision);
        let run = self.runs.get(after.checked_sub(1)?)?;
        Some(position_in(*run, revision))
    }
}

/// Where an event of this revision stands, if it belongs to the run.
fn position_in(run: Run, revision: Revision) -> EventPosition {
    run.position.plus(revision.since(run.revision))
}

#[cfg(test)]
mod tests;
