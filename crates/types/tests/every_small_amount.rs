//! Every short text, and every sum and difference near both ends of the numbers, against what is obvious.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use lombard_types::{Amount, Scale, Sum};

/// What can stand in an amount, and what people write there.
const ALPHABET: &[u8] = b"0159.-+e ";
const LENGTH_MAX: u32 = 5;

/// The grammar by hand: only texts of this list are amounts. Digits, and one point with a digit on both sides.
fn naive(text: &str, scale: u8) -> Option<u128> {
    let points = text.matches('.').count();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let fraction = fraction.trim_start_matches('.');
    let is_number =
        is_plain && points <= 1 && !whole.is_empty() && (points == 0) == fraction.is_empty();
    let is_shortest = whole == "0" || !whole.starts_with('0');
    if !is_number || !is_shortest || fraction.len() > usize::from(scale) {
        return None;
    }
    let units: u128 = format!("{whole}{fraction}").parse().unwrap();
    Some(units * 10u128.pow(u32::from(scale) - u32::try_from(fraction.len()).unwrap()))
}

#[test]
fn every_short_text_is_the_amount_that_it_says_or_none() {
    let mut amounts = 0;
    for length in 0..=LENGTH_MAX {
        for number in 0..ALPHABET.len().pow(length) {
            let text: String = (0..length)
                .map(|place| {
                    char::from(ALPHABET[number / ALPHABET.len().pow(place) % ALPHABET.len()])
                })
                .collect();
            for digits in 0..=3 {
                let scale = Scale::new(digits).unwrap();
                let parsed = Amount::parse(&text, scale).ok();
                assert_eq!(parsed.map(Amount::minor_units), naive(&text, digits), "{text:?}");
                if let Some(amount) = parsed {
                    let shown = amount.display(scale).to_string();
                    assert_eq!(Amount::parse(&shown, scale), Ok(amount), "{text:?} is {shown}");
                    amounts += 1;
                }
            }
        }
    }
    assert!(amounts > 1000, "{amounts}");
}

/// 16 numbers at each end, as those of four bits that stand for them.
#[test]
fn sums_and_differences_are_exact_or_none() {
    const OFFSET: u128 = u128::MAX - 15;
    let both_ends = || (0..16).chain((0..16).map(|number| OFFSET + number));
    for a in both_ends() {
        for b in both_ends() {
            let (left, right) = (Amount::from_minor_units(a), Amount::from_minor_units(b));
            // Whether a sum fits, told without making it.
            let fits = a <= u128::MAX - b;
            assert_eq!(left.checked_add(right).is_some(), fits, "{a} + {b}");
            if let Some(sum) = left.checked_add(right) {
                assert_eq!(
                    (sum.checked_sub(left), sum.checked_sub(right)),
                    (Some(right), Some(left))
                );
            }
            assert_eq!(left.checked_sub(right).is_some(), a >= b, "{a} - {b}");
            let mut sum = Sum::default();
            sum.add(a);
            sum.add(b);
            assert_eq!(sum.parts().0 == 0, fits, "{a} + {b}");
            sum.subtract(a);
            assert_eq!(sum.parts(), (0, b));
        }
    }
}
