//! Frames of HTTP/2 that cost the receiver work and the sender nothing: so many are in order, more are a flood.
//!
//! The library answers every PING and SETTINGS and drops what it does not know; it counts resets, but not these. The meter
//! reads along the headers of frames (RFC 9113 section 4.1) and keeps no payload.

use std::time::Duration;

/// Reads along with one connection, from behind the preface.
#[derive(Clone, Debug)]
pub struct FrameMeter {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    payload_left: usize,
    /// Idle frames that are left.
    left: u32,
    refilled: Duration,
    preface_left: usize,
}

/// More frames without use than are in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a flood of frames without use")]
pub struct Flood;

const HEADER_BYTES: usize = 9;
const PREFACE_BYTES: usize = 24;
/// Idle frames at once. At some hundred nanoseconds each they cost a millisecond.
const LEFT_MAX: u32 = 5000;
/// Idle frames in a second: far more than keeping a connection alive takes.
const REFILL_PER_SECOND: u32 = 100;
/// What a request permits, such as window updates for its response.
const LEFT_PER_REQUEST: u32 = 50;

const DATA: u8 = 0;
const HEADERS: u8 = 1;

impl FrameMeter {
    /// A meter for a new connection, at this time of any clock.
    pub const fn new(now: Duration) -> Self {
        Self {
            header: [0; HEADER_BYTES],
            header_bytes: 0,
            payload_left: 0,
            left: LEFT_MAX,
            refilled: now,
            preface_left: PREFACE_BYTES,
        }
    }

    /// Reads the next bytes of the connection.
    pub fn read(&mut self, mut bytes: &[u8], now: Duration) -> Result<(), Flood> {
        self.refill(now);
        let skipped = self.preface_left.min(bytes.len());
        self.preface_left -= skipped;
        bytes = bytes.get(skipped..).unwrap_or_default();
        while !bytes.is_empty() {
            let skipped = self.payload_left.min(bytes.len());
            self.payload_left -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((byte, rest)) = bytes.split_first() else { break };
            if let Some(place) = self.header.get_mut(self.header_bytes) {
                *place = *byte;
            }
            self.header_bytes += 1;
            bytes = rest;
            if self.header_bytes == HEADER_BYTES {
                self.header_bytes = 0;
                self.frame()?;
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> Result<(), Flood> {
        let [high, middle, low, kind, ..] = self.header;
        self.payload_left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            HEADERS => self.left = self.left.saturating_add(LEFT_PER_REQUEST).min(LEFT_MAX),
            // What carries something is paid for by what it carries.
            DATA if self.payload_left > 0 => {}
            _ => self.left = self.left.checked_sub(1).ok_or(Flood)?,
        }
        Ok(())
    }

    fn refill(&mut self, now: Duration) {
        let seconds = now.saturating_sub(self.refilled).as_secs();
        if seconds > 0 {
            self.refilled = now;
            let more = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(REFILL_PER_SECOND);
            self.left = self.left.saturating_add(more).min(LEFT_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let [_, high, middle, low] = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![high, middle, low, kind, 0, 0, 0, 0, 1];
        frame.resize(HEADER_BYTES + payload, 0x55);
        frame
    }

    fn survives(frames: &[Vec<u8>], each: Duration) -> bool {
        let mut meter = FrameMeter::new(Duration::ZERO);
        let mut now = Duration::ZERO;
        meter.read(PREFACE, now).unwrap();
        frames.iter().all(|frame| {
            now += each;
            meter.read(frame, now).is_ok()
        })
    }

    #[test]
    fn floods_end_and_work_goes_on() {
        let many = |kind, payload| vec![frame(kind, payload); 20_000];
        for (kind, payload) in
            [(6, 8), (4, 0), (4, 6), (2, 5), (DATA, 0), (0xfa, 100), (8, 4), (3, 4), (9, 10)]
        {
            assert!(!survives(&many(kind, payload), Duration::ZERO), "{kind}");
            assert!(survives(&many(kind, payload), Duration::from_secs(1)), "{kind}");
        }
        assert!(survives(&many(DATA, 100), Duration::ZERO));
        assert!(survives(&many(HEADERS, 100), Duration::ZERO));
        let work: Vec<_> = (0..20_000)
            .map(|number| frame(if number % 10 == 0 { HEADERS } else { 8 }, 4))
            .collect();
        assert!(survives(&work, Duration::ZERO));
    }

    proptest! {
        /// However the bytes arrive, the count is the same.
        #[test]
        fn the_count_does_not_depend_on_packets(
            frames in prop::collection::vec((0..10_u8, 0..40_usize), 0..60),
            cuts in prop::collection::vec(1..50_usize, 1..30),
        ) {
            let bytes: Vec<u8> = [PREFACE.to_vec()]
                .into_iter()
                .chain(frames.iter().map(|(kind, payload)| frame(*kind, *payload)))
                .flatten()
                .collect();
            let mut whole = FrameMeter::new(Duration::ZERO);
            whole.read(&bytes, Duration::ZERO).unwrap();
            let mut parts = FrameMeter::new(Duration::ZERO);
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                let (part, after) = rest.split_at((*cut).min(rest.len()));
                parts.read(part, Duration::ZERO).unwrap();
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(parts.left, whole.left);
            prop_assert_eq!(parts.payload_left, 0);
        }
    }
}
