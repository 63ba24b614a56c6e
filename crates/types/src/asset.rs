//! Assets: what an amount is an amount of.

use std::{fmt, str::FromStr};

/// How many digits an asset has after the decimal point: 2 for EUR, 0 for JPY, at most 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scale(u8);

impl Scale {
    /// The largest scale: 10^18 minor units still leave 20 digits of a `u128` before the point.
    pub const MAX: Self = Self(18);

    /// A scale of `digits` after the point.
    pub const fn new(digits: u8) -> Result<Self, ScaleOutOfRange> {
        if digits > Self::MAX.0 {
            return Err(ScaleOutOfRange { digits });
        }
        Ok(Self(digits))
    }

    /// Digits after the point.
    pub const fn digits(self) -> u8 {
        self.0
    }

    /// How many minor units make one unit.
    pub const fn minor_units_per_unit(self) -> u128 {
        10u128.pow(self.0 as u32)
    }
}

/// A scale over [`Scale::MAX`] was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an asset has 0 to 18 digits after the point, not {digits}")]
pub struct ScaleOutOfRange {
    /// What was asked for.
    pub digits: u8,
}

/// The code of an asset: ISO 4217 such as `EUR`, or one's own such as `LOYALTY-POINT`.
///
/// 1 to 16 bytes: capital letters, digits, `-`, `_`, beginning with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetCode(Box<str>);

impl AssetCode {
    /// Longest code, in bytes.
    pub const BYTES_MAX: usize = 16;

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AssetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for AssetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for AssetCode {
    type Err = ParseAssetCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase());
        let rest_is_well = text.bytes().all(|byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
        });
        if text.len() > Self::BYTES_MAX || !begins_well || !rest_is_well {
            return Err(ParseAssetCodeError);
        }
        Ok(Self(text.into()))
    }
}

/// A text is not an asset code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an asset code is 1 to 16 capital letters, digits, '-' or '_', beginning with a letter")]
pub struct ParseAssetCodeError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_short_capital_words() {
        for text in ["EUR", "JPY", "LOYALTY-POINT", "X_1"] {
            assert_eq!(text.parse::<AssetCode>().unwrap().as_str(), text);
        }
        for text in ["", "eur", "1EUR", "-EUR", "EUR ", "ABCDEFGHIJKLMNOPQ", "€"] {
            assert_eq!(text.parse::<AssetCode>(), Err(ParseAssetCodeError), "{text:?}");
        }
    }
}
