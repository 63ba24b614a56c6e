//! A gate on the frames of an HTTP/2 connection: what RFC 9113 calls a connection error and the library lets pass or calls
//! something else, and floods of frames without use.
//!
//! It reads along headers of frames (section 4.1), SETTINGS and header blocks, and changes nothing. Whatever it lets through is
//! judged once more by the library.

mod block;
mod huffman;
mod meter;
mod streams;

use std::time::Duration;

use self::{block::Blocks, meter::Meter, streams::Streams};

/// Reads along with one connection, from its preface on.
#[derive(Clone, Debug)]
pub struct FrameGate {
    preface_left: usize,
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// Of the frame that is under way.
    payload_left: usize,
    is_settings: bool,
    setting: [u8; SETTING_BYTES],
    setting_bytes: usize,
    has_begun: bool,
    /// The stream whose header block is under way: nothing else may come between (section 4.3).
    block_of: Option<u32>,
    block_bytes_max: usize,
    /// What has come of that block.
    block: Vec<u8>,
    /// What of it came in earlier frames.
    block_before: usize,
    is_trailers: bool,
    /// The frame that is under way, where it carries a part of a header block.
    part: Option<Header>,
    blocks: Blocks,
    streams: Streams,
    meter: Meter,
}

/// Why a connection ends (section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// PROTOCOL_ERROR
    #[error("a frame that must not come here")]
    Protocol,
    /// FLOW_CONTROL_ERROR
    #[error("a window that is too large")]
    FlowControl,
    /// STREAM_CLOSED
    #[error("a frame on a stream whose end was sent")]
    StreamClosed,
    /// COMPRESSION_ERROR
    #[error("a header block that cannot be read")]
    Compression,
    /// PROTOCOL_ERROR, as any error of a stream may end the connection (section 5.4.1).
    #[error("a header block that no request has")]
    Malformed,
    /// FRAME_SIZE_ERROR
    #[error("a frame of a size that its kind does not have")]
    FrameSize,
    /// ENHANCE_YOUR_CALM
    #[error("a flood of frames without use")]
    Flood,
}

impl FrameError {
    /// The number on the wire.
    pub const fn code(self) -> u32 {
        match self {
            Self::Protocol | Self::Malformed => 0x1,
            Self::FlowControl => 0x3,
            Self::StreamClosed => 0x5,
            Self::FrameSize => 0x6,
            Self::Compression => 0x9,
            Self::Flood => 0xb,
        }
    }
}

/// The frame that ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRefusal {
    /// How many of the bytes that were just read come before it.
    pub bytes_before: usize,
    /// Why.
    pub error: FrameError,
}

const HEADER_BYTES: usize = 9;
const PREFACE_BYTES: usize = 24;
const SETTING_BYTES: usize = 6;
/// What is kept for the next block.
const BLOCK_BYTES_KEPT: usize = 2 << 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const WITH_PRIORITY: u8 = 0x20;

const INITIAL_WINDOW_SIZE: u16 = 4;
const WINDOW_BYTES_MAX: u32 = 0x7fff_ffff;

/// The header of a frame.
#[derive(Clone, Copy, Debug)]
struct Header {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl FrameGate {
    /// A gate for a new connection, at this time of any clock. `head_bytes_max`: the limit of heads, in whose proportion header
    /// blocks are read; what is too much for the one and not for the other is the library's to refuse.
    pub const fn new(now: Duration, head_bytes_max: usize) -> Self {
        Self {
            block_bytes_max: head_bytes_max.saturating_mul(2),
            preface_left: PREFACE_BYTES,
            header: [0; HEADER_BYTES],
            header_bytes: 0,
            payload_left: 0,
            is_settings: false,
            setting: [0; SETTING_BYTES],
            setting_bytes: 0,
            has_begun: false,
            block_of: None,
            block: Vec::new(),
            block_before: 0,
            is_trailers: false,
            part: None,
            blocks: Blocks::new(),
            streams: Streams::new(),
            meter: Meter::new(now),
        }
    }

    /// The last stream that the client has begun.
    pub const fn last_stream(&self) -> u32 {
        self.streams.last()
    }

