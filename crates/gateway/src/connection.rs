//! A client's connection whose bytes are read along: by the wire gate where they are HTTP/1, by the frame gate where they
//! are HTTP/2. Where the latter finds an error, the library is shown the end of the connection instead, and once it has written
//! what it had to, the client is told the error.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use lombard_gateway_core::{FrameError, FrameGate, Refusal, WireGate};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::{cluster::Clock, transport::Stream};

/// An HTTP/1 connection: the library reads and writes it, its requests ask what the gate says of them, and whoever serves it
/// keeps it while the library has nothing to do. Only ever used by one thread; it may be handed over when it becomes a tunnel.
#[derive(Clone, Debug)]
pub(crate) struct Http1Stream(Arc<Mutex<ReadStream>>);

/// What the gate says of an HTTP/1 connection; its requests ask it one after the other.
#[derive(Debug)]
struct Doubts {
    gate: WireGate,
    /// That have asked.
    requests: u64,
    refusal: Option<Refusal>,
    is_tunnel: bool,
}

impl Http1Stream {
    /// `first`: what was read already.
    pub(crate) fn new(stream: Stream, first: Vec<u8>, head_bytes_max: usize) -> Self {
        let gate = WireGate::new(head_bytes_max);
        let doubts = Doubts { gate, requests: 0, refusal: None, is_tunnel: false };
        let reader = Reader::Gate(doubts);
        Self(Arc::new(Mutex::new(ReadStream { stream, first, reader, is_writing: false })))
    }

    fn with_doubts<T>(&self, act: impl FnOnce(&mut Doubts) -> T) -> Option<T> {
        match &mut self.0.lock().reader {
            Reader::Gate(doubts) => Some(act(doubts)),
            Reader::Frames { .. } => None,
        }
    }

    /// Called once for every request: why it is refused, if it is.
    pub(crate) fn of_next_request(&self) -> Option<Refusal> {
        self.with_doubts(|doubts| {
            let number = doubts.requests;
            doubts.requests += 1;
            doubts.refusal.filter(|refusal| number >= refusal.request)
        })?
    }

    /// From now on the bytes are no HTTP.
    pub(crate) fn becomes_tunnel(&self) {
        self.with_doubts(|doubts| doubts.is_tunnel = true);
    }

    /// How many have asked.
    pub(crate) fn requests(&self) -> u64 {
        self.with_doubts(|doubts| doubts.requests).unwrap_or_default()
    }

    /// How many requests there were, where the library holds no byte of the connection: all that came was of requests that it
    /// has handed on whole, and all that it wanted to write is written.
    pub(crate) fn between_requests(&self) -> Option<u64> {
        let stream = self.0.lock();
        let Reader::Gate(doubts) = &stream.reader else { return None };
        let is_quiet = !stream.is_writing && stream.first.is_empty() && !doubts.is_tunnel;
        doubts.gate.between_requests().filter(|read| is_quiet && *read == doubts.requests)
    }

    /// Waits until there is something to read, or the end.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().stream.poll_readable(cx)
    }
}

impl AsyncRead for Http1Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Http1Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock()).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.lock().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_shutdown(cx)
    }
}

/// Who reads along.
#[derive(Debug)]
enum Reader {
    Gate(Doubts),
    Frames { gate: Box<FrameGate>, clock: Clock, ended: Ended },
}

/// Whether the frame gate has ended the connection.
#[derive(Clone, Copy, Debug)]
enum Ended {
    Not,
    /// The client is not told yet.
    Unsaid(FrameError),
    Said,
}

/// The connection.
#[derive(Debug)]
pub(crate) struct ReadStream {
    stream: Stream,
    /// What was read to tell the protocol.
    first: Vec<u8>,
    reader: Reader,
    /// Whether something that was to be written is not written yet.
    is_writing: bool,
}

