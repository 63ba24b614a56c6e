//! The answers of one call.

use std::{fmt, marker::PhantomData};

use h2::{RecvStream, client::ResponseFuture};
use http::{HeaderMap, StatusCode};
use lombard_proto::{FrameDecoder, status_from_trailers};
use prost::Message;

use super::{
    GrpcError,
    channel::{MESSAGE_BYTES_MAX, release},
};

/// The messages of an answer, and how it ends.
pub(super) struct Messages<A> {
    address: String,
    state: State,
    decoder: FrameDecoder,
    answer: PhantomData<fn() -> A>,
}

enum State {
    Waiting(ResponseFuture),
    Body(RecvStream),
    Ended,
}

impl<A> fmt::Debug for Messages<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("address", &self.address).finish_non_exhaustive()
    }
}

impl<A: Message + Default> Messages<A> {
    pub(super) fn new(address: String, response: ResponseFuture) -> Self {
        let (state, decoder) = (State::Waiting(response), FrameDecoder::new(MESSAGE_BYTES_MAX));
        Self { address, state, decoder, answer: PhantomData }
    }

    /// The next message; `None` after the last of a call that went well.
    pub(super) async fn next(&mut self) -> Result<Option<A>, GrpcError> {
        loop {
            let decoded = self.decoder.next_message();
            if let Some(message) = decoded.map_err(|error| self.unexpected(error))? {
                let decoded = A::decode(message);
                return decoded.map(Some).map_err(|error| self.unexpected(error));
            }
            match &mut self.state {
                State::Ended => return Ok(None),
                State::Waiting(response) => {
                    let response = response.await;
                    let response = response.map_err(|error| self.unknown(error))?;
                    let (head, body) = response.into_parts();
                    if head.status != StatusCode::OK {
                        return Err(self.unexpected(head.status));
                    }
                    // An answer without messages has its status in the head.
                    if head.headers.contains_key("grpc-status") {
                        self.state = State::Ended;
                        self.end(&head.headers)?;
                    } else {
                        self.state = State::Body(body);
                    }
                }
                State::Body(body) => match body.data().await {
                    Some(chunk) => {
                        let chunk = chunk.map_err(|error| self.unknown(error))?;
                        if let State::Body(body) = &mut self.state {
                            release(body, chunk.len());
                        }
                        self.decoder.push(chunk);
                    }
                    None => {
                        let trailers =
                            body.trailers().await.map_err(|error| self.unknown(error))?;
                        self.state = State::Ended;
                        self.end(&trailers.unwrap_or_default())?;
                    }
                },
            }
        }
    }

    fn end(&self, trailers: &HeaderMap) -> Result<(), GrpcError> {
        status_from_trailers(trailers).map_err(|status| GrpcError::Refused(Box::new(status)))?;
        if self.decoder.is_empty() {
            return Ok(());
        }
        Err(self.unexpected("the answer ended in the middle of a message"))
    }

    fn unknown(&self, cause: impl fmt::Display) -> GrpcError {
        GrpcError::unknown(&self.address, cause)
    }

    fn unexpected(&self, what: impl fmt::Display) -> GrpcError {
        GrpcError::unexpected(&self.address, what)
    }
}
