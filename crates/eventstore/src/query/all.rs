//! Reads all streams in their common order.

use std::ops::ControlFlow;

use lombard_eventstore_core::{Event, EventPosition, Placed};
use lombard_types::Position;

use super::{Direction, Filter, Horizon, QueryError, Reader, Stored, Taking, records::Records};

/// What to read of all events.
#[derive(Clone, Debug)]
pub(crate) struct AllReading<'a> {
    /// The first to be read; it may be beyond the end.
    pub(crate) from: EventPosition,
    pub(crate) direction: Direction,
    pub(crate) filter: &'a Filter,
    pub(crate) horizon: Horizon,
}

/// Records looked at before the index is asked again.
const LOOKUP_RECORDS: usize = 256;

impl Reader {
    /// Reads until `take` has enough, up to `events_max` events whether they are wanted or not. Answers the position to
    /// go on from; `None` where nothing is left.
    pub(crate) async fn read_all(
        &self,
        reading: AllReading<'_>,
        events_max: usize,
        take: impl Taking,
    ) -> Result<Option<EventPosition>, QueryError> {
        self.read_on(&mut Records::new(self), reading, events_max, take).await
    }

    /// [`Self::read_all`] of a reader who has been reading.
    pub(crate) async fn read_on(
        &self,
        records: &mut Records<'_>,
        reading: AllReading<'_>,
        events_max: usize,
        mut take: impl Taking,
    ) -> Result<Option<EventPosition>, QueryError> {
        let mut next = Some(reading.from);
        let mut left = events_max;
        let mut visit = Visit::default();
        while let Some(from) = next {
            let Some(position) = self.next_record(&mut visit, &reading, from)? else {
                return Ok(None);
            };
            let record = records.get(position, visit.is_run()).await?;
            let Event::Appended(appended) = &record.event else {
                continue;
            };
            let mut placed: Vec<Placed<'_>> = appended.events().collect();
            if reading.direction == Direction::Backwards {
                placed.reverse();
            }
            for placed in placed {
                let is_passed = match reading.direction {
                    Direction::Forwards => placed.position < from,
                    Direction::Backwards => placed.position > from,
                };
                if is_passed {
                    continue;
                }
                if reading.direction == Direction::Forwards
                    && !reading.horizon.includes(placed.position)
                {
                    return Ok(None);
                }
                if left == 0 {
                    return Ok(Some(placed.position));
                }
                left -= 1;
                if reading.horizon.includes(placed.position) && reading.filter.is_met_by(&placed) {
                    let (recorded, evidence) = (record.recorded, &appended.evidence);
                    if let ControlFlow::Break(()) = take(Stored { placed, recorded, evidence }) {
                        return Ok(Some(placed.position));
                    }
                }
                next = match reading.direction {
                    Direction::Forwards => Some(placed.position.next()),
                    Direction::Backwards => {
                        placed.position.get().checked_sub(1).map(EventPosition::new)
                    }
                };
            }
        }
        Ok(None)
    }

    fn next_record(
        &self,
        visit: &mut Visit,
        reading: &AllReading<'_>,
        from: EventPosition,
    ) -> Result<Option<Position>, QueryError> {
        let end = reading.horizon.end;
        loop {
            if let Some(position) = visit.take() {
                match reading.direction {
                    _ if position < end => return Ok(Some(position)),
                    Direction::Forwards => return Ok(None),
                    Direction::Backwards => continue,
                }
            }
            if visit.is_over {
                return Ok(None);
            }
            *visit = self.look_up(visit, reading, from)?;
        }
    }

    /// The next records to look at.
    fn look_up(
        &self,
        visit: &Visit,
        reading: &AllReading<'_>,
        from: EventPosition,
    ) -> Result<Visit, QueryError> {
        let AllReading { direction, filter, horizon, .. } = reading;
        if let Some(query) = &filter.query
            && let Some(selected) =
                self.index.records_of(query, from, *direction, LOOKUP_RECORDS)?
        {
            let records = selected.records.into_iter().rev().collect();
            return Ok(Visit { records, is_over: selected.is_all, last: None });
        }
        let end = horizon.end.get();
        let count = u64::try_from(LOOKUP_RECORDS).unwrap_or(u64::MAX);
        let (first, last) = match (direction, visit.last) {
            (Direction::Forwards, Some(last)) => (last.get() + 1, last.get() + count),
            (Direction::Forwards, None) => {
                let near = self.index.near(from)?.get();
                (near, near.saturating_add(count))
            }
            (Direction::Backwards, Some(last)) => {
                let Some(before) = last.get().checked_sub(1) else {
                    return Ok(Visit { is_over: true, ..Visit::default() });
                };
                (before.saturating_sub(count), before)
            }
            (Direction::Backwards, None) => {
                // The event is in this record or one of the few dozen that follow.
                let near = self.index.near(from)?.get();
                (near.saturating_sub(count), near.saturating_add(count))
            }
        };
        let is_over = match direction {
            Direction::Forwards => last >= end,
            Direction::Backwards => first == 0,
        };
        let records = (first..=last).filter(|record| *record < end).map(Position::new);
        let records: Vec<Position> = match direction {
            Direction::Forwards => records.rev().collect(),
            Direction::Backwards => records.collect(),
        };
        let last = match direction {
            Direction::Forwards => last,
            Direction::Backwards => first,
        };
        Ok(Visit { records, is_over, last: Some(Position::new(last)) })
    }
}

/// Records to be looked at.
#[derive(Debug, Default)]
struct Visit {
    /// The next at the end.
    records: Vec<Position>,
    /// Whether nothing is behind them.
    is_over: bool,
    /// The last of them, where those behind it follow it.
    last: Option<Position>,
}

impl Visit {
    fn take(&mut self) -> Option<Position> {
        self.records.pop()
    }

    /// Whether the record after the one just taken is wanted next.
    fn is_run(&self) -> bool {
        // A sequential reader wants all; one that leaps has its records in memory most of the time.
        self.last.is_some()
    }
}
