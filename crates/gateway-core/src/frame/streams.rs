//! Which streams the client has begun, and which of them it has ended (RFC 9113 section 5.1).

use super::{DATA, END_STREAM, FrameError, HEADERS, Header, RST_STREAM};

/// The client's side of the streams of one connection.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    last: u32,
    /// Whether `last - 2 * n` was begun, or only left out: for the streams that it can still matter of.
    begun: u128,
    /// Begun and not ended, in their order.
    open: Vec<u32>,
    /// Streams below are not known any more: the library judges them.
    forgotten_below: u32,
}

/// Streams that are known as open. More than may be open at once: those that the server has reset stay among them.
const OPEN_MAX: usize = 1024;

impl Streams {
    pub(super) const fn new() -> Self {
        Self { last: 0, begun: 0, open: Vec::new(), forgotten_below: 0 }
    }

    pub(super) const fn last(&self) -> u32 {
        self.last
    }

    pub(super) fn check(&mut self, header: Header) -> Result<(), FrameError> {
        let Header { kind, flags, stream, .. } = header;
        let ends = flags & END_STREAM != 0;
        match kind {
            // Clients begin streams with odd numbers (section 5.1.1).
            DATA | HEADERS if stream.is_multiple_of(2) => return Err(FrameError::Protocol),
            HEADERS if stream > self.last => self.begin(stream, ends),
            // What was not begun yet is the library's to refuse.
            DATA if stream > self.last => {}
            DATA | HEADERS => self.go_on(stream, ends)?,
            RST_STREAM => self.end(stream),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, stream: u32, ends: bool) {
        let step = (stream - self.last).div_ceil(2);
        self.begun = self.begun.checked_shl(step).unwrap_or(0) | 1;
        self.last = stream;
        if ends {
            return;
        }
        if self.open.len() >= OPEN_MAX {
            self.forgotten_below = self.open.remove(0) + 1;
        }
        self.open.push(stream);
    }

    /// A frame on a stream that was begun before, or left out.
    fn go_on(&mut self, stream: u32, ends: bool) -> Result<(), FrameError> {
        if self.open.binary_search(&stream).is_ok() {
            if ends {
                self.end(stream);
            }
            return Ok(());
        }
        if stream < self.forgotten_below {
            return Ok(());
        }
        let is_begun = 1_u128
            .checked_shl((self.last - stream) / 2)
            .is_none_or(|place| self.begun & place != 0);
        Err(if is_begun { FrameError::StreamClosed } else { FrameError::Protocol })
    }

    fn end(&mut self, stream: u32) {
        if let Ok(index) = self.open.binary_search(&stream) {
            self.open.remove(index);
        }
    }
}
