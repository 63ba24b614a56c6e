//! Decimal numbers and ids as text, written into a buffer: the same text in every database.

use lombard_ledger_core::Balance;
use lombard_types::Scale;

/// Digits of the largest number, a sign and a point.
const TEXT_BYTES_MAX: usize = 48;
const UUID_BYTES: usize = 36;

/// Appends a number with exactly the scale's digits after the point, such as `-12.50`.
pub(crate) fn push_decimal(out: &mut Vec<u8>, number: Balance, scale: Scale) {
    let mut text = [0u8; TEXT_BYTES_MAX];
    let mut at = TEXT_BYTES_MAX;
    let mut put = |byte: u8| {
        at = at.saturating_sub(1);
        if let Some(place) = text.get_mut(at) {
            *place = byte;
        }
    };
    let fraction_digits = usize::from(scale.digits());
    let mut rest = number.magnitude();
    let mut count = 0;
    loop {
        if count == fraction_digits && count > 0 {
            put(b'.');
        }
        // Nearly every amount fits in 64 bits, where dividing is many times as fast.
        let digit = match u64::try_from(rest) {
            Ok(small) => {
                rest = u128::from(small / 10);
                small % 10
            }
            Err(_) => {
                let digit = rest % 10;
                rest /= 10;
                u64::try_from(digit).unwrap_or(0)
            }
        };
        put(b'0' + u8::try_from(digit).unwrap_or(0));
        count += 1;
        if rest == 0 && count > fraction_digits {
            break;
        }
    }
    if number.is_negative() {
        put(b'-');
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
}

/// Appends an integer.
pub(crate) fn push_integer(out: &mut Vec<u8>, number: i64) {
    let mut text = [0u8; TEXT_BYTES_MAX];
    let mut at = TEXT_BYTES_MAX;
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        if let Some(place) = text.get_mut(at) {
            *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
}

/// Appends an id as a UUID, in lower case with hyphens.
pub(crate) fn push_uuid(out: &mut Vec<u8>, id: u128) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(UUID_BYTES);
    for (index, byte) in id.to_be_bytes().into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        for nibble in [byte >> 4, byte & 15] {
            out.push(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
        }
    }
}

#[cfg(test)]
mod tests {
    use lombard_types::TransferId;
    use proptest::prelude::*;

    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn decimals_are_what_the_api_shows(
            is_negative: bool,
            magnitude in prop_oneof![any::<u128>(), (0u128..2000), any::<u64>().prop_map(u128::from)],
            digits in 0u8..=18,
        ) {
            let (scale, number) =
                (Scale::new(digits).unwrap(), Balance::new(is_negative, magnitude));
            let shown = number.display(scale).to_string();
            prop_assert_eq!(text(|out| push_decimal(out, number, scale)), shown);
        }

        #[test]
        fn integers_and_ids_are_as_everywhere(number: i64, id in 1..u128::MAX) {
            prop_assert_eq!(text(|out| push_integer(out, number)), number.to_string());
            let shown = TransferId::from_u128(id).unwrap().to_string();
            prop_assert_eq!(text(|out| push_uuid(out, id)), shown);
        }
    }

    #[test]
    fn the_largest_numbers_fit() {
        let scale = Scale::new(18).unwrap();
        for number in [Balance::new(true, u128::MAX), Balance::new(false, u128::MAX)] {
            let shown = number.display(scale).to_string();
            assert_eq!(text(|out| push_decimal(out, number, scale)), shown);
        }
        assert_eq!(text(|out| push_integer(out, i64::MIN)), i64::MIN.to_string());
    }
}
