//! Ids that are 128-bit numbers and look like UUIDs.

use std::{fmt, num::NonZero, str::FromStr};

use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZero<u128>);

        impl $name {
            /// The id with this number. Zero and the largest number are refused as ids, since they are what an
            /// unset field looks like.
            pub const fn from_u128(number: u128) -> Result<Self, ParseIdError> {
                match NonZero::new(number) {
                    Some(number) if number.get() != u128::MAX => Ok(Self(number)),
                    _ => Err(ParseIdError),
                }
            }

            /// The number.
            pub const fn as_u128(self) -> u128 {
                self.0.get()
            }

            /// The id as a UUID.
            pub const fn as_uuid(self) -> Uuid {
                Uuid::from_u128(self.as_u128())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.as_uuid().hyphenated())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.as_uuid().hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Reads the hyphenated form only (36 characters), in either case, so that one id has one spelling.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if text.len() != uuid::fmt::Hyphenated::LENGTH {
                    return Err(ParseIdError);
                }
                let id = Uuid::try_parse(text).map_err(|_| ParseIdError)?;
                Self::from_u128(id.as_u128())
            }
        }

        impl TryFrom<Uuid> for $name {
            type Error = ParseIdError;

            fn try_from(id: Uuid) -> Result<Self, Self::Error> {
                Self::from_u128(id.as_u128())
            }
        }
    };
}

id! {
    /// An account of the ledger.
    AccountId
}
id! {
    /// A transfer of the ledger. Chosen by the client: a second request with the same id is a retry.
    TransferId
}
id! {
    /// An event of the event store. Chosen by the client: a second append of the same id is a retry.
    EventId
}

/// A text or number is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a UUID such as 0190d7a4-5c2e-7d31-8e2f-3b1c9a7f0d42 (and neither all zeros nor all ones)"
)]
pub struct ParseIdError;
