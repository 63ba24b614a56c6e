//! Writing and reading the parts of a stored event.

use lombard_engine::DecodeError;

/// Appends to a buffer.
pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The length as LEB128 (one byte for nearly all texts), then the text.
    pub(super) fn text(&mut self, text: &str) {
        let mut rest = text.len();
        loop {
            let low = u8::try_from(rest & 0x7f).unwrap_or_default();
            rest >>= 7;
            if rest == 0 {
                self.0.push(low);
                break;
            }
            self.0.push(low | 0x80);
        }
        self.put(text.as_bytes());
    }
}

/// Takes from the front of a slice.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(CUT_SHORT)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let mut length = 0usize;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let (head, rest) = self.0.split_at_checked(length).ok_or(CUT_SHORT)?;
                self.0 = rest;
                return std::str::from_utf8(head).map_err(|_| DecodeError("a text is not UTF-8"));
            }
        }
        Err(DecodeError("a length is too long"))
    }

    /// Everything must have been read.
    pub(super) fn end(self) -> Result<(), DecodeError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DecodeError("bytes after the end of the event"))
        }
    }
}

const CUT_SHORT: DecodeError = DecodeError("event cut short");
