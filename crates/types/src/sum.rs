//! Sums of totals, which may be over 2^128.

use crate::Scale;

/// A sum of up to 2^64 totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    high: u64,
    low: u128,
}

impl Sum {
    /// Adds a total.
    pub fn add(&mut self, total: u128) {
        let (low, carry) = self.low.overflowing_add(total);
        self.low = low;
        self.high += u64::from(carry);
    }

    /// Takes away a total that was added before.
    pub fn subtract(&mut self, total: u128) {
        let (low, borrow) = self.low.overflowing_sub(total);
        self.low = low;
        self.high -= u64::from(borrow);
    }

    /// How often 2^128 is in it, and the rest: to be stored.
    pub const fn parts(self) -> (u64, u128) {
        (self.high, self.low)
    }

    /// The sum with these [parts](Self::parts).
    pub const fn from_parts(high: u64, low: u128) -> Self {
        Self { high, low }
    }

    /// The sum as a decimal string with exactly the asset's number of fraction digits.
    pub fn display(self, scale: Scale) -> String {
        let mut digits = self.digits();
        let fraction_digits = usize::from(scale.digits());
        if fraction_digits == 0 {
            return digits;
        }
        let missing = (fraction_digits + 1).saturating_sub(digits.len());
        digits.insert_str(0, &"0".repeat(missing));
        digits.insert(digits.len() - fraction_digits, '.');
        digits
    }

    /// Long division by 10^18, from the highest limb down, once per group of 18 digits.
    fn digits(self) -> String {
        const GROUP: u128 = 10u128.pow(18);
        let mask = u128::from(u64::MAX);
        let mut limbs = [u128::from(self.high), self.low >> 64, self.low & mask];
        let mut groups = Vec::new();
        while limbs != [0; 3] {
            let mut remainder = 0;
            for limb in &mut limbs {
                let dividend = remainder << 64 | *limb;
                *limb = dividend / GROUP;
                remainder = dividend % GROUP;
            }
            groups.push(remainder);
        }
        let mut groups = groups.into_iter().rev();
        let mut text = groups.next().unwrap_or_default().to_string();
        for group in groups {
            text.push_str(&format!("{group:018}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Amount;

    #[test]
    fn goes_beyond_128_bits() {
        let mut sum = Sum::default();
        sum.add(u128::MAX);
        sum.add(u128::MAX);
        let cents = Scale::new(2).unwrap();
        assert_eq!(sum.display(Scale::new(0).unwrap()), "680564733841876926926749214863536422910");
        assert_eq!(sum.display(cents), "6805647338418769269267492148635364229.10");
        assert_eq!(Sum::default().display(cents), "0.00");
        let (high, low) = sum.parts();
        assert_eq!(Sum::from_parts(high, low), sum);
        sum.subtract(u128::MAX);
        sum.subtract(u128::MAX);
        assert_eq!(sum, Sum::default());
    }

    proptest! {
        #[test]
        fn agrees_with_amounts(total: u128, digits in 0u8..=18) {
            let scale = Scale::new(digits).unwrap();
            let mut sum = Sum::default();
            sum.add(total);
            let expected = Amount::from_minor_units(total).display(scale).to_string();
            prop_assert_eq!(sum.display(scale), expected);
        }
    }
}
