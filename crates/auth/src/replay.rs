//! Assertions that were used: each is good once (RFC 7523 section 3, rule 7).

use std::collections::{BTreeMap, HashSet};

use aws_lc_rs::digest;
use lombard_types::Timestamp;
use parking_lot::Mutex;

/// The assertions that could still be replayed.
#[derive(Debug)]
pub(crate) struct UsedAssertions {
    inner: Mutex<Inner>,
    count_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    seen: HashSet<[u8; 32]>,
    /// By the second in which they expire, so that they are forgotten by the second.
    by_expiry: BTreeMap<u64, Vec<[u8; 32]>>,
}

/// What using an assertion gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    First,
    Replay,
    /// Too many are remembered already, so that a replay could not be told.
    Full,
}

impl UsedAssertions {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { inner: Mutex::default(), count_max }
    }

    /// Uses an assertion, once.
    pub(crate) fn spend(
        &self,
        client_id: &str,
        token_id: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Use {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(client_id.as_bytes());
        // Neither a client's id nor the separator can be confused with the id of the assertion.
        context.update(&[0]);
        context.update(token_id.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());

        let mut inner = self.inner.lock();
        inner.forget(now);
        if inner.seen.contains(&key) {
            return Use::Replay;
        }
        if inner.seen.len() >= self.count_max {
            return Use::Full;
        }
        inner.seen.insert(key);
        inner.by_expiry.entry(expires_at.unix_seconds()).or_default().push(key);
        Use::First
    }
}

impl Inner {
    /// Forgets what has expired before the current second.
    fn forget(&mut self, now: Timestamp) {
        let current = self.by_expiry.split_off(&now.unix_seconds());
        for key in std::mem::replace(&mut self.by_expiry, current).into_values().flatten() {
            self.seen.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_until_it_expires() {
        let used = UsedAssertions::new(2);
        let at = Timestamp::from_unix_seconds;
        assert_eq!(used.spend("a", "1", at(100), at(50)), Use::First);
        assert_eq!(used.spend("a", "1", at(100), at(100)), Use::Replay);
        assert_eq!(used.spend("b", "1", at(100), at(100)), Use::First);
        assert_eq!(used.spend("c", "1", at(100), at(100)), Use::Full);
        assert_eq!(used.spend("c", "1", at(200), at(101)), Use::First);
    }
}
