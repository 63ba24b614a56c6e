//! How far the tree and the checkpoints are.

use std::sync::Arc;

use lombard_chassis::Metrics;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};

use crate::signer::Signer;

/// What the gauges read when they are scraped.
#[derive(Debug)]
struct Gauges(Arc<Signer>);

pub(crate) fn register(metrics: &Metrics, signer: Arc<Signer>) {
    metrics.register(|registry| registry.register_collector(Box::new(Gauges(signer))));
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (size, durable) = (self.0.size(), self.0.durable());
        let signed = self.0.latest().map_or(0, |latest| latest.size);
        let gauges = [
            ("log_tree_records", "Records of the log that the Merkle tree covers", size),
            (
                "log_tree_lag_records",
                "Durable records that the Merkle tree does not cover yet",
                durable.saturating_sub(size),
            ),
            ("log_checkpoint_records", "Records that the newest checkpoint was made over", signed),
            (
                "log_checkpoint_refused",
                "1 where the log is not what its last checkpoint was made over",
                u64::from(self.0.contradiction().is_some()),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
