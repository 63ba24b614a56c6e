//! Length-prefixed messages, as gRPC puts them into the data of an HTTP/2 stream:
//!
//! ```text
//!  1 byte   whether the message is compressed: 0, as no compression is offered
//!  4 bytes  length, big endian
//!           message
//! ```
//!
//! Frames of HTTP/2 and messages do not begin and end together: a chunk may hold many messages, or a part of one.

use bytes::{Buf as _, Bytes, BytesMut};
use prost::Message;

/// Bytes before each message.
pub const PREFIX_BYTES: usize = 5;

/// What arrived is not a sequence of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The sender compressed although nobody said that it may.
    #[error("the message is compressed, which is not supported")]
    Compressed,
    /// The flag is neither 0 nor 1.
    #[error("the message begins with the flag {0}, which has no meaning")]
    Flag(u8),
    /// Over the limit.
    #[error("a message of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge {
        /// What the prefix says.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
}

/// Cuts chunks into messages. Pure: chunks go in, messages come out. A message that lies within one chunk is not copied.
#[derive(Debug)]
pub struct FrameDecoder {
    bytes_max: usize,
    /// What is left of the last chunk.
    chunk: Bytes,
    /// The beginning of a message of which the rest has not arrived, with its prefix.
    partial: BytesMut,
}

impl FrameDecoder {
    /// Refuses messages over `bytes_max`.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, chunk: Bytes::new(), partial: BytesMut::new() }
    }

    /// Takes what has arrived.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let mut joined = BytesMut::from(std::mem::take(&mut self.chunk));
            joined.extend_from_slice(&chunk);
            self.chunk = joined.freeze();
        }
    }

    /// The next whole message; `None` until more has arrived. After an error nothing that follows has a meaning.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.partial.is_empty() {
            let needed = needed_bytes(&self.chunk, self.bytes_max)?;
            if self.chunk.len() >= needed && needed >= PREFIX_BYTES {
                let mut frame = self.chunk.split_to(needed);
                frame.advance(PREFIX_BYTES);
                return Ok(Some(frame));
            }
        }
        loop {
            let needed = needed_bytes(&self.partial, self.bytes_max)?;
            let missing = needed.saturating_sub(self.partial.len());
            if missing == 0 {
                let mut frame = self.partial.split().freeze();
                frame.advance(PREFIX_BYTES);
                return Ok(Some(frame));
            }
            if self.chunk.is_empty() {
                return Ok(None);
            }
            // Memory is taken for what has arrived, not for what is announced.
            let taken = self.chunk.split_to(missing.min(self.chunk.len()));
            self.partial.extend_from_slice(&taken);
        }
    }

    /// Whether everything that arrived has been given: a stream that ends otherwise was cut short.
    pub fn is_empty(&self) -> bool {
        self.chunk.is_empty() && self.partial.is_empty()
    }
}

/// How many bytes the frame at the front takes, as far as it is known: its prefix at least.
fn needed_bytes(front: &[u8], bytes_max: usize) -> Result<usize, FrameError> {
    match front.first() {
        None | Some(0) => {}
        Some(1) => return Err(FrameError::Compressed),
        Some(flag) => return Err(FrameError::Flag(*flag)),
    }
    let Some([_, length @ ..]) = front.first_chunk::<PREFIX_BYTES>() else {
        return Ok(PREFIX_BYTES);
    };
    let bytes = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if bytes > bytes_max {
        return Err(FrameError::TooLarge { bytes, bytes_max });
    }
    Ok(PREFIX_BYTES.saturating_add(bytes))
}

/// Appends a message with its prefix.
pub fn encode(message: &impl Message, out: &mut BytesMut) {
    encode_with(out, |out| {
        // A buffer that grows has room for everything.
        message.encode_raw(out);
    });
}

/// Appends a message that `write` writes, with its prefix.
pub fn encode_with(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let start = begin(out);
    write(out);
    end(out, start);
}

/// Begins a message whose bytes are appended until [`end`], and answers where.
pub fn begin(out: &mut BytesMut) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    start
}

