//! Giving a consumer its deliveries, waiting for them where there are none.

use std::time::{Duration, SystemTime};

use lombard_chassis::{Problem, problems};
use lombard_engine::SubmitError;
use lombard_eventstore_core::group::{Command, Deliver, Delivery, Reply, Supply};
use lombard_types::{ConsumerName, GroupName, Timestamp};
use tokio::time::Instant;

use super::{ConsumerGroups, Delivered, Wake, show::Write};
use crate::problem;

/// What a consumer asks for.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) group: GroupName,
    pub(crate) consumer: ConsumerName,
    pub(crate) count: u32,
    /// So many may the consumer have in all.
    pub(crate) credits: Option<u32>,
    pub(crate) visibility: Option<Duration>,
    /// How long to wait for the first.
    pub(crate) wait: Duration,
}

/// How long a pull that does not wait may read.
const READING_MAX: Duration = Duration::from_secs(1);

/// What the group gave.
struct Given {
    deliveries: Vec<Delivery>,
    supply: Supply,
    next_at: Option<Timestamp>,
}

/// The clock that the engine reads; what it decides by may be a little later, never earlier.
pub(super) fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

impl ConsumerGroups {
    /// The next deliveries, none when the wait is over. What was delivered is recorded before this returns.
    ///
    /// Not cancel safe in one way: deliveries of a consumer that goes away at the wrong moment come back when its time is
    /// over.
    pub(crate) async fn pull<E: Send>(
        &self,
        pull: Pull,
        write: Write<E>,
    ) -> Result<Vec<Delivered<E>>, Problem> {
        let may_wait = !pull.wait.is_zero();
        // Reading what is there takes a moment also for those who do not want to wait for more.
        let until = Instant::now() + if may_wait { pull.wait } else { READING_MAX };
        let wake = self.wake(&pull.group);
        let mut permit = None;
        loop {
            // Before asking, so that nothing that happens from here on is missed.
            let mut changed = std::pin::pin!(wake.changed());
            changed.as_mut().enable();
            let Given { deliveries, supply, next_at } = self.deliver(&pull).await?;
            if !deliveries.is_empty() {
                return self.show(&pull.group, deliveries, write).await;
            }
            // What could be delivered and is not is over a limit of consumer or group.
            let may_read = supply.ready == 0 && supply.room > 0;
            if may_wait && permit.is_none() {
                permit = Some(self.waits.clone().try_acquire_owned().map_err(|_| too_many())?);
            }
            if !may_wait {
                let is_worth_it = may_read && self.has_more(&wake, supply).await?;
                if !is_worth_it {
                    return Ok(Vec::new());
                }
            }
            tokio::select! {
                biased;
                () = self.drain.cancelled() => return Ok(Vec::new()),
                () = changed => {}
                () = sleep_to(next_at) => self.expire(&pull.group, &wake).await?,
                supplied = self.supply(&pull.group, &wake, may_wait), if may_read => supplied?,
                () = tokio::time::sleep_until(until) => return Ok(Vec::new()),
            }
        }
    }

    async fn deliver(&self, pull: &Pull) -> Result<Given, Problem> {
        let Pull { group, consumer, count, credits, visibility, .. } = pull.clone();
        let deliver = Deliver { group: group.clone(), consumer, count, credits, visibility };
        match self.engine.submit(Command::Deliver(deliver)).await {
            Ok(committed) => match committed.reply {
                Reply::Delivered { deliveries, supply, next_at } => {
                    self.metrics.delivered(&deliveries);
                    Ok(Given { deliveries, supply, next_at })
                }
                _ => {
                    tracing::error!("a delivery was answered as something else");
                    Err(Problem::new(&problems::INTERNAL))
                }
            },
            Err(error) => {
                if let SubmitError::Rejected { rejection, .. } = &error {
                    self.forget_unknown(&group, rejection);
                }
                Err(problem::from_group_error(error))
            }
        }
    }

    /// Whether there are events that were not looked at.
    async fn has_more(&self, wake: &Wake, supply: Supply) -> Result<bool, Problem> {
        Ok(wake.looked_at().max(supply.from) < self.end().await?)
    }

    /// Takes back what consumers have had for too long.
    pub(super) async fn expire(&self, group: &GroupName, wake: &Wake) -> Result<(), Problem> {
        if let Reply::Moved { count, dead } = self.submit(Command::Expire(group.clone())).await?
            && count > 0
        {
            self.metrics.expired(count, dead);
            wake.notify();
        }
        Ok(())
    }
}

/// Never, where there is no time.
async fn sleep_to(time: Option<Timestamp>) {
    match time {
        // A little more: the engine's clock must be behind it.
        Some(time) => tokio::time::sleep(time.since(now()) + Duration::from_millis(1)).await,
        None => std::future::pending().await,
    }
}

fn too_many() -> Problem {
    Problem::new(&problems::OVERLOADED)
        .detail("as many consumers wait as the limit allows")
        .retry_after(Duration::from_secs(5))
}
