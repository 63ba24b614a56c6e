//! Coordinates: where something stands in a log, and in a stream.

use std::{fmt, num::ParseIntError, str::FromStr};

/// The place of one record in a log. The first record has position 0, each next one more, without gaps.
///
/// Used as an exclusive bound ("the tail", "everything before") it is the position the next record will get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

/// The place of one event in its stream. The first event has revision 0, each next one more, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

macro_rules! coordinate {
    ($name:ident) => {
        impl $name {
            /// The first.
            pub const START: Self = Self(0);

            /// The coordinate with this number.
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The coordinate `count` further on. Saturates: 2^64 is not reached in practice.
            pub const fn plus(self, count: u64) -> Self {
                Self(self.0.saturating_add(count))
            }

            /// The one after this.
            pub const fn next(self) -> Self {
                self.plus(1)
            }

            /// The one before this; `None` at the start.
            pub const fn previous(self) -> Option<Self> {
                match self.0.checked_sub(1) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// How many steps lead from `earlier` to this; 0 where `earlier` is not earlier.
            pub const fn since(self, earlier: Self) -> u64 {
                self.0.saturating_sub(earlier.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParsePositionError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if text.starts_with('+') {
                    return Err(ParsePositionError);
                }
                text.parse().map(Self).map_err(|_: ParseIntError| ParsePositionError)
            }
        }
    };
}

coordinate!(Position);
coordinate!(Revision);

/// A text is not a position or revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a whole number from 0 to 2^64 - 1")]
pub struct ParsePositionError;
