//! What the gateway counts. Labels are from closed sets: no path, service or client can make a new series.

use std::{cell::Cell, rc::Rc, time::Duration};

use lombard_chassis::Metrics;
use lombard_gateway_core::RouteFamily;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, NativeHistogramConfig, exponential_buckets},
    },
};

/// The gateway's counters. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct GatewayMetrics {
    requests: Family<RequestLabels, Counter>,
    upstream_failures: Family<FailureLabels, Counter>,
    upstream_retries: Counter,
    refused_retries: Counter,
    shed: Family<ShedLabels, Counter>,
    refused_framings: Counter,
    failed_exchanges: Counter,
    pub(crate) lost_lines: Counter,
    pub(crate) lost_events: Counter,
    pub(crate) lost_spans: Counter,
    in_flight: Gauge,
    waiting_connections: Gauge,
    seconds: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShedLabels {
    reason: &'static str,
}

/// Why a request was refused that was in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    Overloaded,
    CircuitOpen,
    Limited,
}

impl Shed {
    const ALL: [Self; 3] = [Self::Overloaded, Self::CircuitOpen, Self::Limited];

    const fn name(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::CircuitOpen => "circuit_open",
            Self::Limited => "limited",
        }
    }
}

/// The counters of one route, by class of status.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteCounters([Counter; STATUS_CLASSES.len()]);

impl RouteCounters {
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(Counter::get).sum()
    }

    /// How many were answered, by class of status.
    pub(crate) fn by_class(&self) -> impl Iterator<Item = (&'static str, u64)> {
        STATUS_CLASSES.into_iter().zip(self.0.iter().map(Counter::get))
    }

    fn count(&self, status: http::StatusCode) {
        let class = match status.as_u16() {
            100..=299 => 0,
            300..=399 => 1,
            400..=499 => 2,
            _ => 3,
        };
        if let Some(counter) = self.0.get(class) {
            counter.inc();
        }
    }
}

const STATUS_CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl GatewayMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self {
            requests: Family::default(),
            upstream_failures: Family::default(),
            upstream_retries: Counter::default(),
            refused_retries: Counter::default(),
            shed: Family::default(),
            refused_framings: Counter::default(),
            failed_exchanges: Counter::default(),
            lost_lines: Counter::default(),
            lost_events: Counter::default(),
            lost_spans: Counter::default(),
            in_flight: Gauge::default(),
            waiting_connections: Gauge::default(),
            // 0.25 ms doubled 17 times: 32.8 s, past the default timeout of an upstream. Beside them native buckets that are
            // an eighth of a doubling wide; from a microsecond to a day there are fewer than 300 of them.
            seconds: Histogram::new_classic_and_native(
                exponential_buckets(0.000_25, 2.0, 18),
                NativeHistogramConfig::with_schema(3).zero_threshold(0.000_001),
            ),
        };
        // Made now, so that a scrape shows every series from the start, at zero.
        for family in RouteFamily::ALL {
            drop(own.route(family.name()));
        }
        for reason in Shed::ALL {
            drop(own.shed.get_or_create(&ShedLabels { reason: reason.name() }));
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
            let refused = own.refused_retries.clone();
            registry.register("refused_retries", "Tries that the budget had no room for", refused);
            let shed = own.shed.clone();
            registry.register("shed", "Requests refused though they were in order", shed);
            let lost = own.lost_lines.clone();
            registry.register("lost_access_log_lines", "Lines that were not written in time", lost);
            let lost = own.lost_events.clone();
            registry.register("lost_audit_events", "Events that were not appended in time", lost);
            let lost = own.lost_spans.clone();
            registry.register("lost_spans", "Spans that were not sent in time", lost);
            let refused = own.refused_framings.clone();
            registry.register("refused_framings", "Connections with ambiguous bytes", refused);
            let failed = own.failed_exchanges.clone();
            let help = "Messages on limits that another gateway did not take";
            registry.register("failed_limit_exchanges", help, failed);
            registry.register("in_flight", "Requests under way", own.in_flight.clone());
            let help = "Connections that wait for their next request without buffers";
            registry.register("waiting_connections", help, own.waiting_connections.clone());
            let help = "Seconds from a request's head to its response's head";
            registry.register("request_seconds", help, own.seconds.clone());
        });
        own
    }

    /// The counters of a route, or of a family of routes. Made once, not for each request.
    pub(crate) fn route(&self, route: &str) -> RouteCounters {
        let of = |status| {
            let labels = RequestLabels { route: route.to_owned(), status };
            self.requests.get_or_create(&labels).clone()
        };
        RouteCounters(STATUS_CLASSES.map(of))
    }

    /// A route that is not there any more takes its series along. What a family of routes has in common with it stays.
    pub(crate) fn forget_route(&self, route: &str) {
        if RouteFamily::ALL.iter().any(|family| family.name() == route) {
            return;
        }
        for status in STATUS_CLASSES {
            self.requests.remove(&RequestLabels { route: route.to_owned(), status });
        }
    }

    pub(crate) fn answered(
        &self,
        counters: &RouteCounters,
        status: http::StatusCode,
        took: Duration,
    ) {
        counters.count(status);
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn shed(&self, reason: Shed) {
        self.shed.get_or_create(&ShedLabels { reason: reason.name() }).inc();
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }

    /// How many were refused that were in order, by reason.
    pub(crate) fn shed_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Shed::ALL.into_iter().map(|reason| {
            let labels = ShedLabels { reason: reason.name() };
            (reason.name(), self.shed.get_or_create(&labels).get())
        })
    }

    pub(crate) fn retry_refused(&self) {
        self.refused_retries.inc();
    }

    pub(crate) fn upstream_failed(&self, kind: &'static str) {
        self.upstream_failures.get_or_create(&FailureLabels { kind }).inc();
    }

    pub(crate) fn retried(&self) {
        self.upstream_retries.inc();
    }

    /// Messages to other gateways that were not taken.
    pub(crate) fn not_shared(&self, count: usize) {
        self.failed_exchanges.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub(crate) fn framing_refused(&self) {
        self.refused_framings.inc();
    }

    /// One connection more waits for its next request, until the guard is dropped.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting_connections.inc();
        Waiting(self.waiting_connections.clone())
    }

    /// One request more is under way, until the guard is dropped. `of_worker` counts those of one worker.
    pub(crate) fn begin(&self, of_worker: &Rc<Cell<usize>>) -> InFlight {
        self.in_flight.inc();
        of_worker.set(of_worker.get() + 1);
        InFlight { gauge: self.in_flight.clone(), of_worker: Rc::clone(of_worker) }
    }
}

/// A connection that waits.
#[derive(Debug)]
pub(crate) struct Waiting(Gauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct InFlight {
    gauge: Gauge,
    of_worker: Rc<Cell<usize>>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.dec();
        self.of_worker.set(self.of_worker.get() - 1);
    }
}
