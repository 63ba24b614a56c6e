//! A decimal number as text: how many minor units it is, only the ledger knows, which knows the asset's scale.

use std::{cmp::Ordering, fmt, str::FromStr};

/// A positive decimal number, exactly as it was written: `12.50`.
///
/// Two numbers are compared as numbers, and are equal only when they are written alike.
#[derive(Clone, PartialEq, Eq)]
pub struct Decimal(Box<str>);

/// A text is not a positive decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a positive decimal number in a string, such as \"12.50\": at most 39 digits and 18 after the point, no sign, \
     exponent, spaces or leading zeros"
)]
pub struct ParseDecimalError;

impl Decimal {
    /// Digits before the point, at most: 2^128 has as many.
    const WHOLE_DIGITS_MAX: usize = 39;
    /// Digits after the point, at most: the largest scale of an asset.
    const FRACTION_DIGITS_MAX: usize = 18;

    /// The number as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of two numbers is larger.
    pub fn compare(&self, other: &Self) -> Ordering {
        let (whole, fraction) = self.parts();
        let (other_whole, other_fraction) = other.parts();
        // There are no leading zeros, so the longer whole part is the larger one. Fractions compare as text once their
        // trailing zeros, which mean nothing, are gone.
        let whole = whole.len().cmp(&other_whole.len()).then_with(|| whole.cmp(other_whole));
        let significant = |fraction: &str| fraction.trim_end_matches('0').to_owned();
        whole.then_with(|| significant(fraction).cmp(&significant(other_fraction)))
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('.').unwrap_or((&self.0, ""))
    }
}

impl FromStr for Decimal {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Self, ParseDecimalError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(ParseDecimalError),
            Some(parts) => parts,
            None => (text, ""),
        };
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_plain = !whole.is_empty()
            && whole.len() <= Self::WHOLE_DIGITS_MAX
            && fraction.len() <= Self::FRACTION_DIGITS_MAX
            && is_digits(whole)
            && is_digits(fraction)
            && (whole == "0" || !whole.starts_with('0'));
        let is_positive = text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        if is_plain && is_positive { Ok(Self(text.into())) } else { Err(ParseDecimalError) }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use lombard_types::{Amount, Scale};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_positive_decimals_only() {
        for text in ["1", "0.01", "12.50", "340282366920938463463374607431768211455"] {
            assert_eq!(text.parse::<Decimal>().unwrap().as_str(), text);
        }
        for text in [
            "",
            "0",
            "0.00",
            "-1",
            "+1",
            "1e3",
            "01",
            ".5",
            "5.",
            "1,5",
            " 1",
            "1 ",
            "1.5.1",
            "0x1",
            "NaN",
            "1_0",
            "\u{661}",
            "1.0000000000000000001",
            "1000000000000000000000000000000000000000",
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(ParseDecimalError), "{text}");
        }
    }

    proptest! {
        /// Compared as the ledger will compare them, once the scale is known.
        #[test]
        fn compares_as_amounts(left in 1u64.., right in 1u64.., scale in 0u8..=18) {
            let scale = Scale::new(scale).unwrap();
            let text = |units: u64| Amount::from_minor_units(units.into()).display(scale).to_string();
            let decimal = |units: u64| text(units).parse::<Decimal>().unwrap();
            prop_assert_eq!(decimal(left).compare(&decimal(right)), left.cmp(&right));
            prop_assert_eq!(decimal(left).compare(&decimal(left)), Ordering::Equal);
        }
    }
}
