//! Writing and reading the fields of a stored event: what every role's [`crate::Codec`] needs. Numbers are the
//! codec's own business (little endian, by convention); texts and byte strings have their length in front, as LEB128.

use crate::DecodeError;

/// Appends to a buffer.
#[derive(Debug)]
pub struct Writer<'a>(pub &'a mut Vec<u8>);

impl Writer<'_> {
    /// Appends bytes as they are: for fields whose length is fixed.
    pub fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Appends a text.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Appends a byte string: its length takes one byte where it is below 128.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let mut rest = bytes.len();
        loop {
            let low = u8::try_from(rest & 0x7f).unwrap_or_default();
            rest >>= 7;
            if rest == 0 {
                self.0.push(low);
                break;
            }
            self.0.push(low | 0x80);
        }
        self.put(bytes);
    }
}

/// Takes from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Takes a field of fixed length.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(CUT_SHORT)?;
        self.0 = rest;
        Ok(*head)
    }

    /// Takes one byte.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    /// Takes a text.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError("a text is not UTF-8"))
    }

    /// Takes a byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let mut length = 0usize;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let (head, rest) = self.0.split_at_checked(length).ok_or(CUT_SHORT)?;
                self.0 = rest;
                return Ok(head);
            }
        }
        Err(DecodeError("a length is too long"))
    }

    /// Everything must have been read.
    pub fn end(self) -> Result<(), DecodeError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DecodeError("bytes after the end of the event"))
        }
    }
}

const CUT_SHORT: DecodeError = DecodeError("event cut short");
