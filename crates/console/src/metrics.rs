//! What the console counts.

use lombard_chassis::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

/// The console's counters. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConsoleMetrics {
    pages: Family<ResultLabels, Counter>,
    calls: Family<ResultLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// How a request for the page ended: a closed set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PageResult {
    Shown,
    /// Without credentials, or with wrong ones.
    Unauthenticated,
    Overloaded,
}

impl PageResult {
    const ALL: [Self; 3] = [Self::Shown, Self::Unauthenticated, Self::Overloaded];

    const fn name(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Unauthenticated => "unauthenticated",
            Self::Overloaded => "overloaded",
        }
    }
}

impl ConsoleMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counters = Self::default();
        // Made now, so that a scrape shows every result from the start, at zero.
        for result in PageResult::ALL {
            drop(counters.pages.get_or_create(&ResultLabels { result: result.name() }));
        }
        for is_answered in [true, false] {
            drop(counters.calls.get_or_create(&call_labels(is_answered)));
        }
        metrics.register(|registry| {
            registry.register("pages", "Pages asked for, by result", counters.pages.clone());
            let help = "Calls to the platform, by whether a whole answer came in time";
            registry.register("calls", help, counters.calls.clone());
        });
        counters
    }

    pub(crate) fn page(&self, result: PageResult) {
        self.pages.get_or_create(&ResultLabels { result: result.name() }).inc();
    }

    pub(crate) fn call(&self, is_answered: bool) {
        self.calls.get_or_create(&call_labels(is_answered)).inc();
    }
}

const fn call_labels(is_answered: bool) -> ResultLabels {
    ResultLabels { result: if is_answered { "answered" } else { "failed" } }
}
