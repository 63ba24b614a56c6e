//! Where a transfer or an entry stands in the log.

use std::{fmt, str::FromStr};

use lombard_types::Position;

/// A place in the log: a record, and which of its transfers, from 0. Places are in the order in which things happened.
///
/// The transfers of a record are counted over its events, refused ones included; a pending set whose time came counts
/// once for each of its transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The record.
    pub position: Position,
    /// Which transfer of it.
    pub ordinal: u32,
}

/// A place takes 9 bytes: 48 bits of position, which a million records a second use up in nine years, and 24 bits of
/// ordinal, which is more than a record holds.
pub(crate) const PLACE_BYTES: usize = 9;
const ORDINAL_MAX: u32 = (1 << 24) - 1;
const POSITION_MAX: u64 = (1 << 48) - 1;

impl Place {
    /// Before all others.
    pub const FIRST: Self = Self { position: Position::START, ordinal: 0 };

    pub(crate) const fn first_of(position: Position) -> Self {
        Self { position, ordinal: 0 }
    }

    /// The last place before a record; `None` before the first.
    pub(crate) fn last_before(end: Position) -> Option<Self> {
        end.previous().map(|position| Self { position, ordinal: ORDINAL_MAX })
    }

    pub(crate) fn next(self) -> Self {
        match self.ordinal {
            ORDINAL_MAX => Self::first_of(self.position.next()),
            ordinal => Self { ordinal: ordinal + 1, ..self },
        }
    }

    pub(crate) fn previous(self) -> Option<Self> {
        match self.ordinal.checked_sub(1) {
            Some(ordinal) => Some(Self { ordinal, ..self }),
            None => Self::last_before(self.position),
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; PLACE_BYTES] {
        let position = self.position.get().min(POSITION_MAX).to_be_bytes();
        let ordinal = self.ordinal.min(ORDINAL_MAX).to_be_bytes();
        crate::bytes::join(&[crate::bytes::from(&position, 2), crate::bytes::from(&ordinal, 1)])
    }

    pub(crate) fn from_bytes(bytes: [u8; PLACE_BYTES]) -> Self {
        let position =
            u64::from_be_bytes(crate::bytes::join(&[&[0; 2], &crate::bytes::part::<6>(&bytes, 0)]));
        let ordinal =
            u32::from_be_bytes(crate::bytes::join(&[&[0; 1], &crate::bytes::part::<3>(&bytes, 6)]));
        Self { position: Position::new(position), ordinal }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position, self.ordinal)
    }
}

/// A text is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be what `next` of the page before says, such as 17.0")]
pub struct ParsePlaceError;

impl FromStr for Place {
    type Err = ParsePlaceError;

    fn from_str(text: &str) -> Result<Self, ParsePlaceError> {
        let (position, ordinal) = text.split_once('.').ok_or(ParsePlaceError)?;
        let position: Position = position.parse().map_err(|_| ParsePlaceError)?;
        let ordinal: u32 = ordinal.parse().map_err(|_| ParsePlaceError)?;
        if position.get() > POSITION_MAX || ordinal > ORDINAL_MAX {
            return Err(ParsePlaceError);
        }
        Ok(Self { position, ordinal })
    }
}

/// Which account, in the order in which they were opened, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountNumber(pub(crate) u32);

/// Which asset: the built-in ones first, then in the order in which they were created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetNumber(pub(crate) u32);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places() -> impl Strategy<Value = Place> {
        (0..=POSITION_MAX, 0..=ORDINAL_MAX)
            .prop_map(|(position, ordinal)| Place { position: Position::new(position), ordinal })
    }

    proptest! {
        #[test]
        fn bytes_are_in_the_order_of_places(a in places(), b in places()) {
            prop_assert_eq!(Place::from_bytes(a.to_bytes()), a);
            prop_assert_eq!(a.to_bytes().cmp(&b.to_bytes()), a.cmp(&b));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(a.next().previous(), Some(a));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "1", "1.", ".1", "1.16777216", "-1.0", "1.0.0", "281474976710656.0"] {
            assert_eq!(text.parse::<Place>(), Err(ParsePlaceError), "{text}");
        }
    }
}
