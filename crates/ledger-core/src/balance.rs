//! A signed count of minor units.

use std::{cmp::Ordering, fmt};

use lombard_types::{Amount, ParseAmountError, Scale};

/// The difference of two totals, in minor units. Wide enough for any two totals: from -(2^128 - 1) to 2^128 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Balance {
    /// Never set for zero.
    is_negative: bool,
    magnitude: u128,
}

impl Balance {
    /// Nothing.
    pub const ZERO: Self = Self { is_negative: false, magnitude: 0 };

    /// The balance of this size, below zero where `is_negative`.
    pub const fn new(is_negative: bool, magnitude: u128) -> Self {
        Self { is_negative: is_negative && magnitude != 0, magnitude }
    }

    /// `plus - minus`.
    pub const fn difference(plus: u128, minus: u128) -> Self {
        if plus >= minus {
            Self { is_negative: false, magnitude: plus - minus }
        } else {
            Self { is_negative: true, magnitude: minus - plus }
        }
    }

    /// Whether it is below zero.
    pub const fn is_negative(self) -> bool {
        self.is_negative
    }

    /// How far it is from zero.
    pub const fn magnitude(self) -> u128 {
        self.magnitude
    }

    /// Reads a decimal string such as `-12.50`: [`Amount::parse`] after an optional `-`. `-0` is refused.
    pub fn parse(text: &str, scale: Scale) -> Result<Self, ParseAmountError> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let magnitude = Amount::parse(digits, scale)?.minor_units();
        if is_negative && magnitude == 0 {
            return Err(ParseAmountError::Malformed);
        }
        Ok(Self { is_negative, magnitude })
    }

    /// The balance as a decimal string with exactly the asset's number of fraction digits.
    pub fn display(self, scale: Scale) -> DisplayBalance {
        DisplayBalance { balance: self, scale }
    }
}

impl Ord for Balance {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.magnitude.cmp(&other.magnitude),
            (true, true) => other.magnitude.cmp(&self.magnitude),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Balance {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Shows a [`Balance`] in an asset of a known scale; made by [`Balance::display`].
#[derive(Clone, Copy, Debug)]
pub struct DisplayBalance {
    balance: Balance,
    scale: Scale,
}

impl fmt::Display for DisplayBalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.balance.is_negative { "-" } else { "" };
        write!(f, "{sign}{}", Amount::from_minor_units(self.balance.magnitude).display(self.scale))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_signed_decimals() {
        let cents = Scale::new(2).unwrap();
        for (text, expected) in [
            ("0", Balance::ZERO),
            ("12.5", Balance::new(false, 1250)),
            ("-0.01", Balance::new(true, 1)),
        ] {
            assert_eq!(Balance::parse(text, cents), Ok(expected), "{text}");
        }
        for text in ["-", "--1", "-0", "-0.00", "+1", "- 1", "", "-1e2"] {
            assert_eq!(Balance::parse(text, cents), Err(ParseAmountError::Malformed), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn orders_like_integers(a: i64, b: i64) {
            let of = |n: i64| Balance::new(n < 0, u128::from(n.unsigned_abs()));
            prop_assert_eq!(of(a).cmp(&of(b)), a.cmp(&b));
        }

        #[test]
        fn text_round_trips(is_negative: bool, magnitude: u128, digits in 0u8..=18) {
            let scale = Scale::new(digits).unwrap();
            let balance = Balance::new(is_negative, magnitude);
            prop_assert_eq!(Balance::parse(&balance.display(scale).to_string(), scale), Ok(balance));
        }

        #[test]
        fn difference_is_subtraction(plus: u64, minus: u64) {
            let expected = i128::from(plus) - i128::from(minus);
            let found = Balance::difference(u128::from(plus), u128::from(minus));
            prop_assert_eq!(found, Balance::new(expected < 0, expected.unsigned_abs()));
        }
    }
}
