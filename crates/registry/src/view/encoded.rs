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
        let head = format!("id: {index}\ndata: ");
        let event = Bytes::from([head.as_bytes(), body, END].concat());
        Self { index, event, body_start: head.len() }
    }

    pub(super) fn event(&self) -> Bytes {
        self.event.clone()
    }

    pub(super) fn body(&self) -> Bytes {
        self.event.slice(self.body_start..self.event.len() - END.len())
    }
}
