//! Limits and intervals, each with its unit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often a log is signed, and what a request may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long new records wait to be signed.
    pub checkpoint_interval_ms: u64,
    /// How many new records are signed sooner.
    pub checkpoint_records: u64,
    /// Records of one answer, at most.
    pub records_max: usize,
    /// Bytes of the records of one answer; a record that is larger is answered alone.
    pub records_bytes_max: usize,
    /// Proofs and reads under way at once; more of them wait.
    pub queries_max: usize,
    /// Requests for records that wait until there are any; one more is refused.
    pub waiters_max: usize,
    /// How long such a request may wait.
    pub wait_ms_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            checkpoint_interval_ms: 1000,
            checkpoint_records: 100_000,
            records_max: 1000,
            records_bytes_max: 1 << 20,
            queries_max: 4,
            waiters_max: 64,
            wait_ms_max: 30_000,
        }
    }
}

impl Config {
    /// Every mistake in it, one line each.
    pub fn mistakes(&self) -> Vec<String> {
        let at_least = [
            ("checkpoint_interval_ms", self.checkpoint_interval_ms > 0),
            ("checkpoint_records", self.checkpoint_records > 0),
            ("records_max", self.records_max > 0),
            ("records_bytes_max", self.records_bytes_max > 0),
            ("queries_max", self.queries_max > 0),
            ("waiters_max", self.waiters_max > 0),
        ];
        let wrong = at_least.into_iter().filter(|(_, is_right)| !is_right);
        let mut mistakes: Vec<_> = wrong.map(|(name, _)| format!("{name} is 0")).collect();
        if self.records_bytes_max > 8 << 20 {
            mistakes.push("records_bytes_max is over 8388608".to_owned());
        }
        mistakes
    }

    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.checkpoint_interval_ms)
    }
}
