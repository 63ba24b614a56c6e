//! What the ledger counts.

use lombard_chassis::Metrics;
use lombard_engine::{Handle, SnapshotInfo};
use lombard_ledger_core::{Outcome, TransferRefusal, TransferRejection};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
};

use crate::{machine::LedgerMachine, spent::SpentIndex};

/// The ledger's counters. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct LedgerMetrics {
    transfers: Family<TransferLabels, Counter>,
}

/// The result is one of a closed set: `created`, `replayed`, `failed`, or the name of a refusal or rejection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransferLabels {
    result: &'static str,
}

impl LedgerMetrics {
    pub(crate) fn register(
        metrics: &Metrics,
        writer: Handle<LedgerMachine>,
        spent: SpentIndex,
    ) -> Self {
        let counters = Self::default();
        // Made now, so that a scrape shows every result from the start, at zero.
        let refusals = TransferRefusal::ALL.iter().map(|refusal| refusal.name());
        let rejections = TransferRejection::ALL.iter().map(|rejection| rejection.name());
        for result in
            ["created", "replayed", "failed"].into_iter().chain(refusals).chain(rejections)
        {
            drop(counters.transfers.get_or_create(&TransferLabels { result }));
        }
        metrics.register(|registry| {
            registry.register(
                "transfers",
                "Transfers asked for, by result",
                counters.transfers.clone(),
            );
            registry.register_collector(Box::new(Gauges { writer, spent }));
        });
        counters
    }

    /// A transfer that spent its id, now or (`is_replayed`) before.
    pub(crate) fn transfer(&self, outcome: Outcome, is_replayed: bool) {
        self.count(match outcome {
            _ if is_replayed => "replayed",
            Outcome::Created => "created",
            Outcome::Refused(refusal) => refusal.name(),
        });
    }

    /// So many transfers that happened now.
    pub(crate) fn transfers_created(&self, count: u64) {
        self.transfers.get_or_create(&TransferLabels { result: "created" }).inc_by(count);
    }

    /// A transfer that was rejected.
    pub(crate) fn transfer_rejected(&self, rejection: TransferRejection) {
        self.count(rejection.name());
    }

    /// A transfer that the writer did not decide, or whose outcome is unknown.
    pub(crate) fn transfer_failed(&self) {
        self.count("failed");
    }

    fn count(&self, result: &'static str) {
        self.transfers.get_or_create(&TransferLabels { result }).inc();
    }
}

/// Read when they are scraped.
#[derive(Debug)]
struct Gauges {
    writer: Handle<LedgerMachine>,
    spent: SpentIndex,
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let durable = *self.writer.log().durable().borrow();
        let gauges = [
            (
                "queue_commands",
                "Commands waiting for the writer",
                number(self.writer.queue_length()),
            ),
            ("durable_records", "Records of the log that are durable", signed(durable.get())),
            (
                "index_unsealed_records",
                "Durable records whose ids are in the index's memory only",
                signed(durable.since(self.spent.sealed())),
            ),
        ];
        for (name, help, value) in gauges.into_iter().chain(snapshot_gauges(&self.writer)) {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// About the newest snapshot; zeros where there is none.
fn snapshot_gauges(writer: &Handle<LedgerMachine>) -> [(&'static str, &'static str, i64); 3] {
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