/// What an HTTP/2 connection begins with (RFC 9113 section 3.4). `PRI` is no method of HTTP/1, so the first bytes tell.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads the first bytes of a connection in clear text, and says whether they are HTTP/2.
pub(crate) async fn begins_h2(stream: &mut Stream, first: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; PREFACE.len()];
    loop {
        let count = stream.read(buffer.get_mut(first.len()..).unwrap_or_default()).await?;
        first.extend_from_slice(buffer.get(first.len()..first.len() + count).unwrap_or_default());
        if count == 0 || !PREFACE.starts_with(first) {
            return Ok(false);
        }
        if first.len() == PREFACE.len() {
            return Ok(true);
        }
    }
}

impl ReadStream {
    pub(crate) fn http2(
        stream: Stream,
        first: Vec<u8>,
        clock: Clock,
        head_bytes_max: usize,
    ) -> Self {
        let gate = Box::new(FrameGate::new(clock.now(), head_bytes_max));
        let reader = Reader::Frames { gate, clock, ended: Ended::Not };
        Self { stream, first, reader, is_writing: false }
    }
}

impl Reader {
    /// How many of the bytes the library may see.
    fn read(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Frames { gate, clock, ended } => match gate.read(bytes, clock.now()) {
                Ok(()) => Ok(bytes.len()),
                Err(refusal) => {
                    tracing::debug!(error = %refusal.error, "an HTTP/2 connection ends with an error");
                    *ended = Ended::Unsaid(refusal.error);
                    Ok(refusal.bytes_before)
                }
            },
            Self::Gate(doubts) => {
                if doubts.is_tunnel {
                    return Ok(bytes.len());
                }
                let Err(refusal) = doubts.gate.read(bytes) else { return Ok(bytes.len()) };
                doubts.refusal = Some(refusal);
                // A doubtful head gets an answer, in its turn. A body is on its way already: it must not go on.
                if refusal.is_in_body {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, refusal.error));
                }
                Ok(bytes.len())
            }
        }
    }

    const fn has_ended(&self) -> bool {
        matches!(self, Self::Frames { ended: Ended::Unsaid(_) | Ended::Said, .. })
    }

    const fn said(&mut self) {
        if let Self::Frames { ended, .. } = self {
            *ended = Ended::Said;
        }
    }

    /// The frame that says the error (RFC 9113 section 6.8).
    fn goaway(&self) -> Option<[u8; 17]> {
        let Self::Frames { gate, ended: Ended::Unsaid(error), .. } = self else { return None };
        let [a, b, c, d] = gate.last_stream().to_be_bytes();
        let [e, f, g, h] = error.code().to_be_bytes();
        Some([0, 0, 8, 7, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h])
    }
}

impl ReadStream {
    /// Whoever does not read what it is told while its connection ends is not waited for.
    fn or_give_up<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match polled {
            Poll::Pending if self.reader.has_ended() => {
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
            other => other,
        }
    }
}

impl AsyncRead for ReadStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // As if the client had closed.
        if this.reader.has_ended() {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if this.first.is_empty() {
            let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
            if !matches!(polled, Poll::Ready(Ok(()))) {
                return polled;
            }
        } else {
            let count = this.first.len().min(buffer.remaining());
            buffer.put_slice(this.first.get(..count).unwrap_or_default());
            this.first.drain(..count);
            if this.first.is_empty() {
                this.first = Vec::new();
            }
        }
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        let seen = this.reader.read(bytes);
        seen.map(|count| buffer.set_filled(before + count)).into()
    }
}

impl AsyncWrite for ReadStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.is_writing = polled.is_pending();
        this.or_give_up(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.is_writing = polled.is_pending();
        this.or_give_up(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.is_writing = polled.is_pending();
        this.or_give_up(polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(goaway) = this.reader.goaway() {
            // A few bytes into a buffer that was just flushed: what does not go at once does not go.
            let said = Pin::new(&mut this.stream).poll_write(cx, &goaway);
            let flushed = Pin::new(&mut this.stream).poll_flush(cx);
            if !matches!((said, flushed), (Poll::Ready(Ok(17)), Poll::Ready(Ok(())))) {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            this.reader.said();
        }
        let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.or_give_up(polled)
    }
}
