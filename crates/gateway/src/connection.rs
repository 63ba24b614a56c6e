//! A client's connection whose bytes are read along: by the wire gate where they are HTTP/1, by the frame meter where they
//! are HTTP/2.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use lombard_gateway_core::{FrameMeter, Refusal, WireGate};
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
    Meter { meter: FrameMeter, clock: Clock },
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

    pub(crate) fn http2(stream: Stream, first: Vec<u8>, clock: Clock) -> Self {
        Self { stream, first, reader: Reader::Meter { meter: FrameMeter::new(clock.now()), clock } }
    }
}

impl Reader {
    fn read(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Meter { meter, clock } => meter
                .read(bytes, clock.now())
                .map_err(|flood| io::Error::new(io::ErrorKind::InvalidData, flood)),
            Self::Gate { gate, doubts } => {
                let mut state = doubts.0.lock();
                if state.is_tunnel {
                    return Ok(());
                }
                let Err(refusal) = gate.read(bytes) else { return Ok(()) };
                state.refusal = Some(refusal);
                // A doubtful head gets an answer, in its turn. A body is on its way already: it must not go on.
                if refusal.is_in_body {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, refusal.error));
                }
                Ok(())
            }
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
        if !this.first.is_empty() {
            let count = this.first.len().min(buffer.remaining());
            let part: Vec<u8> = this.first.drain(..count).collect();
            buffer.put_slice(&part);
            return Poll::Ready(this.reader.read(&part));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if !matches!(polled, Poll::Ready(Ok(()))) {
            return polled;
        }
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(this.reader.read(bytes))
    }
}

impl AsyncWrite for ReadStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
