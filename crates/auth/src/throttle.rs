//! Logins that fail, counted by account and by address.
//!
//! Whoever tries many passwords is slowed down, and the owner of the account is not locked out by it: a browser in which the
//! owner has logged in before is counted on its own.

use std::{collections::HashMap, hash::Hash, time::Duration};

use lombard_types::Timestamp;
use parking_lot::Mutex;

/// Failures that still count.
#[derive(Debug)]
pub(crate) struct LoginThrottle {
    counts: Mutex<HashMap<Bucket, Count>>,
    limits: ThrottleLimits,
}

/// How many failures are let pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThrottleLimits {
    /// Of one account, and of one known browser of it.
    pub(crate) per_account: u32,
    /// From one address.
    pub(crate) per_address: u32,
    /// Of one person's second factor, and of one known browser of it.
    pub(crate) per_second_factor: u32,
    /// After how long a failure does not count any more.
    pub(crate) window: Duration,
    /// Accounts, browsers and addresses that are counted.
    pub(crate) buckets_max: usize,
}

/// What failures are counted for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bucket {
    /// An account, from browsers that are not known.
    Account(String),
    /// A known browser of an account.
    KnownBrowser([u8; 32]),
    /// The second factor of a person, from browsers that are not known, or in a known browser.
    SecondFactor([u8; 32]),
    /// An address.
    Address(String),
}

#[derive(Clone, Copy, Debug)]
struct Count {
    failures: u32,
    since: Timestamp,
}

impl LoginThrottle {
    pub(crate) fn new(limits: ThrottleLimits) -> Self {
        Self { counts: Mutex::default(), limits }
    }

    /// Counts a try in advance, so that many at once count too; or how long to wait where there were too many.
    pub(crate) fn try_login(&self, buckets: &[Bucket], now: Timestamp) -> Result<(), Duration> {
        let mut counts = self.counts.lock();
        if counts.len() + buckets.len() > self.limits.buckets_max {
            counts.retain(|_, count| self.ends(count) > now);
        }
        // Only with as many addresses at work can it be full, and then it is no time to be generous.
        if counts.len() + buckets.len() > self.limits.buckets_max {
            return Err(self.limits.window);
        }
        let wait = buckets.iter().filter_map(|bucket| {
            let count = counts.get(bucket).filter(|count| self.ends(count) > now)?;
            let left = self.ends(count).unix_nanos().saturating_sub(now.unix_nanos());
            (count.failures >= self.limit(bucket)).then_some(Duration::from_nanos(left))
        });
        if let Some(wait) = wait.max() {
            return Err(wait);
        }
        for bucket in buckets {
            let count = counts.entry(bucket.clone()).or_insert(Count { failures: 0, since: now });
            if self.ends(count) <= now {
                *count = Count { failures: 0, since: now };
            }
            count.failures += 1;
        }
        Ok(())
    }

    /// The try was no failure.
    pub(crate) fn succeeded(&self, buckets: &[Bucket]) {
        let mut counts = self.counts.lock();
        for bucket in buckets {
            match bucket {
                // One who knows one password must not get to try others without limit.
                Bucket::Address(_) => {
                    if let Some(count) = counts.get_mut(bucket) {
                        count.failures = count.failures.saturating_sub(1);
                    }
                }
                Bucket::Account(_) | Bucket::KnownBrowser(_) | Bucket::SecondFactor(_) => {
                    counts.remove(bucket);
                }
            }
        }
    }

    fn ends(&self, count: &Count) -> Timestamp {
        count.since.plus(self.limits.window)
    }

    fn limit(&self, bucket: &Bucket) -> u32 {
        match bucket {
            Bucket::Account(_) | Bucket::KnownBrowser(_) => self.limits.per_account,
            Bucket::SecondFactor(_) => self.limits.per_second_factor,
            Bucket::Address(_) => self.limits.per_address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> LoginThrottle {
        LoginThrottle::new(ThrottleLimits {
            per_account: 3,
            per_address: 5,
            per_second_factor: 2,
            window: Duration::from_secs(60),
            buckets_max: 6,
        })
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn stranger(account: &str, address: &str) -> [Bucket; 2] {
        [Bucket::Account(account.to_owned()), Bucket::Address(address.to_owned())]
    }

    #[test]
    fn strangers_are_slowed_down_and_the_owner_is_not() {
        let throttle = throttle();
        for _ in 0..3 {
            assert_eq!(throttle.try_login(&stranger("ada", "1"), at(100)), Ok(()));
        }
        let wait = Err(Duration::from_secs(50));
        assert_eq!(throttle.try_login(&stranger("ada", "2"), at(110)), wait, "from anywhere");
        let owner = [Bucket::KnownBrowser([1; 32]), Bucket::Address("3".to_owned())];
        assert_eq!(throttle.try_login(&owner, at(110)), Ok(()));
        assert_eq!(throttle.try_login(&stranger("ada", "2"), at(160)), Ok(()), "after a while");
    }

    #[test]
    fn codes_are_tried_less_often_than_passwords() {
        let throttle = throttle();
        let code =
            |of, address: &str| [Bucket::SecondFactor(of), Bucket::Address(address.to_owned())];
        for _ in 0..2 {
            throttle.try_login(&code([1; 32], "1"), at(1)).unwrap();
        }
        assert!(throttle.try_login(&code([1; 32], "2"), at(1)).is_err(), "from anywhere");
        assert!(throttle.try_login(&code([2; 32], "2"), at(1)).is_ok(), "the owner's browser");
        throttle.succeeded(&code([1; 32], "1"));
        assert!(throttle.try_login(&code([1; 32], "3"), at(1)).is_ok());
    }

    #[test]
    fn an_address_that_tries_many_accounts_is_slowed_down_also_if_it_owns_one() {
        let throttle = throttle();
        for account in ["a", "b"] {
            throttle.try_login(&stranger(account, "1"), at(1)).unwrap();
            throttle.try_login(&stranger(account, "1"), at(1)).unwrap();
            throttle.try_login(&stranger("own", "1"), at(1)).unwrap();
            throttle.succeeded(&stranger("own", "1"));
        }
        throttle.try_login(&stranger("c", "1"), at(1)).unwrap();
        assert!(throttle.try_login(&stranger("own", "1"), at(1)).is_err());
        assert!(throttle.try_login(&stranger("own", "2"), at(1)).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let throttle = throttle();
        for account in ["a", "b", "c"] {
            throttle.try_login(&stranger(account, account), at(1)).unwrap();
        }
        assert_eq!(throttle.try_login(&stranger("d", "d"), at(1)), Err(Duration::from_secs(60)));
        assert_eq!(throttle.try_login(&stranger("d", "d"), at(61)), Ok(()));
    }
}
