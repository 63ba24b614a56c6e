//! How many requests are let through: a rate (the generic cell rate algorithm, ITU-T I.371), and a quota for a period.

use std::time::Duration;

/// So many requests in a period, of which a burst may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds between two requests at the full rate.
    interval: u64,
    /// How far ahead of the rate one may be.
    tolerance: u64,
    burst: u32,
    requests: u32,
    period: Duration,
}

/// A rate that limits nothing or everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rate has at least 1 and at most 1,000,000,000 requests in a period of 1 ms to 1 day, and a burst of at least 1"
)]
pub struct RateError;

/// How far beyond the burst others can bring a cell: five seconds.
const DEBT_NANOS_MAX: u64 = 5_000_000_000;

/// When the next request would be on time: all that is remembered of a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell(
    /// Nanoseconds since any fixed moment.
    pub u64,
);

/// What a caller is told of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request is let through.
    pub is_permitted: bool,
    /// How many more would be let through right now.
    pub remaining: u32,
    /// When the next one would be let through; zero where one would be right now.
    pub retry_after: Duration,
    /// When all is as before the first request.
    pub reset_after: Duration,
}

impl Rate {
    /// So many requests in a period; `burst` of them may come at once.
    pub fn new(requests: u32, period: Duration, burst: u32) -> Result<Self, RateError> {
        let nanos = u64::try_from(period.as_nanos()).map_err(|_| RateError)?;
        let is_period = (Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&period);
        if requests == 0 || requests > 1_000_000_000 || burst == 0 || !is_period {
            return Err(RateError);
        }
        let interval = (nanos / u64::from(requests)).max(1);
        let tolerance = interval.saturating_mul(u64::from(burst - 1));
        Ok(Self { interval, tolerance, burst, requests, period })
    }

    /// Requests that may come at once.
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// Requests in a period.
    pub const fn requests(&self) -> u32 {
        self.requests
    }

    /// The period.
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// Judges a request; one that is let through is counted. `now`: nanoseconds since the same moment as the cell's.
    pub fn admit(&self, cell: &mut Cell, now: u64) -> Verdict {
        let due = cell.0.max(now);
        let ahead = due - now;
        let is_permitted = ahead <= self.tolerance;
        if is_permitted {
            cell.0 = due.saturating_add(self.interval);
        }
        let ahead = cell.0.max(now) - now;
        // As many as fit between the time that is used up and the tolerance.
        let remaining = match self.tolerance.checked_sub(ahead) {
            Some(room) => u32::try_from(room / self.interval).unwrap_or(u32::MAX).saturating_add(1),
            None => 0,
        };
        Verdict {
            is_permitted,
            remaining,
            retry_after: Duration::from_nanos(ahead.saturating_sub(self.tolerance)),
            reset_after: Duration::from_nanos(ahead),
        }
    }

    /// Counts requests that others have let through, also where that is more than the rate: what is too much now is missing
    /// afterwards, so that all together keep the rate.
    pub fn charge(&self, cell: &mut Cell, now: u64, requests: u32) {
        let used = self.interval.saturating_mul(u64::from(requests));
        // Whoever says too much stops nobody for long.
        let latest = now.saturating_add(self.tolerance).saturating_add(DEBT_NANOS_MAX);
        cell.0 = cell.0.max(now).saturating_add(used).min(latest.max(cell.0));
    }

    /// Whether a cell says no more than one that was never used.
    pub const fn is_idle(cell: Cell, now: u64) -> bool {
        cell.0 <= now
    }
}

/// So many requests in each period of the calendar (UTC): an hour, a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub requests: u64,
    /// Of which period.
    pub period: Duration,
}

/// What was used of a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    period: u64,
    requests: u64,
}

impl Quota {
    /// Counts requests that others have let through.
    pub fn charge(&self, used: &mut Used, now: Duration, requests: u32) {
        let period = now.as_secs() / self.period.as_secs().max(1);
        if used.period != period {
            *used = Used { period, requests: 0 };
        }
        used.requests = used.requests.saturating_add(requests.into()).min(self.requests);
    }

