//! What one run of one contender gave.

use std::time::Duration;

use hdrhistogram::Histogram;

/// How long operations took, in microseconds with three digits.
pub type Latencies = Histogram<u64>;

/// One run.
#[derive(Clone, Debug)]
pub struct Sample {
    /// How many operations were done, in whatever unit the claim counts.
    pub operations: u64,
    /// In how long.
    pub elapsed: Duration,
    /// The measured process's CPU time meanwhile.
    pub cpu: Duration,
    /// Of each request, which may be many operations. Empty where there are none.
    pub latencies: Latencies,
}

impl Sample {
    /// A run without latencies.
    pub fn new(operations: u64, elapsed: Duration, cpu: Duration) -> Self {
        Self { operations, elapsed, cpu, latencies: latencies() }
    }

    /// Operations a second.
    pub fn rate(&self) -> f64 {
        as_f64(self.operations) / self.elapsed.as_secs_f64()
    }

    /// CPU time of one operation, in microseconds.
    pub fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / as_f64(self.operations.max(1))
    }

    /// The latency that so many of 100 requests stay below, in milliseconds.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        as_f64(self.latencies.value_at_percentile(percent)) / 1e3
    }
}

/// An empty histogram: of up to a minute, in microseconds.
pub fn latencies() -> Latencies {
    Latencies::new_with_bounds(1, 60_000_000, 3).expect("the bounds are right")
}

pub(crate) fn as_f64(number: u64) -> f64 {
    // Exact up to 2^53, which nothing here comes near.
    number as f64
}
