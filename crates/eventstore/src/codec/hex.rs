//! Texts of groups of hexadecimal digits with dashes between them, such as UUIDs, at half their length.

/// Bytes of each group of a text.
pub(super) type Groups = &'static [usize];

/// A UUID as it is written.
pub(super) const UUID: Groups = &[4, 2, 2, 2, 6];
/// A W3C `traceparent`: version, trace id, parent id, flags.
pub(super) const TRACEPARENT: Groups = &[1, 16, 8, 1];

/// The text's beginning as bytes, and the rest of it; `None` where it does not begin so, in small letters.
pub(super) fn pack<const N: usize>(text: &str, groups: Groups) -> Option<([u8; N], &str)> {
    let mut packed = [0; N];
    let mut to = packed.iter_mut();
    let mut rest = text.as_bytes();
    for (number, bytes) in groups.iter().enumerate() {
        if number > 0 {
            rest = rest.strip_prefix(b"-")?;
        }
        for _ in 0..*bytes {
            let ([high, low], after) = rest.split_first_chunk()?;
            *to.next()? = digit(*high)? << 4 | digit(*low)?;
            rest = after;
        }
    }
    // It was cut behind a digit.
    let rest = text.get(text.len() - rest.len()..)?;
    to.next().is_none().then_some((packed, rest))
}

/// Writes what was packed behind a text.
pub(super) fn unpack(packed: &[u8], groups: Groups, text: &mut String) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut packed = packed.iter();
    for (number, bytes) in groups.iter().enumerate() {
        if number > 0 {
            text.push('-');
        }
        for byte in packed.by_ref().take(*bytes) {
            for half in [byte >> 4, byte & 15] {
                text.extend(DIGITS.get(usize::from(half)).map(|digit| char::from(*digit)));
            }
        }
    }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_as_it_was_and_nothing_else_is_packed() {
        let text = "0190d7a4-5c2e-7d31-8e2f-3b1c9a7f0d42";
        for rest in ["", "-7", "é"] {
            let whole = format!("{text}{rest}");
            let (packed, left) = pack::<16>(&whole, UUID).unwrap();
            assert_eq!((packed[0], packed[15], left), (0x01, 0x42, rest));
            let mut unpacked = String::new();
            unpack(&packed, UUID, &mut unpacked);
            assert_eq!(unpacked, text);
        }
        for other in [
            "",
            "0190d7a4-5c2e-7d31-8e2f-3b1c9a7f0d4",
            "0190d7a4-5c2e-7d31-8e2f-3b1c9a7f0d4G",
            "0190D7A4-5c2e-7d31-8e2f-3b1c9a7f0d42",
            "0190d7a45c2e7d318e2f3b1c9a7f0d42",
            "0190d7a4-5c2e-7d31-8e2f-3b1c9a7f0dé",
        ] {
            assert_eq!(pack::<16>(other, UUID), None, "{other}");
        }
    }
}
