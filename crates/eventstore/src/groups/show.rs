//! Reading the events that were delivered.

use std::ops::ControlFlow;

use lombard_chassis::Problem;
use lombard_eventstore_core::{
    EventPosition,
    group::{Delivery, Receipt},
};
use lombard_types::{GroupName, Timestamp};

use super::{ConsumerGroups, key::delivery_id};
use crate::{
    problem,
    query::{AllReading, Direction, Filter, Horizon, QueryError, Stored},
    showing::Shown,
};

/// How an edge writes an event.
pub(crate) type Write<E> = fn(&Shown<'_>) -> E;

/// Events that are passed over rather than looked up again.
const GAP_EVENTS_MAX: u64 = 64;

/// A delivery as a consumer gets it.
#[derive(Clone, Debug)]
pub(crate) struct Delivered<E> {
    /// The same for every attempt.
    pub(crate) id: String,
    pub(crate) receipt: Receipt,
    pub(crate) deadline: Timestamp,
    pub(crate) event: E,
}

/// An event of the group, and its delivery's id.
#[derive(Clone, Debug)]
pub(crate) struct ShownEvent<E> {
    pub(crate) id: String,
    pub(crate) event: E,
}

impl ConsumerGroups {
    pub(super) async fn show<E: Send>(
        &self,
        group: &GroupName,
        deliveries: Vec<Delivery>,
        write: Write<E>,
    ) -> Result<Vec<Delivered<E>>, Problem> {
        let positions: Vec<_> = deliveries.iter().map(|it| it.receipt.position).collect();
        let events = self.events(group, &positions, write).await?;
        let show = |(delivery, shown): (Delivery, ShownEvent<E>)| {
            let Delivery { receipt, deadline } = delivery;
            Delivered { id: shown.id, receipt, deadline, event: shown.event }
        };
        Ok(deliveries.into_iter().zip(events).map(show).collect())
    }

    /// The events at these positions, which are in order and durable.
    pub(crate) async fn events<E: Send>(
        &self,
        group: &GroupName,
        positions: &[EventPosition],
        write: Write<E>,
    ) -> Result<Vec<ShownEvent<E>>, Problem> {
        let mut shown = Vec::with_capacity(positions.len());
        while let Some(&from) = positions.get(shown.len()) {
            let before = shown.len();
            let run = run_of(positions.get(before..).unwrap_or_default());
            let read = self.read_run(group, (from, run), write, &mut shown).await;
            read.map_err(|error| problem::from_query_error(&error))?;
            if shown.len() == before {
                tracing::error!(position = %from, "an event of a group's window is not in the log");
                return Err(Problem::new(&lombard_chassis::problems::INTERNAL));
            }
        }
        Ok(shown)
    }

    async fn read_run<E: Send>(
        &self,
        group: &GroupName,
        (from, run): (EventPosition, &[EventPosition]),
        write: Write<E>,
        shown: &mut Vec<ShownEvent<E>>,
    ) -> Result<(), QueryError> {
        let mut wanted = run.iter().copied().peekable();
        let mut failed = None;
        let take = |stored: Stored<'_>| {
            let Some(next) = wanted.peek() else { return ControlFlow::Break(()) };
            if stored.placed.position != *next {
                return ControlFlow::Continue(());
            }
            wanted.next();
            match self.showing.show(stored) {
                Ok(visible) => {
                    let (id, event) = (delivery_id(group, stored.placed.event.id), write(&visible));
                    shown.push(ShownEvent { id, event });
                }
                Err(source) => {
                    let record = stored.recorded.position;
                    failed = Some(QueryError::Show { record, source });
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        };
        let span = run.last().map_or(1, |last| last.since(from) + 1);
        let events_max = usize::try_from(span).unwrap_or(usize::MAX);
        let horizon = Horizon { end: self.reader.durable(), until: run.last().copied() };
        let (direction, filter) = (Direction::Forwards, &Filter::default());
        let reading = AllReading { from, direction, filter, horizon };
        self.reader.read_all(reading, events_max, take).await?;
        failed.map_or(Ok(()), Err)
    }
}

/// The first positions, as far as they lie close together.
fn run_of(positions: &[EventPosition]) -> &[EventPosition] {
    let gap = positions.array_windows().position(|[one, next]| next.since(*one) > GAP_EVENTS_MAX);
    gap.and_then(|last| positions.get(..=last)).unwrap_or(positions)
}
