//! A client's connection whose bytes are read along by the wire gate.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use lombard_gateway_core::{Refusal, WireGate};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// What the gate says of a connection; its requests ask it one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubts(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    requests: u64,
    refusal: Option<Refusal>,
}

impl Doubts {
    /// Called once for every request: why it is refused, if it is.
    pub(crate) fn of_next_request(&self) -> Option<Refusal> {
        let mut state = self.0.borrow_mut();
        let number = state.requests;
        state.requests += 1;
        state.refusal.filter(|refusal| number >= refusal.request)
    }
}

/// The connection.
#[derive(Debug)]
pub(crate) struct GatedStream {
    stream: TcpStream,
    gate: WireGate,
    doubts: Doubts,
}

impl GatedStream {
    pub(crate) fn new(stream: TcpStream, head_bytes_max: usize) -> (Self, Doubts) {
        let doubts = Doubts::default();
        let gate = WireGate::new(head_bytes_max);
        (Self { stream, gate, doubts: doubts.clone() }, doubts)
    }
}

impl AsyncRead for GatedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if !matches!(polled, Poll::Ready(Ok(()))) {
            return polled;
        }
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        if let Err(refusal) = this.gate.read(bytes) {
            this.doubts.0.borrow_mut().refusal = Some(refusal);
            // A doubtful head gets an answer, in its turn. A body is on its way already: it must not go on.
            if refusal.is_in_body {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, refusal.error)));
            }
        }
        polled
    }
}

impl AsyncWrite for GatedStream {
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
