//! Does what is due about leases that were not renewed.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use lombard_engine::{Handle, SubmitError};
use lombard_registry_core::{Command, Doubt, Due, InstanceKey, LeaseId, Verdict};

use crate::{lessor::Lessor, machine::RegistryMachine, metrics::RegistryMetrics};

/// Commands under way at once: enough to fill the log's groups when many leases run out together.
const IN_FLIGHT_MAX: usize = 256;
/// How long what was not recorded waits until it is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Submits what is due for every lease. Never ends by itself, unless the writer has.
pub(crate) async fn run(writer: Handle<RegistryMachine>, lessor: Lessor, metrics: RegistryMetrics) {
    loop {
        let due = lessor.due().await;
        tracing::info!(leases = due.len(), "leases have run out");
        if !carry_out(&writer, &lessor, &metrics, due).await {
            return;
        }
    }
}

/// Marks the instances that nobody has heard of since the restart.
pub(crate) async fn doubt_unconfirmed(
    writer: &Handle<RegistryMachine>,
    lessor: &Lessor,
    metrics: &RegistryMetrics,
) {
    let verdict = Verdict::Doubt(Doubt::Restart);
    let unconfirmed = lessor.unconfirmed().into_iter();
    let due = unconfirmed.map(|(key, lease_id)| Due { key, lease_id, verdict }).collect();
    carry_out(writer, lessor, metrics, due).await;
}

/// `false`: the writer has stopped.
async fn carry_out(
    writer: &Handle<RegistryMachine>,
    lessor: &Lessor,
    metrics: &RegistryMetrics,
    due: Vec<Due>,
) -> bool {
    stream::iter(due)
        .map(|Due { key, lease_id, verdict }| async move {
            metrics.judged(verdict);
            let command = command(verdict, &key, lease_id);
            if !record(writer, &key, &command).await {
                return false;
            }
            // It may have been renewed since the verdict. An expiry is final: its lease could not be renewed any more.
            let is_alive =
                matches!(verdict, Verdict::Doubt(_) | Verdict::Lapse) && lessor.is_living(lease_id);
            let confirm = Command::Confirm { key: key.clone(), lease_id };
            !is_alive || record(writer, &key, &confirm).await
        })
        .buffer_unordered(IN_FLIGHT_MAX)
        .all(async |is_running| is_running)
        .await
}

fn command(verdict: Verdict, key: &InstanceKey, lease_id: LeaseId) -> Command {
    let key = key.clone();
    match verdict {
        Verdict::Doubt(doubt) => Command::Doubt { key, lease_id, doubt },
        Verdict::Lapse => Command::Lapse { key, lease_id },
        Verdict::Expire => Command::Expire { key, lease_id },
        Verdict::Release => Command::Release { key, lease_id },
    }
}

/// Goes on until it is known that a command was done, or is not needed. `false`: the writer has stopped.
pub(crate) async fn record(
    writer: &Handle<RegistryMachine>,
    key: &InstanceKey,
    command: &Command,
) -> bool {
    loop {
        match writer.submit(command.clone()).await {
            Ok(_) => return true,
            Err(SubmitError::Stopped) => return false,
            // Repeating is harmless: each is about one lease, and said twice is done once.
            Err(error) => {
                tracing::warn!(instance = %key, %error, "failed to record what became of a lease; will try again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}
