//! How far projections are.

use lombard_chassis::Metrics;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::{rest::Api, worker::Status};

/// What is read when it is scraped.
#[derive(Debug)]
struct Gauges(Api);

pub(crate) fn register(metrics: &Metrics, api: Api) {
    metrics.register(|registry| registry.register_collector(Box::new(Gauges(api))));
}

type Reads = fn(&Status, u64) -> u64;

const GAUGES: [(&str, &str, Reads); 4] = [
    ("projection_records", "Records that are in the tables", |status, _| status.position),
    (
        "projection_lag_records",
        "Durable records of the log that are not in the tables",
        |status, durable| durable.saturating_sub(status.position),
    ),
    (
        "projection_stopped",
        "1 while the tables do not follow the log: lombard projection status says why",
        |status, _| u64::from(status.phase.name() != "following"),
    ),
    ("projection_rebuilding", "1 while the tables are built anew", |status, _| {
        u64::from(status.rebuilding.is_some())
    }),
];

const COUNTERS: [(&str, &str, Reads); 3] = [
    (
        "projection_transactions",
        "Transactions that were written to the live tables",
        |status, _| status.transactions,
    ),
    ("projection_failures", "Failures of the database or of the tables", |status, _| {
        status.failures
    }),
    ("projection_rebuilds", "Times that the tables were built anew", |status, _| status.rebuilds),
];

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let durable = self.0.log.durable().borrow().get();
        for (name, help, read) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for projection in self.0.projections.iter() {
                let value = read(&projection.status.lock(), durable);
                let labels = [("projection", projection.name.as_str())];
                let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
                gauge.encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, read) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for projection in self.0.projections.iter() {
                let value = read(&projection.status.lock(), durable);
                let labels = [("projection", projection.name.as_str())];
                ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