    /// Judges a request; one that is let through is counted. `now`: since 1970.
    pub fn admit(&self, used: &mut Used, now: Duration) -> Verdict {
        let length = self.period.as_secs().max(1);
        let period = now.as_secs() / length;
        if used.period != period {
            *used = Used { period, requests: 0 };
        }
        let is_permitted = used.requests < self.requests;
        used.requests += u64::from(is_permitted);
        let left = self.requests - used.requests;
        let end = Duration::from_secs((period + 1).saturating_mul(length)).saturating_sub(now);
        Verdict {
            is_permitted,
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            retry_after: if left == 0 { end } else { Duration::ZERO },
            reset_after: end,
        }
    }

    /// Whether what was used is of a period that is over.
    pub fn is_over(&self, used: &Used, now: Duration) -> bool {
        now.as_secs() / self.period.as_secs().max(1) != used.period
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_and_then_the_rate() {
        let rate = Rate::new(10, Duration::from_secs(1), 3).unwrap();
        let mut cell = Cell::default();
        let now = 5 * SECOND;
        let remaining: Vec<_> = (0..3).map(|_| rate.admit(&mut cell, now).remaining).collect();
        assert_eq!(remaining, [2, 1, 0]);
        let refused = rate.admit(&mut cell, now);
        assert!(!refused.is_permitted);
        assert_eq!(refused.retry_after, Duration::from_millis(100));
        assert_eq!(refused.reset_after, Duration::from_millis(300));
        assert!(!rate.admit(&mut cell, now + SECOND / 10 - 1).is_permitted);
        assert!(rate.admit(&mut cell, now + SECOND / 10).is_permitted);
        assert!(!Rate::is_idle(cell, now) && Rate::is_idle(cell, now + SECOND));
        assert!(Rate::new(0, Duration::from_secs(1), 1).is_err());
        assert!(Rate::new(1, Duration::ZERO, 1).is_err());
        assert!(Rate::new(1, Duration::from_secs(1), 0).is_err());
    }

    #[test]
    fn a_quota_starts_anew_with_each_period() {
        let quota = Quota { requests: 2, period: Duration::from_secs(3600) };
        let mut used = Used::default();
        let at = |seconds: u64| Duration::from_secs(7200 + seconds);
        assert!(quota.admit(&mut used, at(0)).is_permitted);
        assert_eq!(quota.admit(&mut used, at(1)).remaining, 0);
        let refused = quota.admit(&mut used, at(600));
        assert!(!refused.is_permitted);
        assert_eq!(refused.retry_after, Duration::from_secs(3000));
        assert!(quota.is_over(&used, at(3600)) && !quota.is_over(&used, at(3599)));
        assert!(quota.admit(&mut used, at(3600)).is_permitted);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However requests come in, what is let through in any stretch of time is the rate and the burst; and where more
        /// come than are permitted, it is within 1 % of that.
        #[test]
        fn what_is_let_through_is_the_number(
            requests in prop::sample::select(vec![10_u32, 1000, 100_000]),
            burst in 2..50_u32,
            pressure in 2..5_u64,
            jitter in prop::collection::vec(0..1000_u64, 1..50),
        ) {
            let rate = Rate::new(requests, Duration::from_secs(1), burst).unwrap();
            let seconds = (2000 / u64::from(requests)).max(1) + 10_000 / u64::from(requests);
            let gap = SECOND / (u64::from(requests) * pressure);
            let (mut cell, mut now, mut let_through) = (Cell::default(), SECOND, 0_u64);
            for part in jitter.iter().cycle() {
                // Between half and one and a half of the gap.
                now += gap / 2 + gap * part / 1000;
                if now > SECOND + seconds * SECOND {
                    break;
                }
                let verdict = rate.admit(&mut cell, now);
                let_through += u64::from(verdict.is_permitted);
                prop_assert_eq!(verdict.is_permitted || verdict.retry_after > Duration::ZERO, true);
            }
            let permitted = u64::from(requests) * seconds;
            prop_assert!(let_through <= permitted + u64::from(burst));
            prop_assert!(let_through * 100 >= permitted * 99, "{} of {}", let_through, permitted);
        }
    }
}
