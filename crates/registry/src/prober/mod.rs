//! The checks that the registry makes itself: asks instances how they are, and records what is news.
//!
//! `lombard-registry-core` decides whom to ask when, and what to conclude; here are the clock and the questions. `reach.rs`
//! connects, within the networks that may be asked; `ask.rs` asks over HTTP, TCP and gRPC. No answer is read further than
//! it takes to know how it went, no redirect is followed, and nothing of what was answered is told to anybody.

mod ask;
mod config;
mod grpc;
mod http;
mod reach;

use std::{sync::Arc, time::Duration};

use lombard_engine::Handle;
use lombard_registry_core::{
    Command, Finding, Health, InstanceKey, LeaseId, Note, Probe, ProbePolicy, Probes, Services,
    Uptime,
};
use parking_lot::Mutex;
use tokio::{sync::Notify, task::JoinSet, time::Instant};

pub use self::config::ChecksConfig;
use crate::{machine::RegistryMachine, metrics::RegistryMetrics, verdicts};

/// Knows what is to be asked. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    probes: Mutex<Probes>,
    /// Something may be due earlier than what is slept for.
    changed: Notify,
    start: Instant,
    config: ChecksConfig,
}

impl Prober {
    pub(crate) fn new(config: ChecksConfig, policy: ProbePolicy) -> Self {
        let probes = Mutex::new(Probes::new(policy));
        let (changed, start) = (Notify::new(), Instant::now());
        Self { inner: Arc::new(Inner { probes, changed, start, config }) }
    }

    /// An instance was registered: it is asked from now on, if it wants to be.
    pub(crate) fn registered(&self, services: &Services, key: &InstanceKey) {
        let Some(instance) = services.instance(key) else { return };
        let Some(check) = instance.attributes.check() else { return };
        let stays = Duration::from_secs(instance.lease.deregister_after_seconds.into());
        let target = (check.clone(), instance.address.clone());
        let now = self.now();
        self.inner.probes.lock().start(key.clone(), instance.lease.id, target, stays, now);
        self.inner.changed.notify_one();
    }

    /// The log says what was concluded by an earlier process.
    pub(crate) fn recall(&self, lease_id: LeaseId, health: Health) {
        self.inner.probes.lock().recall(lease_id, health, self.now());
    }

    pub(crate) fn gone(&self, lease_id: LeaseId) {
        self.inner.probes.lock().stop(lease_id);
    }

    /// How many instances are asked.
    pub(crate) fn count(&self) -> usize {
        self.inner.probes.lock().count()
    }

    fn now(&self) -> Uptime {
        self.inner.start.elapsed()
    }

    /// Waits until there may be something to do.
    async fn changed(&self, next_at: Option<Uptime>) {
        let changed = self.inner.changed.notified();
        match next_at {
            None => changed.await,
            Some(next_at) => {
                tokio::select! {
                    () = tokio::time::sleep_until(self.inner.start + next_at) => {}
                    () = changed => {}
                }
            }
        }
    }
}

/// What every question needs.
#[derive(Clone, Debug)]
struct Asker {
    prober: Prober,
    writer: Handle<RegistryMachine>,
    metrics: RegistryMetrics,
}

/// Asks what is due, and records what is news. Never ends by itself.
pub(crate) async fn run(writer: Handle<RegistryMachine>, prober: Prober, metrics: RegistryMetrics) {
    let asker = Asker { prober, writer, metrics };
    let in_flight_max = asker.prober.inner.config.in_flight_max;
    let mut asked = JoinSet::new();
    loop {
        let free = in_flight_max.saturating_sub(asked.len());
        let (due, ended, next_at) = {
            let mut probes = asker.prober.inner.probes.lock();
            let now = asker.prober.now();
            let (due, ended) = (probes.take_due(now, free), probes.take_ended(now));
            (due, ended, probes.next_at())
        };
        for probe in due {
            asked.spawn(asker.clone().ask(probe));
        }
        for (key, lease_id) in ended {
            asked.spawn(asker.clone().take_out(key, lease_id));
        }
        let may_ask = asked.len() < in_flight_max;
        tokio::select! {
            Some(_) = asked.join_next(), if !asked.is_empty() => {}
            () = asker.prober.changed(next_at), if may_ask => {}
        }
    }
}

impl Asker {
    async fn ask(self, probe: Probe) {
        let Self { prober, writer, metrics } = &self;
        let outcome = ask::ask(&prober.inner.config, &probe).await;
        metrics.probed(outcome);
        let finding = prober.inner.probes.lock().answer(probe.lease_id, outcome, prober.now());
        if let Some(Finding { health, failure }) = finding {
            let Probe { key, lease_id, .. } = &probe;
            let reason = failure.map(|failure| failure.reason());
            tracing::info!(instance = %key, health = health.name(), reason, "a check says otherwise than before");
            let note: Note = reason.and_then(|note| note.parse().ok()).unwrap_or_default();
            let command = Command::Observe { key: key.clone(), lease_id: *lease_id, health, note };
            verdicts::record(writer, key, &command).await;
        }
        prober.inner.probes.lock().again(probe.lease_id, prober.now());
        prober.inner.changed.notify_one();
    }

    /// It has been critical for as long as it wants to stay then.
    async fn take_out(self, key: InstanceKey, lease_id: LeaseId) {
        tracing::info!(instance = %key, "critical for too long: it is taken out");
        let command = Command::Expire { key: key.clone(), lease_id };
        verdicts::record(&self.writer, &key, &command).await;
    }
}
