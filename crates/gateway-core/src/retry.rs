//! How many requests may be sent again, and whether an upstream is asked at all.

use std::time::Duration;

/// Retries that are left: a part of the requests that were sent, and a few in any case. Without a budget, retries double the
/// load of an upstream just when it has too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// In thousandths of a retry.
    left: u32,
}

/// What a retry costs.
const RETRY: u32 = 1000;
/// What is left at first, and at most.
const LEFT_MAX: u32 = 10 * RETRY;

impl Default for RetryBudget {
    fn default() -> Self {
        Self { left: LEFT_MAX }
    }
}

impl RetryBudget {
    /// The budget as a number, to be kept in an atomic.
    pub const fn to_bits(self) -> u32 {
        self.left
    }

    /// The other way round.
    pub const fn from_bits(left: u32) -> Self {
        Self { left }
    }

    /// A request was sent for the first time; `percent` of those may be sent again.
    pub fn sent(&mut self, percent: u32) {
        self.left = self.left.saturating_add(percent.saturating_mul(RETRY / 100)).min(LEFT_MAX);
    }

    /// Whether another retry is permitted; if so it is counted.
    pub fn take(&mut self) -> bool {
        match self.left.checked_sub(RETRY) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// When an upstream is not asked any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// Failures in percent of the requests of a window.
    pub failure_percent: u32,
    /// Requests of a window, below which nothing is concluded.
    pub requests_min: u32,
    /// How long a window is.
    pub window: Duration,
    /// How long nobody is let through.
    pub open: Duration,
}

/// A circuit breaker: closed, and counting; open, and refusing; then half open, with one request at a time that shows
/// whether the upstream is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    state: BreakerState,
}

/// What a breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All are let through.
    Closed {
        /// When the window began.
        since: Duration,
        /// Requests that ended in it.
        requests: u32,
        /// Those of them that failed.
        failures: u32,
    },
    /// Nobody is let through.
    Open {
        /// Until then.
        until: Duration,
    },
    /// One is on its way.
    HalfOpen {
        /// Where it never ends, another one may try then.
        until: Duration,
    },
}

impl Default for BreakerState {
    fn default() -> Self {
        Self::Closed { since: Duration::ZERO, requests: 0, failures: 0 }
    }
}

impl Breaker {
    /// Whether a request may be sent; else how long to wait.
    pub fn admit(&mut self, rules: &BreakerRules, now: Duration) -> Result<(), Duration> {
        match self.state {
            BreakerState::Closed { .. } => Ok(()),
            BreakerState::Open { until } | BreakerState::HalfOpen { until } if now < until => {
                Err(until.saturating_sub(now))
            }
            BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => {
                self.state = BreakerState::HalfOpen { until: now + rules.open };
                Ok(())
            }
        }
    }

    /// Requests ended, so many well and so many not. Says whether this opened the breaker.
    pub fn record(
        &mut self,
        successes: u32,
        new_failures: u32,
        rules: &BreakerRules,
        now: Duration,
    ) -> bool {
        match &mut self.state {
            BreakerState::Closed { since, requests, failures } => {
                if now.saturating_sub(*since) >= rules.window {
                    (*since, *requests, *failures) = (now, 0, 0);
                }
                *requests = requests.saturating_add(successes).saturating_add(new_failures);
                *failures = failures.saturating_add(new_failures);
                let is_bad = u64::from(*failures) * 100
                    >= u64::from(*requests) * u64::from(rules.failure_percent);
                if new_failures > 0 && *requests >= rules.requests_min && is_bad {
                    self.state = BreakerState::Open { until: now + rules.open };
                    return true;
                }
                false
            }
            BreakerState::HalfOpen { .. } if new_failures > 0 => {
                self.state = BreakerState::Open { until: now + rules.open };
                true
            }
            BreakerState::HalfOpen { .. } => {
                self.state = BreakerState::Closed { since: now, requests: 0, failures: 0 };
                false
            }
            // Sent before it opened.
            BreakerState::Open { .. } => false,
        }
    }

    /// What it does.
    pub const fn state(&self) -> BreakerState {
        self.state
    }
}

/// Who is refused first when there is too much to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Refused first: reports, exports.
    Low,
    /// In between.
    #[default]
    Normal,
    /// Refused last: payments.
    High,
}

impl Priority {
    /// How many requests may be under way before one of this priority is refused, where `limit` may be in all.
    pub const fn limit(self, limit: usize) -> usize {
        match self {
            Self::Low => limit / 2,
            Self::Normal => limit - limit / 5,
            Self::High => limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: BreakerRules = BreakerRules {
        failure_percent: 50,
        requests_min: 4,
        window: Duration::from_secs(10),
        open: Duration::from_secs(5),
    };

    #[test]
    fn a_breaker_opens_tries_and_closes() {
        let at = Duration::from_secs;
        let mut breaker = Breaker::default();
        for (is_failure, opens) in [(true, false), (false, false), (true, false), (true, true)] {
            assert_eq!(breaker.admit(&RULES, at(1)), Ok(()));
            let (well, not) = (u32::from(!is_failure), u32::from(is_failure));
            assert_eq!(breaker.record(well, not, &RULES, at(1)), opens);
        }
        assert_eq!(breaker.admit(&RULES, at(2)), Err(at(4)));
        assert!(!breaker.record(1, 0, &RULES, at(3)), "sent before it opened");
        assert_eq!(breaker.admit(&RULES, at(6)), Ok(()));
        assert_eq!(breaker.admit(&RULES, at(6)), Err(at(5)), "one at a time");
        assert!(breaker.record(0, 1, &RULES, at(7)));
        assert_eq!(breaker.admit(&RULES, at(12)), Ok(()));
        assert_eq!(breaker.admit(&RULES, at(17)), Ok(()), "the one before never ended");
        assert!(!breaker.record(1, 0, &RULES, at(18)));
        assert!(matches!(breaker.state(), BreakerState::Closed { requests: 0, .. }));
        // A window that is over counts for nothing.
        for _ in 0..3 {
            assert!(!breaker.record(0, 1, &RULES, at(19)));
        }
        assert!(!breaker.record(0, 1, &RULES, at(29)));
    }

    #[test]
    fn the_least_important_are_refused_first() {
        let limits = [Priority::Low, Priority::Normal, Priority::High].map(|each| each.limit(100));
        assert_eq!(limits, [50, 80, 100]);
        assert_eq!(Priority::Normal.limit(1), 1);
    }

    proptest! {
        /// However requests and retries are mixed, no more are sent again than the part, and the few at first.
        #[test]
        fn a_budget_is_never_exceeded(
            percent in 0..=100_u32,
            wishes in prop::collection::vec(any::<bool>(), 0..2000),
        ) {
            let mut budget = RetryBudget::default();
            let (mut sent, mut again) = (0_u32, 0_u32);
            for is_retry in wishes {
                if !is_retry {
                    budget.sent(percent);
                    sent += 1;
                } else if budget.take() {
                    again += 1;
                }
            }
            prop_assert!(again * 100 <= sent * percent + 1000);
        }
    }
}
