//! What the event store counts.

use lombard_chassis::Metrics;
use lombard_engine::Handle;
use lombard_eventstore_core::Past as _;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
};

use crate::{index::EventIndex, machine::EventStoreMachine, subjects::SubjectKeys};

/// The event store's counters. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventStoreMetrics {
    appends: Family<AppendLabels, Counter>,
    events_appended: Counter,
    events_read: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AppendLabels {
    result: &'static str,
}

/// How an append ended: a closed set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AppendResult {
    Appended,
    /// A retry, answered as the first time.
    Replayed,
    /// The rules said no.
    Rejected,
    /// Not decided, or the outcome is unknown.
    Failed,
}

impl AppendResult {
    const ALL: [Self; 4] = [Self::Appended, Self::Replayed, Self::Rejected, Self::Failed];

    const fn name(self) -> &'static str {
        match self {
            Self::Appended => "appended",
            Self::Replayed => "replayed",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

impl EventStoreMetrics {
    pub(crate) fn register(
        metrics: &Metrics,
        writer: Handle<EventStoreMachine>,
        index: EventIndex,
        keys: SubjectKeys,
    ) -> Self {
        let counters = Self::default();
        // Made now, so that a scrape shows every result from the start, at zero.
        for result in AppendResult::ALL {
            drop(counters.appends.get_or_create(&AppendLabels { result: result.name() }));
        }
        metrics.register(|registry| {
            let (appends, appended) = (counters.appends.clone(), counters.events_appended.clone());
            registry.register("appends", "Appends asked for, by result", appends);
            registry.register("events_appended", "Events appended", appended);
            registry.register("events_read", "Events read", counters.events_read.clone());
            registry.register_collector(Box::new(Gauges { writer, index, keys }));
        });
        counters
    }

    pub(crate) fn append(&self, result: AppendResult) {
        self.appends.get_or_create(&AppendLabels { result: result.name() }).inc();
    }

    pub(crate) fn events_appended(&self, count: usize) {
        self.events_appended.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub(crate) fn events_read(&self, count: usize) {
        self.events_read.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

/// Read when they are scraped.
#[derive(Debug)]
struct Gauges {
    writer: Handle<EventStoreMachine>,
    index: EventIndex,
    keys: SubjectKeys,
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let durable = *self.writer.log().durable().borrow();
        let gauges = [
            ("events", "Events of all streams", signed(self.index.next_position().get())),
            ("data_subjects", "Data subjects that have or had a key", signed(self.keys.count())),
            ("queue_commands", "Commands waiting", signed(self.writer.queue_length())),
            ("durable_records", "Records of the log that are durable", signed(durable.get())),
            (
                "index_unsealed_records",
                "Durable records that a restart would read again to make the index",
                signed(durable.since(self.index.sealed())),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

fn signed(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