    /// Reads the next bytes of the connection. After a refusal it must not be asked again.
    pub fn read(&mut self, bytes: &[u8], now: Duration) -> Result<(), FrameRefusal> {
        self.meter.refill(now);
        let mut rest = bytes;
        let skipped = self.preface_left.min(rest.len());
        self.preface_left -= skipped;
        rest = rest.get(skipped..).unwrap_or_default();
        // Where the frame that is under way begins; one that began earlier begins before all of these.
        let mut begins = 0;
        let refuse = |bytes_before, error| FrameRefusal { bytes_before, error };
        while let Some((first, after)) = rest.split_first() {
            if self.payload_left > 0 {
                let (payload, after) = rest.split_at(self.payload_left.min(rest.len()));
                self.payload_left -= payload.len();
                rest = after;
                if self.is_settings {
                    self.settings(payload).map_err(|error| refuse(begins, error))?;
                }
                if self.part.is_some() {
                    self.block_part(payload).map_err(|error| refuse(begins, error))?;
                }
                continue;
            }
            if self.header_bytes == 0 {
                begins = bytes.len() - rest.len();
            }
            if let Some(place) = self.header.get_mut(self.header_bytes) {
                *place = *first;
            }
            rest = after;
            self.header_bytes += 1;
            if self.header_bytes == HEADER_BYTES {
                self.header_bytes = 0;
                self.frame().map_err(|error| refuse(begins, error))?;
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> Result<(), FrameError> {
        let [high, middle, low, kind, flags, stream @ ..] = self.header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let header =
            Header { length, kind, flags, stream: u32::from_be_bytes(stream) & !(1 << 31) };
        self.payload_left = length;
        self.is_settings = kind == SETTINGS;
        self.setting_bytes = 0;
        self.meter.count(header)?;
        // The preface ends with SETTINGS (section 3.4).
        let begins = kind == SETTINGS && flags & ACK == 0;
        if !self.has_begun && !begins {
            return Err(FrameError::Protocol);
        }
        self.has_begun = true;
        self.check_block(header)?;
        check_size(header)?;
        if header.kind == HEADERS {
            self.is_trailers = header.stream <= self.streams.last();
        }
        self.streams.check(header)?;
        self.part = matches!(header.kind, HEADERS | CONTINUATION).then_some(header);
        // A part without bytes ends here.
        if self.part.is_some() && length == 0 { self.block_part(&[]) } else { Ok(()) }
    }

    /// A header block is HEADERS and as many CONTINUATION frames as it takes, with nothing between.
    fn check_block(&mut self, header: Header) -> Result<(), FrameError> {
        let continues = header.kind == CONTINUATION && self.block_of == Some(header.stream);
        if !continues && (self.block_of.is_some() || header.kind == CONTINUATION) {
            return Err(FrameError::Protocol);
        }
        if matches!(header.kind, HEADERS | CONTINUATION) {
            self.block_of = (header.flags & END_HEADERS == 0).then_some(header.stream);
        }
        Ok(())
    }

    /// Bytes of a header block; at its end it is read.
    fn block_part(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        self.block.extend_from_slice(payload);
        if self.block.len() > self.block_bytes_max {
            return Err(FrameError::Flood);
        }
        let Some(header) = self.part.filter(|_| self.payload_left == 0) else { return Ok(()) };
        self.part = None;
        self.strip(header)?;
        self.block_before = self.block.len();
        if header.flags & END_HEADERS == 0 {
            return Ok(());
        }
        let read = self.blocks.read(&self.block, self.is_trailers);
        self.block_before = 0;
        self.block.clear();
        // What a large one took is given back.
        self.block.shrink_to(BLOCK_BYTES_KEPT);
        read
    }

    /// Takes off what is no part of the block (section 6.2): the length of the padding, the priority, and the padding.
    fn strip(&mut self, header: Header) -> Result<(), FrameError> {
        let has = |flag: u8| header.kind == HEADERS && header.flags & flag != 0;
        let frame = self.block.get(self.block_before..).unwrap_or_default();
        let padding =
            frame.first().filter(|_| has(PADDED)).map_or(0, |length| usize::from(*length));
        let before = usize::from(has(PADDED)) + if has(WITH_PRIORITY) { 5 } else { 0 };
        let length = frame.len().checked_sub(before + padding).ok_or(FrameError::Protocol)?;
        self.block.truncate(self.block_before + before + length);
        self.block.drain(self.block_before..self.block_before + before);
        Ok(())
    }

    fn settings(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        for byte in payload {
            if let Some(place) = self.setting.get_mut(self.setting_bytes) {
                *place = *byte;
            }
            self.setting_bytes += 1;
            if self.setting_bytes == SETTING_BYTES {
                self.setting_bytes = 0;
                let [name_high, name_low, value @ ..] = self.setting;
                let name = u16::from_be_bytes([name_high, name_low]);
                if name == INITIAL_WINDOW_SIZE && u32::from_be_bytes(value) > WINDOW_BYTES_MAX {
                    return Err(FrameError::FlowControl);
                }
            }
        }
        Ok(())
    }
}

/// Sizes that kinds of frames have, whatever is in them.
fn check_size(header: Header) -> Result<(), FrameError> {
    let Header { length, flags, .. } = header;
    let has = |flag: u8| flags & flag != 0;
    let fits = match header.kind {
        DATA => !has(PADDED) || length >= 1,
        HEADERS => length >= usize::from(has(PADDED)) + if has(WITH_PRIORITY) { 5 } else { 0 },
        PRIORITY => length == 5,
        RST_STREAM | WINDOW_UPDATE => length == 4,
        SETTINGS if has(ACK) => length == 0,
        SETTINGS => length.is_multiple_of(SETTING_BYTES),
        PING => length == 8,
        GOAWAY => length >= 8,
        _ => true,
    };
    if fits { Ok(()) } else { Err(FrameError::FrameSize) }
}

#[cfg(test)]
mod tests;
