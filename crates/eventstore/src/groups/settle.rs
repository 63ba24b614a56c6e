//! What consumers say of their deliveries, for every edge.

use std::time::Duration;

use lombard_chassis::{Problem, problems};
use lombard_eventstore_core::group::{Command, Nack, Outcome, Reply};
use lombard_types::GroupName;

use super::{ConsumerGroups, Settlement, receipt};
use crate::{Config, problem};

/// Longest reason of a failure.
const REASON_BYTES_MAX: usize = 500;

/// What became of deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They were processed.
    Ack,
    /// They were not.
    Nack {
        /// When to try again, if not as the group's backoff says.
        delay_ms: Option<u64>,
        /// Trying again is pointless.
        is_dead: bool,
        /// For whoever looks at dead letters.
        reason: String,
    },
    /// They need so much time from now on.
    Extend { visibility_ms: u64 },
}

impl ConsumerGroups {
    /// Settles deliveries by their receipts. Answers what became of each, in their order.
    pub(crate) async fn settle(
        &self,
        group: &GroupName,
        receipts: &[String],
        verdict: Verdict,
    ) -> Result<Vec<Outcome>, Problem> {
        let (command, settlement) = command(group, receipts, verdict, &self.config)?;
        let Reply::Settled(outcomes) = self.submit_and_wake(group, command).await? else {
            tracing::error!("a settlement was answered as something else");
            return Err(Problem::new(&problems::INTERNAL));
        };
        self.metrics.settled(settlement, &outcomes);
        Ok(outcomes)
    }
}

fn command(
    group: &GroupName,
    receipts: &[String],
    verdict: Verdict,
    config: &Config,
) -> Result<(Command, Settlement), Problem> {
    let group = group.clone();
    let receipts = receipt::read_all(receipts, config.group_receipts_max)?;
    Ok(match verdict {
        Verdict::Ack => (Command::Ack { group, receipts }, Settlement::Ack),
        Verdict::Nack { delay_ms, is_dead, reason } => {
            if reason.len() > REASON_BYTES_MAX {
                let limit = format!("is over the limit of {REASON_BYTES_MAX} bytes");
                return Err(problem::invalid_member("reason", limit));
            }
            let most = config.group_delay_ms_max;
            let within = |millis| problem::within("delay_ms", millis, 0, most);
            let delay = delay_ms.map(within).transpose()?.map(Duration::from_millis);
            let reason = reason.into();
            (Command::Nack(Nack { group, receipts, delay, is_dead, reason }), Settlement::Nack)
        }
        Verdict::Extend { visibility_ms } => {
            let visibility = visibility(Some(visibility_ms), config)?.unwrap_or_default();
            (Command::Extend { group, receipts, visibility }, Settlement::Extend)
        }
    })
}

/// How long a consumer wants to have.
pub(crate) fn visibility(
    millis: Option<u64>,
    config: &Config,
) -> Result<Option<Duration>, Problem> {
    let most = config.group_visibility_ms_max;
    let read = |millis| problem::within("visibility_ms", millis, 1, most);
    Ok(millis.map(read).transpose()?.map(Duration::from_millis))
}
