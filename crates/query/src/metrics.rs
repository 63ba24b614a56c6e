//! How far the index is.

use lombard_chassis::Metrics;
use lombard_engine::Follower;
use lombard_log::SharedLog;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};

use crate::LedgerIndex;

/// What the gauges read when they are scraped.
#[derive(Debug)]
struct Gauges {
    follower: Follower<LedgerIndex>,
    log: SharedLog,
}

/// `prefix` goes before the names, so that they are `lombard_ledger_query_...` in the ledger's process and
/// `lombard_query_...` in one of its own.
pub(crate) fn register(
    metrics: &Metrics,
    prefix: Option<&'static str>,
    follower: Follower<LedgerIndex>,
    log: SharedLog,
) {
    let gauges = Box::new(Gauges { follower, log });
    metrics.register(|registry| match prefix {
        Some(prefix) => registry.sub_registry_with_prefix(prefix).register_collector(gauges),
        None => registry.register_collector(gauges),
    });
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let durable = *self.log.durable().borrow();
        let ((sealed, open, is_stopped), position) = self.follower.read_at(|index| {
            let is_stopped = index.check().is_err() || index.obstacle().is_some();
            (index.sealed(), index.open_count(), is_stopped)
        });
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let gauges = [
            (
                "lag_records",
                "Durable records that the index has not applied",
                durable.since(position),
            ),
            ("sealed_records", "Records whose index entries are on disk", sealed.get()),
            ("reservations_open", "Pending transfers that are open", number(open)),
            ("obstacle", "1 where the index cannot be read or sealed", u64::from(is_stopped)),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
