//! How far the copy is.

use std::sync::Arc;

use lombard_chassis::Metrics;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

use crate::mirror::Shared;

/// What is read when it is scraped.
#[derive(Debug)]
struct Gauges(Arc<Shared>);

pub(crate) fn register(metrics: &Metrics, shared: Arc<Shared>) {
    metrics.register(|registry| registry.register_collector(Box::new(Gauges(shared))));
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let state = *self.0.state.lock();
        let records = self.0.tail().get();
        let gauges = [
            ("mirror_records", "Records of the source that are copied", records),
            (
                "mirror_lag_records",
                "Records that the source had at its last answer and the copy has not",
                state.source_records.saturating_sub(records),
            ),
            (
                "mirror_verified_records",
                "Records that were compared with a signed checkpoint",
                state.verified_records,
            ),
            (
                "mirror_source_away",
                "1 while the source does not answer",
                u64::from(state.failures > 0),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let (name, help) = ("mirror_failures", "Requests to the source that failed");
        let counter = ConstCounter::new(state.failures_total);
        counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
    }
}
