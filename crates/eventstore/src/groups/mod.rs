//! Consumer groups: the rules of [`lombard_eventstore_core::group`] on an engine and a log of their own.
//!
//! ```text
//!  consumer ── pull ──► Deliver ──► groups' engine ──► groups' log, trimmed behind snapshots
//!                 │        ▲
//!                 │        └── Read ◄── supply: reads the events' log on, filters, takes keys
//!                 └── show: reads the delivered events
//! ```
//!
//! **Invariants**
//! - What a consumer gets was recorded as delivered before.
//! - A group never knows of an event that is not durable; should the events' log be cut off, groups go back with it.
//! - The groups' log grows with what is in flight, not with what has happened.

mod codec;
mod fields;
mod key;
mod machine;
mod metrics;
mod pull;
mod receipt;
mod settle;
mod show;
mod snapshot;
mod start;
mod supply;
mod sweep;

use std::{collections::BTreeMap, sync::Arc};

use lombard_chassis::{CancellationToken, Problem, problems};
use lombard_engine::{Handle, QueryError};
use lombard_eventstore_core::{
    EventPosition, Past as _,
    group::{Command, Groups, Rejection, Reply},
};
use lombard_types::GroupName;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

pub(crate) use self::{
    machine::GroupMachine,
    metrics::{GroupMetrics, Settlement, result_of},
    pull::Pull,
    receipt::write as write_receipt,
    settle::{Verdict, visibility},
    show::{Delivered, ShownEvent},
    supply::Wake,
};
pub use start::GroupsLog;
pub(crate) use start::Parts;

use crate::{Config, machine::EventStoreMachine, problem, query::Reader, showing::Showing};

/// All consumer groups. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerGroups {
    engine: Handle<GroupMachine>,
    /// Tells how far events are durable.
    writer: Handle<EventStoreMachine>,
    reader: Reader,
    showing: Showing,
    /// Of the groups that were asked for.
    wakes: Arc<Mutex<BTreeMap<GroupName, Arc<Wake>>>>,
    /// A permit for each consumer that waits.
    waits: Arc<Semaphore>,
    drain: CancellationToken,
    metrics: GroupMetrics,
    config: Arc<Config>,
}

impl ConsumerGroups {
    /// Has a command decided and made durable.
    pub(crate) async fn submit(&self, command: Command) -> Result<Reply, Problem> {
        let committed = self.engine.submit(command).await.map_err(problem::from_group_error)?;
        Ok(committed.reply)
    }

    /// Has something decided that consumers may wait for.
    pub(crate) async fn submit_and_wake(
        &self,
        group: &GroupName,
        command: Command,
    ) -> Result<Reply, Problem> {
        let reply = self.submit(command).await?;
        self.wake(group).notify();
        Ok(reply)
    }

    /// Forgets a group.
    pub(crate) async fn delete(&self, group: GroupName) -> Result<(), Problem> {
        self.submit(Command::Delete(group.clone())).await?;
        // Whoever waits finds that it is gone.
        if let Some(wake) = self.wakes.lock().remove(&group) {
            wake.notify();
        }
        Ok(())
    }

    /// Looks at the groups, between two commands.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&Groups) -> R + Send + 'static,
    ) -> Result<R, Problem> {
        let answer = self.engine.query(|machine| ask(&machine.groups)).await;
        answer.map(|(answer, _)| answer).map_err(from_query)
    }

    /// Everything before this event is durable.
    pub(crate) async fn end(&self) -> Result<EventPosition, Problem> {
        let index = self.reader.index.clone();
        let answer = self.writer.query(move |_| index.next_position()).await;
        answer.map(|(answer, _)| answer).map_err(from_query)
    }

    /// How many events behind the end a group is: those in its window, and those it has not looked at.
    pub(crate) fn lag(
        &self,
        name: &GroupName,
        group: &lombard_eventstore_core::group::Group,
    ) -> u64 {
        let looked_at = self.wakes.lock().get(name).map(|wake| wake.looked_at());
        let looked_at = looked_at.unwrap_or_default().max(group.read_to());
        let outstanding = u64::try_from(group.outstanding()).unwrap_or(u64::MAX);
        self.reader.index.next_position().since(looked_at).saturating_add(outstanding)
    }

    /// Where consumers of a group wait.
    fn wake(&self, group: &GroupName) -> Arc<Wake> {
        Arc::clone(self.wakes.lock().entry(group.clone()).or_default())
    }

    /// A group that was asked for is not there.
    fn forget_unknown(&self, group: &GroupName, rejection: &Rejection) {
        if matches!(rejection, Rejection::NotFound { .. }) {
            self.wakes.lock().remove(group);
        }
    }
}

fn from_query(error: QueryError) -> Problem {
    let kind = match error {
        QueryError::Overloaded => &problems::OVERLOADED,
        QueryError::Unavailable => &problems::STOPPING,
    };
    Problem::new(kind).detail(error.to_string()).retry_after(std::time::Duration::from_secs(1))
}
