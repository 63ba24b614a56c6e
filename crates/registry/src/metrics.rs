//! What the registry counts.

use lombard_chassis::Metrics;
use lombard_engine::{Follower, Handle, SnapshotInfo};
use lombard_registry_core::{Outcome, Verdict};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
};

use crate::{
    lessor::Lessor, machine::RegistryMachine, prober::Prober, view::RegistryView, watch::Watches,
};

/// The registry's counters. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegistryMetrics {
    requests: Family<Labels, Counter>,
    expiries: Counter,
    verdicts: Family<VerdictLabels, Counter>,
    checks: Family<OutcomeLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// Both from closed sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    operation: &'static str,
    /// `ok`, or the slug of the problem.
    result: &'static str,
}

/// What the gauges read when they are scraped.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) writer: Handle<RegistryMachine>,
    pub(crate) view: Follower<RegistryView>,
    pub(crate) lessor: Lessor,
    pub(crate) prober: Prober,
    pub(crate) watches: Watches,
}

impl RegistryMetrics {
    pub(crate) fn register(metrics: &Metrics, sources: Sources) -> Self {
        let counters = Self::default();
        for operation in ["register", "renew", "deregister", "watch"] {
            drop(counters.requests.get_or_create(&Labels { operation, result: "ok" }));
        }
        metrics.register(|registry| {
            let help = "Requests by operation and result: ok, or the kind of problem";
            registry.register("requests", help, counters.requests.clone());
            let help = "Leases that have run out";
            registry.register("expiries", help, counters.expiries.clone());
            let help = "Leases that were not renewed in time by what became of the instance, and damped instances released";
            registry.register("verdicts", help, counters.verdicts.clone());
            let help = "Checks that the registry has made, by how they went";
            registry.register("checks", help, counters.checks.clone());
            registry.register_collector(Box::new(sources));
        });
        counters
    }

    pub(crate) fn count(&self, operation: &'static str, result: &'static str) {
        self.requests.get_or_create(&Labels { operation, result }).inc();
    }

    pub(crate) fn probed(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Passing => "passing",
            Outcome::Warning => "warning",
            Outcome::Failed(failure) if failure.is_silence() => "silent",
            Outcome::Failed(_) => "failed",
        };
        self.checks.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn judged(&self, verdict: Verdict) {
        let name = match verdict {
            Verdict::Doubt(_) => "unknown",
            Verdict::Lapse => "lapsed",
            Verdict::Expire => "expired",
            Verdict::Release => "released",
        };
        self.verdicts.get_or_create(&VerdictLabels { verdict: name }).inc();
        if verdict == Verdict::Expire {
            self.expiries.inc();
        }
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let durable = *self.writer.log().durable().borrow();
        let (services, instances) =
            self.view.read(|view| (view.services().count(), view.services().instance_count()));
        let lag = durable.since(self.view.position());
        let gauges = [
            ("services", "Services that are registered", number(services)),
            ("instances", "Instances that are registered", number(instances)),
            ("leases", "Leases that live", number(self.lessor.count())),
            ("checked", "Instances that are asked by checks", number(self.prober.count())),
            ("waiters", "Requests that wait for a change", number(self.watches.count())),
            (
                "queue_commands",
                "Commands waiting for the writer",
                number(self.writer.queue_length()),
            ),
            ("durable_records", "Records of the log that are durable", signed(durable.get())),
            ("view_lag_records", "Durable records that the read side has not applied", signed(lag)),
        ];
        for (name, help, value) in gauges.into_iter().chain(snapshot_gauges(&self.writer)) {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// About the newest snapshot; zeros where there is none.
fn snapshot_gauges(writer: &Handle<RegistryMachine>) -> [(&'static str, &'static str, i64); 3] {
    let snapshot = writer.last_snapshot();
    let of = |value: fn(&SnapshotInfo) -> u64| signed(snapshot.as_ref().map_or(0, value));
    let took =
        |snapshot: &SnapshotInfo| u64::try_from(snapshot.took.as_millis()).unwrap_or(u64::MAX);
    [
        ("snapshot_records", "Records that the newest snapshot holds", of(|s| s.position.get())),
        ("snapshot_bytes", "Bytes of the newest snapshot", of(|s| s.bytes)),
        ("snapshot_milliseconds", "How long making or reading the newest snapshot took", of(took)),
    ]
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
