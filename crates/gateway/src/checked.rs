//! A connection to an upstream whose requests pass the wire gate once more, as they are written: whatever is wrong on our side
//! of it, no upstream is sent bytes that can be read in two ways.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use lombard_gateway_core::WireGate;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::Stream;

/// The connection.
#[derive(Debug)]
pub(crate) struct CheckedStream {
    stream: Stream,
    gate: WireGate,
    /// Bytes that passed the gate and that the system has not taken yet: they are offered again.
    ahead: usize,
    is_tunnel: bool,
}

impl CheckedStream {
    pub(crate) fn new(stream: Stream, head_bytes_max: usize) -> Self {
        Self { stream, gate: WireGate::new(head_bytes_max), ahead: 0, is_tunnel: false }
    }

    /// Checks what was not checked before.
    fn check<'a>(&mut self, slices: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        if self.is_tunnel {
            return Ok(());
        }
        let mut known = self.ahead;
        for slice in slices {
            let new = slice.get(known.min(slice.len())..).unwrap_or_default();
            known = known.saturating_sub(slice.len());
            self.ahead += new.len();
            self.gate.read(new).map_err(|refusal| {
                tracing::error!(error = %refusal.error, "a request to an upstream was not beyond doubt and is not sent");
                io::Error::new(io::ErrorKind::InvalidData, refusal.error)
            })?;
        }
        Ok(())
    }

    fn written(&mut self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = polled {
            self.ahead = self.ahead.saturating_sub(*count);
        }
    }
}

impl AsyncRead for CheckedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        // After the answer that agrees to another protocol the bytes are no HTTP.
        if buffer.filled().get(before..).is_some_and(|bytes| bytes.starts_with(b"HTTP/1.1 101 ")) {
            this.is_tunnel = true;
        }
        polled
    }
}

impl AsyncWrite for CheckedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Err(error) = this.check(std::iter::once(bytes)) {
            return Poll::Ready(Err(error));
        }
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(&polled);
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Err(error) = this.check(slices.iter().map(|slice| &**slice)) {
            return Poll::Ready(Err(error));
        }
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.written(&polled);
        polled
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn pair() -> (CheckedStream, tokio::net::TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (other, _) = listener.accept().await.unwrap();
        (CheckedStream::new(Stream::Plain(stream), 8192), other)
    }

    #[tokio::test]
    async fn what_is_beyond_doubt_is_written_in_whatever_parts() {
        let (mut stream, mut other) = pair().await;
        let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n";
        let body = vec![b'\n'; 3_000_000];
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            drop(tokio::io::AsyncReadExt::read_to_end(&mut other, &mut all).await);
            all.len()
        });
        // The second part is larger than what the system takes at once.
        stream.write_all(request).await.unwrap();
        stream.write_all(&body).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        drop(stream);
        assert_eq!(reading.await.unwrap(), request.len() + body.len() + 27);
    }

    #[tokio::test]
    async fn what_is_not_is_not_written() {
        for request in [
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\nZ: z\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            let (mut stream, mut other) = pair().await;
            stream.write_all(request.as_bytes()).await.unwrap_err();
            drop(stream);
            let mut all = Vec::new();
            drop(tokio::io::AsyncReadExt::read_to_end(&mut other, &mut all).await);
            assert!(all.is_empty(), "{request:?}");
        }
    }
}
