//! Reads one stream.

use std::ops::ControlFlow;

use lombard_eventstore_core::{Event, Placed};
use lombard_types::{Revision, StreamName};

use super::{Direction, Filter, Horizon, QueryError, Reader, Stored, Taking, records::Records};

/// What to read of a stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamReading<'a> {
    pub(crate) stream: &'a StreamName,
    /// The first to be read; it may be beyond the stream's end.
    pub(crate) from: Revision,
    pub(crate) direction: Direction,
    pub(crate) filter: &'a Filter,
    pub(crate) horizon: Horizon,
}

/// Events whose places are looked up at a time.
const LOOKUP_EVENTS: usize = 1000;

impl Reader {
    /// Reads until `take` has enough, up to `events_max` events whether they are wanted or not. Answers the revision to
    /// go on from; `None` where nothing is left.
    pub(crate) async fn read_stream(
        &self,
        reading: StreamReading<'_>,
        events_max: usize,
        take: impl Taking,
    ) -> Result<Option<Revision>, QueryError> {
        self.read_stream_on(&mut Records::new(self), reading, events_max, take).await
    }

    /// [`Self::read_stream`] of a reader who has been reading.
    pub(crate) async fn read_stream_on(
        &self,
        records: &mut Records<'_>,
        reading: StreamReading<'_>,
        events_max: usize,
        mut take: impl Taking,
    ) -> Result<Option<Revision>, QueryError> {
        let StreamReading { stream, from, direction, filter, horizon } = reading;
        let mut next = Some(from);
        let mut left = events_max;
        while let Some(from) = next {
            let lookup = left.min(LOOKUP_EVENTS);
            let chunks = match direction {
                Direction::Forwards => self.index.forwards(stream, from, lookup, horizon.end)?,
                Direction::Backwards => self.index.backwards(stream, from, lookup, horizon.end)?,
            };
            if chunks.is_empty() {
                return Ok(None);
            }
            for (at, chunk) in chunks.iter().enumerate() {
                let after = chunks.get(at + 1);
                let is_run = after.is_some_and(|after| after.record == chunk.record.next());
                let record = records.get(chunk.record, is_run).await?;
                let Event::Appended(appended) = &record.event else {
                    return Err(QueryError::Missing { record: chunk.record });
                };
                let of_stream = |placed: &Placed<'_>| placed.stream == stream;
                let mut placed: Vec<Placed<'_>> = appended.events().filter(of_stream).collect();
                if direction == Direction::Backwards {
                    placed.reverse();
                }
                for placed in placed {
                    let is_passed = match direction {
                        Direction::Forwards => placed.revision < from,
                        Direction::Backwards => placed.revision > from,
                    };
                    if is_passed {
                        continue;
                    }
                    if direction == Direction::Forwards && !horizon.includes(placed.position) {
                        return Ok(None);
                    }
                    if left == 0 {
                        return Ok(Some(placed.revision));
                    }
                    left -= 1;
                    if horizon.includes(placed.position) && filter.is_met_by(&placed) {
                        let (recorded, evidence) = (record.recorded, &appended.evidence);
                        let stored = Stored { placed, recorded, evidence };
                        if let ControlFlow::Break(()) = take(stored) {
                            return Ok(Some(placed.revision));
                        }
                    }
                    next = match direction {
                        Direction::Forwards => Some(placed.revision.next()),
                        Direction::Backwards => placed.revision.previous(),
                    };
                }
            }
        }
        Ok(None)
    }
}
