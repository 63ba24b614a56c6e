//! The lease that an instance is registered under.

use std::{fmt, str::FromStr, time::Duration};

use lombard_types::{InstanceId, ServiceName};

/// Names one lease. Random, and told to nobody but the one who registered: whoever knows it may renew it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(u128);

impl LeaseId {
    /// The id with this number.
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for LeaseId {
    /// It is a capability, so it stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseId(..)")
    }
}

impl FromStr for LeaseId {
    type Err = ParseLeaseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return Err(ParseLeaseIdError);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| ParseLeaseIdError)
    }
}

/// A text is not the id of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 32 hexadecimal digits in small letters, as the registration answered it")]
pub struct ParseLeaseIdError;

/// How long a lease lives without being renewed: 1 to 3600 whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u16);

impl Ttl {
    /// The shortest.
    pub const MIN: Self = Self(1);
    /// The longest.
    pub const MAX: Self = Self(3600);

    /// A time to live of `seconds`.
    pub fn from_seconds(seconds: u64) -> Result<Self, TtlOutOfRange> {
        match u16::try_from(seconds).map(Self) {
            Ok(ttl) if (Self::MIN..=Self::MAX).contains(&ttl) => Ok(ttl),
            _ => Err(TtlOutOfRange { seconds }),
        }
    }

    /// Whole seconds.
    pub const fn seconds(self) -> u16 {
        self.0
    }

    /// The same as a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

/// A time to live is not from 1 to 3600 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lease lives 1 to 3600 seconds, not {seconds}")]
pub struct TtlOutOfRange {
    /// What was asked for.
    pub seconds: u64,
}

/// A lease as it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// How long it lives without being renewed.
    pub ttl: Ttl,
    /// How long its instance stays, without traffic, after the lease has run out. Renewed in that time, it is back.
    /// Whole seconds; with 0 the instance is gone at once.
    pub deregister_after_seconds: u32,
    /// Whether it lives until the instance is taken out, renewed or not.
    pub is_permanent: bool,
}

/// One instance of one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey {
    /// The service.
    pub service: ServiceName,
    /// The instance, unique within the service.
    pub instance: InstanceId,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling_and_do_not_leak() {
        let id = LeaseId::from_u128(0xab);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(!format!("{id:?}").contains("ab"));
        for text in ["", "ab", &"AB".repeat(16), &"+1".repeat(16), &"0".repeat(33)] {
            assert_eq!(text.parse::<LeaseId>(), Err(ParseLeaseIdError), "{text:?}");
        }
    }

    #[test]
    fn ttl_is_1_to_3600_seconds() {
        for seconds in [1, 10, 3600] {
            assert_eq!(u64::from(Ttl::from_seconds(seconds).unwrap().seconds()), seconds);
        }
        for seconds in [0, 3601, 65_537, u64::MAX] {
            assert_eq!(Ttl::from_seconds(seconds), Err(TtlOutOfRange { seconds }));
        }
    }
}
