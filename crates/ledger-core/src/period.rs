//! Locked periods: time in which nothing may count any more.

use lombard_types::Timestamp;

/// Names a lock: 1 to 100 visible ASCII characters, such as `2026-03`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockName(Box<str>);

impl LockName {
    /// Longest, in bytes.
    pub const BYTES_MAX: usize = 100;

    /// Takes a name.
    pub fn new(text: &str) -> Result<Self, InvalidLockName> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        if text.is_empty() || text.len() > Self::BYTES_MAX || !is_visible {
            return Err(InvalidLockName);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text is no name of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {max} visible ASCII characters without '/'", max = LockName::BYTES_MAX)]
pub struct InvalidLockName;

/// No transfer whose effective time is in the period is accepted, unless it overrides locks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeriodLock {
    /// Names it.
    pub name: LockName,
    /// The first instant that is locked.
    pub from: Timestamp,
    /// The first instant that is not locked any more.
    pub until: Timestamp,
}

impl PeriodLock {
    /// Whether an instant is in the period.
    pub fn covers(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.until
    }
}
