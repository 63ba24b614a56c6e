//! The answers to one call.

use std::{
    fmt,
    future::poll_fn,
    marker::PhantomData,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use h2::{Reason, SendStream, server::SendResponse};
use http::{HeaderValue, Response, header};
use lombard_chassis::Problem;
use lombard_proto::{frame, rpc::Status, trailers};
use prost::Message;

/// The client has gone away, or takes nothing: nobody reads what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Where a handler puts its answers: first into a buffer, from there onto the connection as the client takes them.
pub struct Outgoing<M> {
    sink: Sink,
    message: PhantomData<fn(M)>,
}

impl<M> fmt::Debug for Outgoing<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("buffered_bytes", &self.sink.buffer.len())
            .finish_non_exhaustive()
    }
}

impl<M: Message> Outgoing<M> {
    /// Adds a message to the buffer.
    pub fn push(&mut self, message: &M) {
        frame::encode(message, &mut self.sink.buffer);
    }
}

impl<M> Outgoing<M> {
    pub(crate) const fn new(sink: Sink) -> Self {
        Self { sink, message: PhantomData }
    }

    pub(crate) fn into_sink(self) -> Sink {
        self.sink
    }

    /// Begins a message of this type that the caller writes itself, at the end of [`Outgoing::buffer`]. Nothing may be
    /// flushed before [`Outgoing::end`].
    #[must_use]
    pub fn begin(&mut self) -> Begun {
        Begun(frame::begin(&mut self.sink.buffer))
    }

    /// Takes back a message that was begun, with what was written since.
    pub fn cancel(&mut self, Begun(start): Begun) {
        self.sink.buffer.truncate(start);
    }

    /// Where the caller writes.
    pub const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.sink.buffer
    }

    /// Ends the message: what was written since is it.
    pub fn end(&mut self, Begun(start): Begun) {
        frame::end(&mut self.sink.buffer, start);
    }

    /// Bytes that wait in the buffer.
    pub fn buffered_bytes(&self) -> usize {
        self.sink.buffer.len()
    }

    /// Sends what is in the buffer, as far as the client takes it, and waits until it has taken the rest, but not longer
    /// than the limit for a client that takes nothing. Cancel safe: what was not sent stays in the buffer.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        self.sink.flush().await
    }

    /// Waits until the client has gone away.
    pub async fn closed(&mut self) {
        self.sink.closed().await;
    }
}

/// A message that the caller writes itself.
#[derive(Debug)]
pub struct Begun(usize);

/// What is answered, whatever its type.
pub(crate) struct Sink {
    respond: SendResponse<Bytes>,
    stream: Option<SendStream<Bytes>>,
    buffer: BytesMut,
    stall: Duration,
}

/// Up to this much is handed to the connection at once, whatever the client's window is: it waits there.
const SMALL_BYTES: usize = 16 << 10;

impl Sink {
    pub(crate) fn new(respond: SendResponse<Bytes>, stall: Duration) -> Self {
        Self { respond, stream: None, buffer: BytesMut::new(), stall }
    }

    pub(crate) fn push(&mut self, message: &impl Message) {
        frame::encode(message, &mut self.buffer);
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() && self.stream.is_some() {
            return Ok(());
        }
        // Most of the time everything fits, and no timer is needed.
        if let Poll::Ready(sent) = poll_fn(|cx| Poll::Ready(self.poll_flush(cx))).await {
            return sent;
        }
        let stall = self.stall;
        loop {
            let before = self.buffer.len();
            let progress = poll_fn(|cx| match self.poll_flush(cx) {
                Poll::Pending if self.buffer.len() < before => Poll::Ready(Ok(())),
                other => other,
            });
            tokio::time::timeout(stall, progress).await.map_err(|_| Gone)??;
            if self.buffer.is_empty() {
                return Ok(());
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        self.open(false)?;
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(Gone)) };
        while !self.buffer.is_empty() {
            stream.reserve_capacity(self.buffer.len());
            let capacity = match ready!(stream.poll_capacity(cx)) {
                Some(Ok(capacity)) => capacity,
                Some(Err(_)) | None => return Poll::Ready(Err(Gone)),
            };
            let data = self.buffer.split_to(capacity.min(self.buffer.len())).freeze();
            stream.send_data(data, false).map_err(|_| Gone)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the head of the answer, once.
    fn open(&mut self, is_end: bool) -> Result<(), Gone> {
        if self.stream.is_none() {
            let mut head = Response::new(());
            let media_type = HeaderValue::from_static("application/grpc");
            head.headers_mut().insert(header::CONTENT_TYPE, media_type);
            self.stream = Some(self.respond.send_response(head, is_end).map_err(|_| Gone)?);
        }
        Ok(())
    }

    async fn closed(&mut self) {
        poll_fn(|cx| {
            let reset = match &mut self.stream {
                Some(stream) => stream.poll_reset(cx),
                None => self.respond.poll_reset(cx),
            };
            reset.map(drop)
        })
        .await;
    }

    /// Ends the call: what is buffered, then how it ended. `None`: well.
    pub(crate) async fn finish(mut self, status: Option<&Status>) -> Result<(), Gone> {
        let trailers = trailers(status);
        if self.stream.is_none() && self.buffer.is_empty() {
            // Nothing was said before: head and trailers are one.
            let mut head = Response::new(());
            *head.headers_mut() = trailers;
            let media_type = HeaderValue::from_static("application/grpc");
            head.headers_mut().insert(header::CONTENT_TYPE, media_type);
            return self.respond.send_response(head, true).map(drop).map_err(|_| Gone);
        }
        if self.buffer.len() <= SMALL_BYTES {
            self.open(false)?;
            if let Some(stream) = &mut self.stream
                && !self.buffer.is_empty()
            {
                stream.send_data(self.buffer.split().freeze(), false).map_err(|_| Gone)?;
            }
        } else {
            self.flush().await?;
        }
        let stream = self.stream.as_mut().ok_or(Gone)?;
        stream.send_trailers(trailers).map_err(|_| Gone)
    }

    /// Refuses what is not gRPC, in HTTP's own words.
    pub(crate) fn refuse(mut self, status: http::StatusCode) {
        let mut head = Response::new(());
        *head.status_mut() = status;
        drop(self.respond.send_response(head, true));
    }

    /// Ends the call without a word: the client has gone, or takes nothing.
    pub(crate) fn reset(mut self) {
        match &mut self.stream {
            Some(stream) => stream.send_reset(Reason::CANCEL),
            None => self.respond.send_reset(Reason::CANCEL),
        }
    }
}

impl From<Gone> for Option<Problem> {
    /// Nobody is there to be told anything.
    fn from(_: Gone) -> Self {
        None
    }
}
