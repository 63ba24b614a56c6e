//! The messages that a client sends in one call.

use std::{fmt, marker::PhantomData};

use bytes::Bytes;
use h2::RecvStream;
use lombard_chassis::Problem;
use lombard_proto::FrameDecoder;
use prost::Message;

use crate::problems;

/// Messages as they arrive. What is not taken is not received: the client is held up by flow control.
pub struct Incoming<M> {
    stream: RecvStream,
    decoder: FrameDecoder,
    /// Bytes that arrived and still count against the client's window.
    unreleased_bytes: usize,
    message: PhantomData<fn() -> M>,
}

impl<M> fmt::Debug for Incoming<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("decoder", &self.decoder).finish_non_exhaustive()
    }
}

impl<M> Incoming<M> {
    pub(crate) fn new(stream: RecvStream, message_bytes_max: usize) -> Self {
        let decoder = FrameDecoder::new(message_bytes_max);
        Self { stream, decoder, unreleased_bytes: 0, message: PhantomData }
    }

    /// The next message as bytes; `None` when the client has said that there is no further one. Cancel safe.
    ///
    /// An error is what the client is told. Nothing can be received after it.
    pub async fn next_bytes(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let message = self.decoder.next_message().map_err(problems::from_frame_error)?;
            if message.is_some() {
                return Ok(message);
            }
            self.release();
            match self.stream.data().await {
                Some(Ok(chunk)) => {
                    self.unreleased_bytes += chunk.len();
                    self.decoder.push(chunk);
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "a call was broken off");
                    return Err(problems::incomplete());
                }
                None if self.decoder.is_empty() => return Ok(None),
                None => return Err(problems::incomplete()),
            }
        }
    }

    /// Everything that arrived was taken: the client may send as much again.
    fn release(&mut self) {
        let bytes = std::mem::take(&mut self.unreleased_bytes);
        if bytes > 0 && self.stream.flow_control().release_capacity(bytes).is_err() {
            tracing::debug!("a call's window was released although it was not used");
        }
    }
}

impl<M: Message + Default> Incoming<M> {
    /// The next message; `None` when the client has said that there is no further one. Cancel safe.
    ///
    /// An error is what the client is told. Nothing can be received after it.
    pub async fn next(&mut self) -> Result<Option<M>, Problem> {
        let Some(bytes) = self.next_bytes().await? else {
            return Ok(None);
        };
        let message = M::decode(bytes).map_err(|error| {
            Problem::new(&problems::MALFORMED_MESSAGE).detail(error.to_string())
        })?;
        Ok(Some(message))
    }

    /// The one message of a call that has one.
    pub(crate) async fn only(&mut self) -> Result<M, Problem> {
        let wrong =
            |detail: &'static str| Problem::new(&problems::MALFORMED_MESSAGE).detail(detail);
        let message = self.next().await?;
        let message = message.ok_or_else(|| wrong("the call has no message"))?;
        if self.next_bytes().await?.is_some() {
            return Err(wrong("the method takes one message; there are more"));
        }
        Ok(message)
    }
}
