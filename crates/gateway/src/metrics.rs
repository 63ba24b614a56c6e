//! What the gateway counts. Labels are from closed sets: no path, service or client can make a new series.

use std::time::Duration;

use lombard_chassis::Metrics;
use lombard_gateway_core::RouteFamily;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
};

/// The gateway's counters. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct GatewayMetrics {
    requests: Family<RequestLabels, Counter>,
    upstream_failures: Family<FailureLabels, Counter>,
    upstream_retries: Counter,
    refused_framings: Counter,
    in_flight: Gauge,
    seconds: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    kind: &'static str,
}

const STATUS_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl GatewayMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self {
            requests: Family::default(),
            upstream_failures: Family::default(),
            upstream_retries: Counter::default(),
            refused_framings: Counter::default(),
            in_flight: Gauge::default(),
            // 0.25 ms doubled 17 times: 32.8 s, past the default timeout of an upstream.
            seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 18)),
        };
        // Made now, so that a scrape shows every series from the start, at zero.
        for family in RouteFamily::ALL {
            for status in STATUS_CLASSES {
                drop(own.requests.get_or_create(&RequestLabels { route: family.name(), status }));
            }
        }
        for kind in ["unreachable", "broken", "timeout"] {
            drop(own.upstream_failures.get_or_create(&FailureLabels { kind }));
        }
        metrics.register(|registry| {
            let requests = own.requests.clone();
            registry.register("requests", "Requests, by route family and status class", requests);
            let failures = own.upstream_failures.clone();
            registry.register(
                "upstream_failures",
                "Requests without a response, by kind",
                failures,
            );
            let retries = own.upstream_retries.clone();
            registry.register("upstream_retries", "Tries after the first", retries);
            let refused = own.refused_framings.clone();
            registry.register("refused_framings", "Connections with ambiguous bytes", refused);
            registry.register("in_flight", "Requests under way", own.in_flight.clone());
            let help = "Seconds from a request's head to its response's head";
            registry.register("request_seconds", help, own.seconds.clone());
        });
        own
    }

    pub(crate) fn answered(&self, family: RouteFamily, status: http::StatusCode, took: Duration) {
        let status = match status.as_u16() {
            100..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&RequestLabels { route: family.name(), status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn upstream_failed(&self, kind: &'static str) {
        self.upstream_failures.get_or_create(&FailureLabels { kind }).inc();
    }

    pub(crate) fn retried(&self) {
        self.upstream_retries.inc();
    }

    pub(crate) fn framing_refused(&self) {
        self.refused_framings.inc();
    }

    /// One request more is under way, until the guard is dropped.
    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
