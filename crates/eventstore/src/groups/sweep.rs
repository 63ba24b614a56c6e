//! Looks after groups that nobody asks: takes back what consumers have had for too long, and measures.

use std::time::Duration;

use lombard_types::GroupName;

use super::{ConsumerGroups, metrics::Measured, pull::now};

const EVERY: Duration = Duration::from_secs(1);

impl ConsumerGroups {
    /// Never ends.
    pub(crate) async fn sweep(self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            // A queue that is full, or an engine that has stopped, is told by whoever serves.
            if let Ok(overdue) = self.measure().await {
                for group in overdue {
                    let wake = self.wake(&group);
                    if self.expire(&group, &wake).await.is_err() {
                        break;
                    }
                }
            }
        }
    }

    /// Measures every group, and answers those with deliveries whose time is over.
    async fn measure(&self) -> Result<Vec<GroupName>, lombard_chassis::Problem> {
        let this = self.clone();
        let now = now();
        let (measured, overdue) = self
            .ask(move |groups| {
                let measured = groups.iter().map(|(name, group)| Measured {
                    group: name.to_string(),
                    lag: this.lag(name, group),
                    in_flight: group.in_flight(),
                    outstanding: group.outstanding(),
                    dead: group.dead_letters().len(),
                });
                let overdue = groups.iter().filter(|(_, group)| group.is_overdue(now));
                let overdue: Vec<GroupName> = overdue.map(|(name, _)| name.clone()).collect();
                (measured.collect(), overdue)
            })
            .await?;
        self.metrics.measured(measured);
        Ok(overdue)
    }
}
