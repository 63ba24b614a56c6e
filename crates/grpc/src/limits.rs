//! The server's limits, each with its unit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the server takes on at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once; more wait in the listen queue of the system.
    pub connections_max: usize,
    /// Calls at once on one connection; a client that knows its protocol waits with more.
    pub connection_calls_max: u32,
    /// Longest message of a client.
    pub message_bytes_max: usize,
    /// Bytes of a call's metadata, as HTTP/2 counts them: names, values, and 32 for each.
    pub header_bytes_max: u32,
    /// What a client may send of one call before it is consumed.
    pub call_window_bytes: u32,
    /// What a client may send of all calls of a connection before it is consumed.
    pub connection_window_bytes: u32,
    /// What waits to be sent, for each call.
    pub send_buffer_bytes_max: usize,
    /// Calls that were cancelled before the server looked at them, or for a fault of the client; one more ends the
    /// connection (CVE-2023-44487, "rapid reset").
    pub resets_max: usize,
    /// How long a new connection may take to speak HTTP/2.
    pub handshake_ms_max: u64,
    /// A client that does not answer a ping within this time is gone; pings are sent as often.
    pub keepalive_ms: u64,
    /// A connection without a call is closed after this time.
    pub idle_ms_max: u64,
    /// How long a call with one answer may take, with the arrival of its request; a client's own deadline counts where it
    /// is sooner.
    pub call_ms_max: u64,
    /// How long a client may leave a stream of answers untaken.
    pub stall_ms_max: u64,
    /// How long calls under way may take after the drain began.
    pub drain_ms_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            connection_calls_max: 256,
            message_bytes_max: 4 << 20,
            header_bytes_max: 16 << 10,
            call_window_bytes: 1 << 20,
            connection_window_bytes: 4 << 20,
            send_buffer_bytes_max: 1 << 20,
            resets_max: 64,
            handshake_ms_max: 10_000,
            keepalive_ms: 20_000,
            idle_ms_max: 300_000,
            call_ms_max: 30_000,
            stall_ms_max: 60_000,
            drain_ms_max: 10_000,
        }
    }
}

impl Limits {
    /// Every mistake in it, one line each.
    pub fn mistakes(&self) -> Vec<String> {
        const WINDOW_BYTES_MAX: u32 = (1 << 31) - 1;
        const WINDOW_BYTES_MIN: u32 = (1 << 16) - 1;
        let windows = WINDOW_BYTES_MIN..=WINDOW_BYTES_MAX;
        let mut mistakes = Vec::new();
        for (is_right, mistake) in [
            (self.connections_max > 0, "connections_max is 0"),
            (self.connection_calls_max > 0, "connection_calls_max is 0"),
            (self.message_bytes_max >= 1024, "message_bytes_max is below 1024"),
            (self.header_bytes_max >= 1024, "header_bytes_max is below 1024"),
            (
                windows.contains(&self.call_window_bytes),
                "call_window_bytes is not from 65535 to 2147483647",
            ),
            (
                windows.contains(&self.connection_window_bytes),
                "connection_window_bytes is not from 65535 to 2147483647",
            ),
            (self.send_buffer_bytes_max >= 1 << 14, "send_buffer_bytes_max is below 16384"),
            (
                u32::try_from(self.send_buffer_bytes_max).is_ok(),
                "send_buffer_bytes_max is over 4294967295",
            ),
            (self.resets_max > 0, "resets_max is 0"),
            (self.handshake_ms_max > 0, "handshake_ms_max is 0"),
            (self.keepalive_ms > 0, "keepalive_ms is 0"),
            (self.idle_ms_max > 0, "idle_ms_max is 0"),
            (self.call_ms_max > 0, "call_ms_max is 0"),
            (self.stall_ms_max > 0, "stall_ms_max is 0"),
        ] {
            if !is_right {
                mistakes.push(mistake.to_owned());
            }
        }
        mistakes
    }

    pub(crate) const fn keepalive(&self) -> Duration {
        Duration::from_millis(self.keepalive_ms)
    }

    pub(crate) const fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms_max)
    }

    pub(crate) const fn call(&self) -> Duration {
        Duration::from_millis(self.call_ms_max)
    }

    pub(crate) const fn stall(&self) -> Duration {
        Duration::from_millis(self.stall_ms_max)
    }

    pub(crate) const fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms_max)
    }

    pub(crate) const fn handshake(&self) -> Duration {
        Duration::from_millis(self.handshake_ms_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named() {
        assert_eq!(Limits::default().mistakes(), Vec::<String>::new());
        let limits = Limits { connections_max: 0, call_window_bytes: 1, ..Limits::default() };
        assert_eq!(limits.mistakes().len(), 2);
    }
}
