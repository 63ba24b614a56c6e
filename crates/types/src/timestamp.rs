//! Instants, in nanoseconds.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z. Reaches to the year 2262 (an `i64` of nanoseconds, so that
/// every database and language can hold it).
///
/// Its text form is RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The latest instant that can be represented.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The instant `nanos` nanoseconds after the epoch; later than [`Self::MAX`] becomes [`Self::MAX`].
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        if nanos > Self::MAX.0 { Self::MAX } else { Self(nanos) }
    }

    /// The instant `seconds` after the epoch.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self::from_unix_nanos(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn unix_nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// The instant `duration` later, at most [`Self::MAX`].
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self::from_unix_nanos(self.0.saturating_add(nanos))
    }

    /// How much later this is than `earlier`; zero where it is not later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// What a system clock's reading is. Before the epoch counts as the epoch.
    pub fn from_system_time(time: SystemTime) -> Self {
        Self::EPOCH.plus(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            // Passes the precision on: `{:.3}` shows milliseconds.
            Ok(instant) => fmt::Display::fmt(&instant, f),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| ParseTimestampError)?;
        let nanos = u64::try_from(instant.as_nanosecond()).map_err(|_| ParseTimestampError)?;
        if nanos > Self::MAX.0 {
            return Err(ParseTimestampError);
        }
        Ok(Self(nanos))
    }
}

/// A text is not an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 instant from 1970 on, such as 2026-01-31T09:30:00Z")]
pub struct ParseTimestampError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_cannot_be_held() {
        for text in ["1969-12-31T23:59:59Z", "2026-01-31", "yesterday", "9999-01-01T00:00:00Z", ""]
        {
            assert_eq!(text.parse::<Timestamp>(), Err(ParseTimestampError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(nanos in 0..=i64::MAX as u64) {
            let instant = Timestamp::from_unix_nanos(nanos);
            prop_assert_eq!(instant.to_string().parse::<Timestamp>(), Ok(instant));
        }
    }
}
