//! Reads events ahead of the consumers, into a group's window.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
};

use lombard_chassis::Problem;
use lombard_engine::SubmitError;
use lombard_eventstore_core::{
    EventPosition,
    group::{Command, Found, Read, Rejection, Settings, Supply},
};
use lombard_types::GroupName;
use tokio::sync::Notify;

use super::{ConsumerGroups, key::key_of};
use crate::{
    problem,
    query::{AllReading, Direction, Filter, Horizon, QueryError, Stored},
};

/// Events that were looked at without finding one, after which that is recorded: what a restart looks at again.
const UNRECORDED_EVENTS_MAX: u64 = 10_000;

/// Where the consumers of one group wait, and how far events were looked at for them.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    changed: Notify,
    /// Held by the one who reads for all. In it: the group, and where looking goes on.
    looked: tokio::sync::Mutex<(u64, EventPosition)>,
    /// The same, for metrics.
    looked_at: AtomicU64,
}

impl Wake {
    /// Something may be deliverable that was not.
    pub(crate) fn notify(&self) {
        self.changed.notify_waiters();
    }

    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    pub(super) fn looked_at(&self) -> EventPosition {
        EventPosition::new(self.looked_at.load(Ordering::Relaxed))
    }
}

/// What was found on a way through the events.
struct Search {
    found: Vec<Found>,
    /// Where to go on.
    to: EventPosition,
}

impl ConsumerGroups {
    /// Returns when events have come into the group's window, or there were some that could be delivered already; at the
    /// end of what there is it waits, or not. Of several callers one reads, for all.
    pub(super) async fn supply(
        &self,
        group: &GroupName,
        wake: &Wake,
        may_wait: bool,
    ) -> Result<(), Problem> {
        let mut looked = wake.looked.lock().await;
        let mut durable = self.reader.log.durable();
        loop {
            durable.borrow_and_update();
            let Some((supply, settings)) = self.wanted(group).await? else {
                return Ok(());
            };
            if supply.ready > 0 || supply.room == 0 {
                return Ok(());
            }
            if looked.0 != supply.epoch {
                *looked = (supply.epoch, supply.from);
            }
            let from = looked.1.max(supply.from);
            let end = self.end().await?;
            if from >= end {
                wake.looked_at.store(from.get(), Ordering::Relaxed);
                if !may_wait {
                    return Ok(());
                }
                // A log that ends ends the wait with the next question to the writer.
                drop(durable.changed().await);
                continue;
            }
            let count = supply.room.min(self.config.group_read_ahead_events);
            let search = self.search(&settings, from, end, count).await;
            let search = search.map_err(|error| problem::from_query_error(&error))?;
            looked.1 = search.to;
            wake.looked_at.store(search.to.get(), Ordering::Relaxed);
            let has_found = !search.found.is_empty();
            if !has_found && search.to.since(supply.from) < UNRECORDED_EVENTS_MAX {
                continue;
            }
            let is_recorded = self.record(group, supply, search).await?;
            if is_recorded && has_found {
                wake.notify();
                return Ok(());
            }
        }
    }

    /// What the group could take in; `None` when it is gone.
    async fn wanted(&self, group: &GroupName) -> Result<Option<(Supply, Settings)>, Problem> {
        let (group, window_max) = (group.clone(), self.config.group_window_events_max);
        let now = super::pull::now();
        self.ask(move |groups| {
            let group = groups.get(&group)?;
            Some((group.supply(now, window_max), group.settings().clone()))
        })
        .await
    }

    /// Looks for up to `count` events of a group.
    async fn search(
        &self,
        settings: &Settings,
        from: EventPosition,
        end: EventPosition,
        count: usize,
    ) -> Result<Search, QueryError> {
        let filter = Filter {
            stream_prefix: settings.filter.stream_prefix.clone(),
            query: settings.filter.query.clone(),
        };
        let until = end.get().checked_sub(1).map(EventPosition::new);
        let horizon = Horizon { end: self.reader.durable(), until };
        let reading = AllReading { from, direction: Direction::Forwards, filter: &filter, horizon };
        let (mut found, mut failed) = (Vec::new(), None);
        let take = |stored: Stored<'_>| {
            if found.len() == count {
                return ControlFlow::Break(());
            }
            let position = stored.placed.position;
            match self.showing.show(stored) {
                Ok(shown) => found.push(Found { position, key: key_of(&settings.order, &shown) }),
                Err(source) => {
                    let record = stored.recorded.position;
                    failed = Some(QueryError::Show { record, source });
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        };
        let next = self.reader.read_all(reading, self.config.page_examined_max, take).await?;
        match failed {
            Some(error) => Err(error),
            None => Ok(Search { found, to: next.unwrap_or(end).min(end) }),
        }
    }

    /// Takes what was found into the window; `false` when the group has moved on meanwhile.
    async fn record(
        &self,
        group: &GroupName,
        supply: Supply,
        search: Search,
    ) -> Result<bool, Problem> {
        let Supply { epoch, from, .. } = supply;
        let Search { found, to } = search;
        let read = Read { group: group.clone(), from, epoch, to, found };
        match self.engine.submit(Command::Read(read)).await {
            Ok(_) => Ok(true),
            Err(SubmitError::Rejected { rejection: Rejection::Stale, .. }) => Ok(false),
            Err(error) => Err(problem::from_group_error(error)),
        }
    }
}
