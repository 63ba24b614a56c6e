//! What the authorization server counts.

use lombard_chassis::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

/// The counters. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuthMetrics {
    token_requests: Family<TokenLabels, Counter>,
}

/// The result is `issued`, or the error code of RFC 6749 that was answered: a closed set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    result: &'static str,
}

impl AuthMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counters = Self::default();
        metrics.register(|registry| {
            registry.register(
                "token_requests",
                "Requests at the token endpoint, by result",
                counters.token_requests.clone(),
            );
        });
        counters
    }

    pub(crate) fn token_request(&self, result: &'static str) {
        self.token_requests.get_or_create(&TokenLabels { result }).inc();
    }
}
