//! The Huffman code of header blocks (RFC 7541 appendix B). It is canonical: the lengths say everything, as codes of one length are
//! consecutive, in the order of their symbols.

use std::sync::LazyLock;

/// Bits of the code of each byte, and of the symbol for the end.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
/// The symbol for the end, which must not be there (section 5.2).
const END: u16 = 256;
const BITS_MAX: u32 = 30;
/// Codes up to this length are looked up at once: all that is usual.
const SHORT: u32 = 8;

/// Not of this code, or not padded as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The codes of one length.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    first: u64,
    symbols: usize,
    /// Symbols of shorter codes.
    before: usize,
}

struct Codes {
    /// Symbol and length by the next bits; the length 0 where the code is longer.
    short: [(u16, u32); 1 << SHORT],
    rows: [Row; BITS_MAX as usize + 1],
    symbols: Vec<u16>,
}

static CODES: LazyLock<Codes> = LazyLock::new(Codes::new);

impl Codes {
    fn new() -> Self {
        let lengths = || (0_u16..).zip(LENGTHS.map(u32::from));
        let mut own = Self {
            short: [(0, 0); 1 << SHORT],
            rows: [Row::default(); BITS_MAX as usize + 1],
            symbols: Vec::with_capacity(LENGTHS.len()),
        };
        let mut code = 0;
        for (length, row) in (0..).zip(&mut own.rows) {
            code <<= 1;
            *row = Row { first: code, symbols: 0, before: own.symbols.len() };
            for (symbol, _) in lengths().filter(|(_, bits)| *bits == length) {
                own.symbols.push(symbol);
                row.symbols += 1;
                if length <= SHORT {
                    let span = 1 << (SHORT - length);
                    let start = usize::try_from(code).unwrap_or_default() * span;
                    let places = own.short.iter_mut().skip(start).take(span);
                    places.for_each(|place| *place = (symbol, length));
                }
                code += 1;
            }
        }
        own
    }

    /// The next symbol and its length, of bits that stand at the upper end.
    fn next(&self, window: u64) -> Option<(u16, u32)> {
        let short = usize::try_from(window >> (64 - SHORT)).ok()?;
        let known = self.short.get(short).filter(|(_, length)| *length > 0);
        known.copied().or_else(|| {
            let mut longer = (0..).zip(&self.rows).skip(usize::try_from(SHORT).ok()? + 1);
            longer.find_map(|(length, row)| {
                let place =
                    usize::try_from((window >> (64 - length)).checked_sub(row.first)?).ok()?;
                let symbol =
                    self.symbols.get(row.before + place).filter(|_| place < row.symbols)?;
                Some((*symbol, length))
            })
        })
    }
}

/// Reads a text, byte by byte.
pub(super) fn decode(coded: &[u8], mut each: impl FnMut(u8)) -> Result<(), Unreadable> {
    let codes = &*CODES;
    let (mut window, mut bits) = (0_u64, 0);
    let mut coded = coded.iter();
    loop {
        while bits <= 64 - 8
            && let Some(byte) = coded.next()
        {
            window |= u64::from(*byte) << (64 - 8 - bits);
            bits += 8;
        }
        match codes.next(window).filter(|(_, length)| *length <= bits) {
            Some((END, _)) => return Err(Unreadable),
            Some((symbol, length)) => {
                each(u8::try_from(symbol).map_err(|_| Unreadable)?);
                window <<= length;
                bits -= length;
            }
            // What is left is padding: less than a byte, and ones.
            None if bits < 8 && window.leading_ones() >= bits => return Ok(()),
            None => return Err(Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let mut text = Vec::new();
        decode(coded, |byte| text.push(byte)).map(|()| text)
    }

    /// The other way round, padded with ones.
    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for byte in text {
            let length = u32::from(LENGTHS[usize::from(*byte)]);
            let row = CODES.rows[usize::try_from(length).unwrap()];
            let symbols = CODES.symbols[row.before..row.before + row.symbols].iter();
            let place = symbols.zip(0_u64..).find(|(symbol, _)| **symbol == u16::from(*byte));
            let code = row.first + place.unwrap().1;
            bits.extend((0..length).rev().map(|bit| code >> bit & 1));
        }
        bits.resize(bits.len().next_multiple_of(8), 1);
        let byte = |bits: &[u64]| bits.iter().fold(0, |byte, bit| byte << 1 | bit);
        bits.chunks(8).map(|bits| u8::try_from(byte(bits)).unwrap()).collect()
    }

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 7541 appendix C.4 and C.6.
        for (coded, text) in [
            (
                &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff][..],
                "www.example.com",
            ),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f], "custom-key"),
            (&[0x64, 0x02], "302"),
            (&[], ""),
        ] {
            assert_eq!(decoded(coded).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn what_is_not_padded_as_it_must_be_is_refused() {
        // Padding of a whole byte, of zeros, and the symbol for the end.
        for coded in [&[0x1f, 0xff][..], &[0x18], &[0xff, 0xff, 0xff, 0xff], &[0xff]] {
            assert_eq!(decoded(coded), Err(Unreadable), "{coded:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(decoded(&encoded(&text)), Ok(text));
        }

        #[test]
        fn any_bytes_are_read_or_refused(coded in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(text) = decoded(&coded) {
                prop_assert_eq!(encoded(&text), coded);
            }
        }
    }
}
