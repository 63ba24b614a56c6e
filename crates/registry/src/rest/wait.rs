//! Long polls: an answer that waits until there is something new to say.

use std::time::Duration;

use lombard_chassis::Problem;
use serde::Deserialize;
use tokio::time::Instant;

use super::Api;
use crate::{problem, watch::Topic};

/// `?index=N&wait_seconds=S`. Without an index there is nothing to wait for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    /// What the caller has seen.
    index: Option<u64>,
    wait_seconds: Option<u64>,
}

impl Api {
    /// Waits until the topic has changed since the index that the caller has seen, or the wait is over.
    pub(super) async fn wait(&self, topic: Topic, wait: Wait) -> Result<(), Problem> {
        let seconds = wait.wait_seconds.unwrap_or(self.config.wait_seconds_default);
        if seconds > self.config.wait_seconds_max {
            return Err(problem::wait_too_long(seconds, self.config.wait_seconds_max));
        }
        self.reach_start().await?;
        match wait.index {
            Some(index) => self.wait_for_change(topic, index, Duration::from_secs(seconds)).await,
            None => Ok(()),
        }
    }

    /// The same, for at most `within`.
    pub(crate) async fn wait_for_change(
        &self,
        topic: Topic,
        index: u64,
        within: Duration,
    ) -> Result<(), Problem> {
        let has_changed = || self.view.read(|view| view.has_changed_since(&topic, index));
        if has_changed() {
            return Ok(());
        }
        let entered = self.watches.enter(topic.clone()).map_err(problem::from_too_many_waiters);
        self.count("watch", &entered);
        let mut waiter = entered?;
        let deadline = Instant::now() + within;
        // Looked at again first: a change may have come before the place was taken.
        while !has_changed() {
            tokio::select! {
                () = waiter.changed() => {}
                () = tokio::time::sleep_until(deadline) => break,
                () = self.draining.cancelled() => break,
            }
        }
        Ok(())
    }
}
