//! Ends what has run out.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use lombard_engine::{Handle, SubmitError};
use lombard_registry_core::{Command, InstanceKey, LeaseId};

use crate::{lessor::Lessor, machine::RegistryMachine, metrics::RegistryMetrics};

/// Expiries under way at once: enough to fill the log's groups when many leases run out together.
const IN_FLIGHT_MAX: usize = 256;
/// How long an expiry that was not recorded waits until it is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Submits an expiry for every lease as it runs out. Never ends by itself, unless the writer has.
pub(crate) async fn run(writer: Handle<RegistryMachine>, lessor: Lessor, metrics: RegistryMetrics) {
    loop {
        let due = lessor.due().await;
        tracing::info!(leases = due.len(), "leases have run out");
        let is_running = stream::iter(due)
            .map(|(key, lease_id)| expire(&writer, &metrics, key, lease_id))
            .buffer_unordered(IN_FLIGHT_MAX)
            .all(async |is_running| is_running)
            .await;
        if !is_running {
            return;
        }
    }
}

/// Goes on until it is known that the lease has ended, one way or another. `false`: the writer has stopped.
async fn expire(
    writer: &Handle<RegistryMachine>,
    metrics: &RegistryMetrics,
    key: InstanceKey,
    lease_id: LeaseId,
) -> bool {
    loop {
        match writer.submit(Command::Expire { key: key.clone(), lease_id }).await {
            Ok(_) => {
                metrics.expired();
                tracing::debug!(instance = %key, "expired");
                return true;
            }
            Err(SubmitError::Stopped) => return false,
            // Repeating is harmless: only this one lease can be ended by it.
            Err(error) => {
                tracing::warn!(instance = %key, %error, "failed to record an expiry; will try again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}
