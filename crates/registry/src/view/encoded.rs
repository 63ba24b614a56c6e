//! A body as readers get it, and as the event that watchers get: encoded once for both.

use bytes::Bytes;

/// One event of a watch (Server-Sent Events); the body is the part of it behind `data: `. JSON has no line breaks of its own
/// here, so that is one line.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    pub(super) index: u64,
    event: Bytes,
    body_start: usize,
}

const END: &[u8] = b"\n\n";

impl Encoded {
    pub(super) fn new(index: u64, body: &[u8]) -> Self {
        Self::build(index, |event| event.extend_from_slice(body))
    }

    /// The body is what is written to the end of what it is given.
    pub(super) fn build(index: u64, write_body: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut event = format!("id: {index}\ndata: ").into_bytes();
        let body_start = event.len();
        write_body(&mut event);
        event.extend_from_slice(END);
        Self { index, event: event.into(), body_start }
    }

    pub(super) fn event(&self) -> Bytes {
        self.event.clone()
    }

    pub(super) fn body(&self) -> Bytes {
        self.event.slice(self.body_start..self.event.len() - END.len())
    }
}
