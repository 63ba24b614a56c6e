//! Frames that cost the receiver work and the sender nothing: so many are in order, more are a flood.
//!
//! The library answers every PING and SETTINGS and drops what it does not know; it counts resets, but not these.

use std::time::Duration;

use super::{DATA, FrameError, HEADERS, Header};

/// Counts the frames of one connection.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    /// Idle frames that are left.
    left: u32,
    refilled: Duration,
}

/// Idle frames at once. At some hundred nanoseconds each they cost a millisecond.
const LEFT_MAX: u32 = 5000;
/// Idle frames in a second: far more than keeping a connection alive takes.
const REFILL_PER_SECOND: u32 = 100;
/// What a request permits, such as window updates for its response.
const LEFT_PER_REQUEST: u32 = 50;

impl Meter {
    pub(super) const fn new(now: Duration) -> Self {
        Self { left: LEFT_MAX, refilled: now }
    }

    pub(super) fn count(&mut self, header: Header) -> Result<(), FrameError> {
        match header.kind {
            HEADERS => self.left = self.left.saturating_add(LEFT_PER_REQUEST).min(LEFT_MAX),
            // What carries something is paid for by what it carries.
            DATA if header.length > 0 => {}
            _ => self.left = self.left.checked_sub(1).ok_or(FrameError::Flood)?,
        }
        Ok(())
    }

    pub(super) fn refill(&mut self, now: Duration) {
        let seconds = now.saturating_sub(self.refilled).as_secs();
        if seconds > 0 {
            self.refilled = now;
            let more = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(REFILL_PER_SECOND);
            self.left = self.left.saturating_add(more).min(LEFT_MAX);
        }
    }
}
