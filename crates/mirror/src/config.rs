//! Intervals and limits, each with its unit.

use std::time::Duration;

use lombard_log::checkpoint::VerifyingKey;
use serde::{Deserialize, Serialize};

/// How a log is mirrored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long one request waits at the source for new records.
    pub wait_ms: u64,
    /// How long an answer may take on top of that.
    pub answer_ms_max: u64,
    /// Longest answer that is read.
    pub answer_bytes_max: usize,
    /// The pause after a failure; doubled with each further one,
    pub retry_ms_min: u64,
    /// up to this.
    pub retry_ms_max: u64,
    /// How often the copy is compared with a new checkpoint.
    pub verify_ms: u64,
    /// Further behind than this, the role is not ready.
    pub lag_records_max: u64,
    /// The key that the source signs with, as `name+id+key`; where it is not said, the first one that it shows.
    pub key: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            wait_ms: 20_000,
            answer_ms_max: 10_000,
            answer_bytes_max: 32 << 20,
            retry_ms_min: 50,
            retry_ms_max: 2000,
            verify_ms: 1000,
            lag_records_max: 10_000,
            key: None,
        }
    }
}

impl Config {
    /// Every mistake in it, one line each.
    pub fn mistakes(&self) -> Vec<String> {
        let is_key = self.key.as_deref().is_none_or(|key| VerifyingKey::parse(key).is_ok());
        let checks = [
            (self.answer_ms_max > 0, "answer_ms_max is 0"),
            (self.answer_bytes_max >= 1 << 20, "answer_bytes_max is below 1048576"),
            (self.retry_ms_min > 0, "retry_ms_min is 0"),
            (self.retry_ms_min <= self.retry_ms_max, "retry_ms_min is over retry_ms_max"),
            (self.verify_ms > 0, "verify_ms is 0"),
            (is_key, "key is not of the form name+id+key"),
        ];
        let wrong = checks.into_iter().filter(|(is_right, _)| !is_right);
        wrong.map(|(_, mistake)| mistake.to_owned()).collect()
    }

    pub(crate) const fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }

    pub(crate) const fn verify_every(&self) -> Duration {
        Duration::from_millis(self.verify_ms)
    }

    /// How long to wait after so many failures, one after the other; at least one. Between half and all of the time, so
    /// that copies that lost their source together do not come back together.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let pause = self.retry_ms_min.saturating_mul(1 << doublings).min(self.retry_ms_max);
        let random = uuid::Uuid::new_v4().as_u64_pair().0 % (pause / 2 + 1);
        Duration::from_millis(pause - random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named() {
        assert_eq!(Config::default().mistakes(), Vec::<String>::new());
        let config =
            Config { retry_ms_min: 0, verify_ms: 0, key: Some("x".into()), ..Config::default() };
        assert_eq!(config.mistakes().len(), 3);
    }

    #[test]
    fn pauses_double_up_to_the_limit() {
        let config = Config { retry_ms_min: 100, retry_ms_max: 350, ..Config::default() };
        for (failures, most) in [(1, 100), (2, 200), (3, 350), (100, 350)] {
            let pause = config.pause(failures).as_millis();
            assert!((most / 2..=most).contains(&pause), "{failures}: {pause}");
        }
    }
}
