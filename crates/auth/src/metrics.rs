//! What the authorization server counts.

use lombard_chassis::Metrics;
use lombard_engine::{Handle, SnapshotInfo};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
};

use crate::AuthMachine;

/// The counters. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuthMetrics {
    token_requests: Family<TokenLabels, Counter>,
    second_factors: Family<SecondFactorLabels, Counter>,
}

/// What was shown beside or in place of a password, as far as it is known, and what came of it: `allowed`, or the cause in the audit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SecondFactorLabels {
    factor: &'static str,
    result: &'static str,
}

/// The result is `issued`, or the error code of RFC 6749 that was answered: a closed set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    result: &'static str,
}

impl AuthMetrics {
    pub(crate) fn register(metrics: &Metrics, writer: Handle<AuthMachine>) -> Self {
        let counters = Self::default();
        metrics.register(|registry| {
            registry.register(
                "token_requests",
                "Requests at the token endpoint, by result",
                counters.token_requests.clone(),
            );
            registry.register(
                "second_factor_logins",
                "Second factors and passkeys that were shown at a login, by factor and result",
                counters.second_factors.clone(),
            );
            registry.register_collector(Box::new(Gauges { writer }));
        });
        counters
    }

    /// `factor`: `totp`, `recovery_code`, `passkey`, or `code` where it is not known which of the first two.
    pub(crate) fn second_factor(&self, factor: &'static str, result: &'static str) {
        self.second_factors.get_or_create(&SecondFactorLabels { factor, result }).inc();
    }

    pub(crate) fn token_request(&self, result: &'static str) {
        self.token_requests.get_or_create(&TokenLabels { result }).inc();
    }
}

/// Read when they are scraped.
#[derive(Debug)]
struct Gauges {
    writer: Handle<AuthMachine>,
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, value) in snapshot_gauges(&self.writer) {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// About the newest snapshot; zeros where there is none.
fn snapshot_gauges(writer: &Handle<AuthMachine>) -> [(&'static str, &'static str, i64); 3] {
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

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
