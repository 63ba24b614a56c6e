//! Money: a count of minor units, never a float, never rounded.

use std::fmt;

use crate::Scale;

/// A non-negative amount of one asset in its minor units (cents for EUR, whole yen for JPY).
///
/// The asset and its [`Scale`] are kept beside it, by whoever knows them: an amount alone does not say what it is an
/// amount of. Arithmetic is checked; there is no operator that could wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that can be represented.
    pub const MAX: Self = Self(u128::MAX);

    /// An amount of `minor_units`.
    pub const fn from_minor_units(minor_units: u128) -> Self {
        Self(minor_units)
    }

    /// The count of minor units.
    pub const fn minor_units(self) -> u128 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` where it would be below zero.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// Reads a decimal string such as `12.50` in an asset of the given scale.
    ///
    /// The grammar is digits, optionally a point and 1 to `scale` digits. Anything else is refused: a sign, an
    /// exponent, white space, a leading or trailing point, superfluous leading zeros (`007`), and more fraction
    /// digits than the asset has, even when they are zeros. Nothing is ever rounded.
    pub fn parse(text: &str, scale: Scale) -> Result<Self, ParseAmountError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(ParseAmountError::Malformed),
            Some((whole, fraction)) => (whole, fraction),
            None => (text, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(ParseAmountError::Malformed);
        }
        if whole.len() > 1 && whole.starts_with('0') {
            return Err(ParseAmountError::Malformed);
        }
        let digits_max = usize::from(scale.digits());
        if fraction.len() > digits_max {
            return Err(ParseAmountError::TooManyFractionDigits { scale });
        }
        let padding = std::iter::repeat_n(b'0', digits_max - fraction.len());
        let mut minor_units: u128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()).chain(padding) {
            minor_units = minor_units
                .checked_mul(10)
                .and_then(|shifted| shifted.checked_add(u128::from(digit - b'0')))
                .ok_or(ParseAmountError::TooLarge)?;
        }
        Ok(Self(minor_units))
    }

    /// The amount as a decimal string with exactly the asset's number of fraction digits.
    pub fn display(self, scale: Scale) -> DisplayAmount {
        DisplayAmount { amount: self, scale }
    }
}

/// Shows an [`Amount`] in an asset of a known scale; made by [`Amount::display`].
#[derive(Clone, Copy, Debug)]
pub struct DisplayAmount {
    amount: Amount,
    scale: Scale,
}

impl fmt::Display for DisplayAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.scale.digits());
        if digits == 0 {
            return write!(f, "{}", self.amount.0);
        }
        let unit = self.scale.minor_units_per_unit();
        write!(f, "{}.{:0digits$}", self.amount.0 / unit, self.amount.0 % unit)
    }
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAmountError {
    /// Not of the form digits, or digits, point, digits.
    #[error(
        "not a plain decimal number such as \"12.50\" (no sign, exponent, spaces or leading zeros)"
    )]
    Malformed,
    /// More digits after the point than the asset has.
    #[error("more than {} digits after the point, which is all this asset has", scale.digits())]
    TooManyFractionDigits {
        /// The asset's scale.
        scale: Scale,
    },
    /// Over `u128::MAX` minor units.
    #[error("larger than the largest amount (2^128 - 1 minor units)")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scale(digits: u8) -> Scale {
        Scale::new(digits).unwrap()
    }

    #[test]
    fn reads_plain_decimals_only() {
        let cents = scale(2);
        for (text, minor_units) in
            [("0", 0), ("0.01", 1), ("12.5", 1250), ("12.50", 1250), ("7", 700)]
        {
            assert_eq!(
                Amount::parse(text, cents),
                Ok(Amount::from_minor_units(minor_units)),
                "{text}"
            );
        }
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", " 1", "1 ", "1_000", "1,5", "007", "00", "0x1",
            "١", "1.5.1", "NaN",
        ] {
            assert_eq!(Amount::parse(text, cents), Err(ParseAmountError::Malformed), "{text:?}");
        }
        assert_eq!(
            Amount::parse("1.000", cents),
            Err(ParseAmountError::TooManyFractionDigits { scale: cents })
        );
        assert_eq!(
            Amount::parse("1.0", scale(0)),
            Err(ParseAmountError::TooManyFractionDigits { scale: scale(0) })
        );
        assert_eq!(
            Amount::parse("340282366920938463463374607431768211456", scale(0)),
            Err(ParseAmountError::TooLarge)
        );
        assert_eq!(
            Amount::parse("340282366920938463463374607431768211455", scale(0)),
            Ok(Amount::MAX)
        );
    }

    proptest! {
        #[test]
        fn text_round_trips(minor_units: u128, digits in 0u8..=18) {
            let amount = Amount::from_minor_units(minor_units);
            let text = amount.display(scale(digits)).to_string();
            prop_assert_eq!(Amount::parse(&text, scale(digits)), Ok(amount));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*", digits in 0u8..=18) {
            if let Ok(amount) = Amount::parse(&text, scale(digits)) {
                // What is accepted means what it says: comparing as text, up to trailing zeros of the fraction.
                let shown = amount.display(scale(digits)).to_string();
                prop_assert!(shown.starts_with(&text) || text == "0");
            }
        }
    }
}
