//! What is concluded about one instance from one answer after the other.

use super::{Failure, Outcome};
use crate::{Check, Health, Uptime};

/// By what silence is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbePolicy {
    /// The share of a service's instances, in percent, that must be silent for that not to be held against them. 0 for
    /// never.
    pub preserve_percent: u8,
    /// How many times the failures that otherwise count an instance gets, where it is preserved.
    pub preserve_times: u32,
}

/// News about an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub health: Health,
    /// Why, where it is critical.
    pub failure: Option<Failure>,
}

/// Fewer than this are no crowd.
const MANY_MIN: usize = 2;

impl ProbePolicy {
    pub(super) fn are_many(self, silent: usize, all: usize) -> bool {
        let percent = usize::from(self.preserve_percent);
        percent > 0 && silent >= MANY_MIN && silent * 100 >= all * percent
    }
}

/// What is known of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    health: Health,
    /// In a row, up to now.
    successes: u32,
    failures: u32,
    /// Whether the last answer was none, for a reason that may not be the instance's.
    is_silent: bool,
    /// When it was asked last.
    asked_at: Option<Uptime>,
    /// When the failures in a row began.
    failing_since: Option<Uptime>,
}

impl Status {
    pub(super) const fn first(check: &Check) -> Self {
        let health = if check.begins_passing { Health::Passing } else { Health::Starting };
        let (asked_at, failing_since) = (None, None);
        Self { health, successes: 0, failures: 0, is_silent: false, asked_at, failing_since }
    }

    pub(super) const fn recall(&mut self, health: Health) {
        self.health = health;
    }

    pub(super) const fn health(&self) -> Health {
        self.health
    }

    pub(super) const fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Whether it was asked since another began to fail: of those that were not, nothing is known that says anything.
    pub(super) fn was_asked_since(&self, other: &Self) -> bool {
        self.asked_at >= other.failing_since
    }

    pub(super) fn count(&mut self, outcome: Outcome, now: Uptime) {
        self.asked_at = Some(now);
        match outcome {
            Outcome::Passing | Outcome::Warning => {
                self.successes = self.successes.saturating_add(1);
                (self.failures, self.is_silent, self.failing_since) = (0, false, None);
            }
            Outcome::Failed(failure) => {
                self.failures = self.failures.saturating_add(1);
                (self.successes, self.is_silent) = (0, failure.is_silence());
                self.failing_since = self.failing_since.or(Some(now));
            }
        }
    }

    pub(super) fn conclude(
        &mut self,
        outcome: Outcome,
        check: &Check,
        is_silence_of_many: bool,
        policy: ProbePolicy,
    ) -> Option<Finding> {
        let (health, failure) = match outcome {
            Outcome::Passing | Outcome::Warning => {
                if self.successes < u32::from(check.successes_min) && !self.health.can_serve() {
                    return None;
                }
                let is_passing = outcome == Outcome::Passing;
                (if is_passing { Health::Passing } else { Health::Warning }, None)
            }
            Outcome::Failed(failure) => {
                let needed = u32::from(check.failures_min);
                // Who serves goes on serving for a while; who does not loses nothing.
                let is_kept = is_silence_of_many && self.health.can_serve();
                let needed = if is_kept { needed * policy.preserve_times } else { needed };
                if self.failures < needed {
                    return None;
                }
                (Health::Critical, Some(failure))
            }
        };
        (std::mem::replace(&mut self.health, health) != health)
            .then_some(Finding { health, failure })
    }
}
