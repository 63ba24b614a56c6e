//! As much of CBOR (RFC 8949) as authenticators write, in the form in which they must: CTAP2 canonical.

/// It is not CBOR of that form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Deeper nesting has no place in what is skipped.
const DEPTH_MAX: u8 = 4;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;

/// Takes items from the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// The kind of an item, and its number: a value, or how much follows.
    fn head(&mut self) -> Result<(u8, u64), Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        let (kind, low) = (first >> 5, first & 0x1f);
        let number = match low {
            0..=23 => return Ok((kind, low.into())),
            24 => self.wide(1, 24)?,
            25 => self.wide(2, 1 << 8)?,
            26 => self.wide(4, 1 << 16)?,
            27 => self.wide(8, 1 << 32)?,
            // Lengths that are not told in advance.
            _ => return Err(Malformed),
        };
        Ok((kind, number))
    }

    /// A number of so many bytes, which fewer would not hold.
    fn wide(&mut self, bytes: usize, least: u64) -> Result<u64, Malformed> {
        let (number, rest) = self.0.split_at_checked(bytes).ok_or(Malformed)?;
        self.0 = rest;
        let number = number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        if number < least { Err(Malformed) } else { Ok(number) }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        let count = usize::try_from(count).map_err(|_| Malformed)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A whole number.
    pub(crate) fn integer(&mut self) -> Result<i64, Malformed> {
        let (kind, number) = self.head()?;
        let number = i64::try_from(number).map_err(|_| Malformed)?;
        match kind {
            UNSIGNED => Ok(number),
            NEGATIVE => Ok(-1 - number),
            _ => Err(Malformed),
        }
    }

    /// A byte string.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        match self.head()? {
            (BYTES, count) => self.take(count),
            _ => Err(Malformed),
        }
    }

    /// A text.
    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        match self.head()? {
            (TEXT, count) => std::str::from_utf8(self.take(count)?).map_err(|_| Malformed),
            _ => Err(Malformed),
        }
    }

    /// How many pairs of a map follow.
    pub(crate) fn map(&mut self) -> Result<u64, Malformed> {
        match self.head()? {
            (MAP, count) => Ok(count),
            _ => Err(Malformed),
        }
    }

    /// Passes over one item, whatever it is.
    pub(crate) fn skip(&mut self) -> Result<(), Malformed> {
        self.skip_within(DEPTH_MAX)
    }

    fn skip_within(&mut self, depth: u8) -> Result<(), Malformed> {
        let deeper = || depth.checked_sub(1).ok_or(Malformed);
        match self.head()? {
            (UNSIGNED | NEGATIVE, _) => Ok(()),
            (BYTES, count) => self.take(count).map(drop),
            (TEXT, count) => {
                std::str::from_utf8(self.take(count)?).map(drop).map_err(|_| Malformed)
            }
            // Each item takes a byte at least, so no count makes this go on beyond the end.
            (ARRAY, count) => (0..count).try_for_each(|_| self.skip_within(deeper()?)),
            (MAP, count) => (0..count).try_for_each(|_| {
                self.skip_within(deeper()?)?;
                self.skip_within(deeper()?)
            }),
            // false, true and null.
            (SIMPLE, 20..=22) => Ok(()),
            _ => Err(Malformed),
        }
    }

    /// Nothing follows.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for (bytes, expected) in [
            (&[0x00][..], Ok(0)),
            (&[0x17], Ok(23)),
            (&[0x18, 24], Ok(24)),
            (&[0x18, 23], Err(Malformed)),
            (&[0x19, 0x01, 0x00], Ok(256)),
            (&[0x19, 0x00, 0xff], Err(Malformed)),
            (&[0x1a, 0, 1, 0, 0], Ok(65_536)),
            (&[0x1a, 0, 0, 0xff, 0xff], Err(Malformed)),
            (&[0x20], Ok(-1)),
            (&[0x26], Ok(-7)),
            (&[0x39, 0x01, 0x00], Ok(-257)),
            (&[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Err(Malformed)),
            (&[0x18], Err(Malformed)),
            (&[0x1c], Err(Malformed)),
            (&[0x1f], Err(Malformed)),
            (&[0x40], Err(Malformed)),
            (&[], Err(Malformed)),
        ] {
            assert_eq!(Reader(bytes).integer(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_skipped_is_bounded() {
        for (bytes, is_good) in [
            (&[0x80][..], true),
            (&[0x82, 0x01, 0x61, b'a'], true),
            (&[0xa1, 0x61, b'a', 0xf5], true),
            (&[0x81, 0x81, 0x81, 0x81, 0x80], true),
            (&[0x81, 0x81, 0x81, 0x81, 0x81, 0x80], false),
            (&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], false),
            (&[0x5a, 0xff, 0xff, 0xff, 0xff], false),
            (&[0x9f, 0xff], false),
            (&[0x61, 0xff], false),
            (&[0xf9, 0, 0], false),
            (&[0xc0, 0x00], false),
        ] {
            let mut reader = Reader(bytes);
            let result = reader.skip().and_then(|()| reader.end());
            assert_eq!(result.is_ok(), is_good, "{bytes:?}");
        }
    }
}
