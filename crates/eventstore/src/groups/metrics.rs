//! What is counted of consumer groups.

use std::sync::Arc;

use lombard_chassis::Metrics;
use lombard_eventstore_core::group::{Delivery, Outcome};
use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
    registry::Unit,
};

/// Counters of all groups together, and gauges of each. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupMetrics {
    deliveries: Counter,
    redeliveries: Counter,
    timeouts: Counter,
    dead: Counter,
    settlements: Family<SettlementLabels, Counter>,
    measured: Arc<Mutex<Vec<Measured>>>,
}

/// One group, as it was last looked at.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) group: String,
    pub(crate) lag: u64,
    pub(crate) in_flight: usize,
    pub(crate) outstanding: usize,
    pub(crate) dead: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SettlementLabels {
    kind: &'static str,
    result: &'static str,
}

/// What a consumer did with deliveries: a closed set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Settlement {
    Ack,
    Nack,
    Extend,
}

impl Settlement {
    const fn name(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Nack => "nack",
            Self::Extend => "extend",
        }
    }
}

impl GroupMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let made = Self::default();
        metrics.register(|registry| {
            for (name, help, counter) in [
                ("group_deliveries", "Events given to consumers", &made.deliveries),
                ("group_redeliveries", "Of those, not for the first time", &made.redeliveries),
                (
                    "group_timeouts",
                    "Deliveries taken back when their time was over",
                    &made.timeouts,
                ),
                ("group_dead_letters_made", "Events given up", &made.dead),
            ] {
                registry.register(name, help, counter.clone());
            }
            let help = "Deliveries settled by consumers, by what they said and what came of it";
            registry.register("group_settlements", help, made.settlements.clone());
            registry.register_collector(Box::new(Gauges(Arc::clone(&made.measured))));
        });
        made
    }

    pub(super) fn delivered(&self, deliveries: &[Delivery]) {
        self.deliveries.inc_by(to_u64(deliveries.len()));
        let again = deliveries.iter().filter(|delivery| delivery.receipt.attempt > 1).count();
        self.redeliveries.inc_by(to_u64(again));
    }

    pub(super) fn expired(&self, count: usize, dead: usize) {
        self.timeouts.inc_by(to_u64(count));
        self.dead.inc_by(to_u64(dead));
    }

    pub(super) fn measured(&self, measured: Vec<Measured>) {
        *self.measured.lock() = measured;
    }

    pub(crate) fn settled(&self, settlement: Settlement, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let labels = SettlementLabels { kind: settlement.name(), result: result_of(*outcome) };
            self.settlements.get_or_create(&labels).inc();
        }
    }
}

/// What a settlement came to, in metrics and answers.
pub(crate) const fn result_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::AlreadySettled => "already_settled",
        Outcome::Lost => "lost",
        Outcome::Dead => "dead",
        Outcome::Unknown => "unknown",
    }
}

/// Read when they are scraped; as old as the last look, a second or two.
#[derive(Debug)]
struct Gauges(Arc<Mutex<Vec<Measured>>>);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let measured = self.0.lock().clone();
        type Value = fn(&Measured) -> u64;
        let gauges: [(&str, &str, Value); 4] = [
            ("group_lag_events", "Events that are not settled, or not yet looked at", |it| it.lag),
            ("group_in_flight", "Events that consumers have", |it| to_u64(it.in_flight)),
            ("group_window", "Events read and not settled", |it| to_u64(it.outstanding)),
            ("group_dead_letters", "Events given up", |it| to_u64(it.dead)),
        ];
        for (name, help, value) in gauges {
            let no_unit: Option<&Unit> = None;
            let kind = ConstGauge::new(0i64).metric_type();
            let mut metric = encoder.encode_descriptor(name, help, no_unit, kind)?;
            for group in &measured {
                let gauge = ConstGauge::new(i64::try_from(value(group)).unwrap_or(i64::MAX));
                let labels = [("group", group.group.as_str())];
                gauge.encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