/// Ends a message: writes the prefix that [`begin`] has left room for.
pub fn end(out: &mut BytesMut, start: usize) {
    let length = out.len().saturating_sub(start + PREFIX_BYTES);
    let prefix = out.get_mut(start + 1..start + PREFIX_BYTES);
    if let (Some(prefix), Ok(length)) = (prefix, u32::try_from(length)) {
        prefix.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(messages: &[Vec<u8>]) -> BytesMut {
        let mut out = BytesMut::new();
        for message in messages {
            encode_with(&mut out, |out| out.extend_from_slice(message));
        }
        out
    }

    fn decode(
        bytes: &[u8],
        cuts: &[usize],
        bytes_max: usize,
    ) -> Result<(Vec<Vec<u8>>, bool), FrameError> {
        let mut decoder = FrameDecoder::new(bytes_max);
        let mut messages = Vec::new();
        let mut rest = Bytes::copy_from_slice(bytes);
        for cut in cuts.iter().copied().chain([usize::MAX]) {
            decoder.push(rest.split_to(cut.min(rest.len())));
            while let Some(message) = decoder.next_message()? {
                messages.push(message.to_vec());
            }
        }
        Ok((messages, decoder.is_empty()))
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (bytes, error) in [
            (&[1, 0, 0, 0, 0][..], FrameError::Compressed),
            (&[2], FrameError::Flag(2)),
            (&[0, 0, 0, 0, 5], FrameError::TooLarge { bytes: 5, bytes_max: 4 }),
            (&[0, 255, 255, 255, 255], FrameError::TooLarge { bytes: 4_294_967_295, bytes_max: 4 }),
        ] {
            assert_eq!(decode(bytes, &[], 4).unwrap_err(), error);
            assert_eq!(decode(bytes, &[1, 1, 1, 1], 4).unwrap_err(), error, "byte by byte");
        }
    }

    #[test]
    fn a_message_within_a_chunk_is_not_copied() {
        let bytes = framed(&[vec![1; 100], vec![2; 50]]).freeze();
        let start = bytes.as_ptr();
        let mut decoder = FrameDecoder::new(100);
        decoder.push(bytes);
        let message = decoder.next_message().unwrap().unwrap();
        assert_eq!(message.as_ptr().addr() - start.addr(), PREFIX_BYTES);
    }

    #[test]
    fn an_announced_length_takes_no_memory() {
        let mut decoder = FrameDecoder::new(1 << 30);
        decoder.push(Bytes::from_static(&[0, 0x20, 0, 0, 0, 7]));
        assert_eq!(decoder.next_message(), Ok(None));
        assert!(decoder.partial.capacity() < 1024);
    }

    proptest! {
        /// However the bytes are cut into chunks, the messages are the same.
        #[test]
        fn messages_survive_any_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in prop::collection::vec(0usize..20, 0..40),
        ) {
            let bytes = framed(&messages);
            let (read, is_empty) = decode(&bytes, &cuts, 40).unwrap();
            prop_assert_eq!(read, messages);
            prop_assert!(is_empty);
        }

        /// A stream that is cut short gives the whole messages before, and says that something is missing.
        #[test]
        fn cut_short_is_noticed(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8),
            missing in 1usize..5,
        ) {
            let bytes = framed(&messages);
            let cut = &bytes[..bytes.len() - missing.min(bytes.len())];
            let (read, is_empty) = decode(cut, &[], 40).unwrap();
            prop_assert!(read.len() < messages.len());
            prop_assert_eq!(&read[..], &messages[..read.len()]);
            let whole: usize = read.iter().map(|message| message.len() + PREFIX_BYTES).sum();
            prop_assert_eq!(is_empty, whole == cut.len());
        }

        /// Any bytes: no panic, no message over the limit, the same result however they are cut.
        #[test]
        fn any_bytes(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..200),
            cuts in prop::collection::vec(0usize..20, 0..40),
        ) {
            let whole = decode(&bytes, &[], 16);
            let cut = decode(&bytes, &cuts, 16);
            prop_assert_eq!(&whole, &cut);
            if let Ok((messages, _)) = whole {
                prop_assert!(messages.iter().all(|message| message.len() <= 16));
            }
        }
    }
}
