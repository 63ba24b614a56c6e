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

/// What the gate says of a connection; its requests ask it one after the other. Only ever used by one thread; it may be
/// handed over with the connection when that becomes a tunnel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubts(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    requests: u64,
    refusal: Option<Refusal>,
    is_tunnel: bool,
}

impl Doubts {
    /// Called once for every request: why it is refused, if it is.
    pub(crate) fn of_next_request(&self) -> Option<Refusal> {
        let mut state = self.0.lock();
        let number = state.requests;
        state.requests += 1;
        state.refusal.filter(|refusal| number >= refusal.request)
    }

    /// From now on the bytes are no HTTP.
    pub(crate) fn becomes_tunnel(&self) {
        self.0.lock().is_tunnel = true;
    }
}

/// Who reads along.
#[derive(Debug)]
enum Reader {
    Gate { gate: WireGate, doubts: Doubts },
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
    pub(crate) fn http1(stream: Stream, first: Vec<u8>, head_bytes_max: usize) -> (Self, Doubts) {
        let doubts = Doubts::default();
        let gate = WireGate::new(head_bytes_max);
        let reader = Reader::Gate { gate, doubts: doubts.clone() };
        (Self { stream, first, reader }, doubts)
    }

    pub(crate) fn http2(
        stream: Stream,
        first: Vec<u8>,
        clock: Clock,
        head_bytes_max: usize,
    ) -> Self {
        let gate = Box::new(FrameGate::new(clock.now(), head_bytes_max));
        Self { stream, first, reader: Reader::Frames { gate, clock, ended: Ended::Not } }
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
            Self::Gate { gate, doubts } => {
                let mut state = doubts.0.lock();
                if state.is_tunnel {
                    return Ok(bytes.len());
                }
                let Err(refusal) = gate.read(bytes) else { return Ok(bytes.len()) };
                state.refusal = Some(refusal);
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
        this.or_give_up(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.or_give_up(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
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
