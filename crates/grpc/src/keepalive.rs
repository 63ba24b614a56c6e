//! Whether the other end is still there.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use h2::{Ping, PingPong};
use tokio::time::{Interval, MissedTickBehavior};

/// Pings a connection on which nothing is heard.
pub(crate) struct Keepalive {
    ping_pong: PingPong,
    every: Interval,
    is_asked: bool,
}

/// The other end has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silent;

impl Keepalive {
    pub(crate) fn new(ping_pong: PingPong, every: Duration) -> Self {
        let mut every = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ping_pong, every, is_asked: false }
    }

    /// Sends a ping when it is time; ready when the last one has had no answer until the next was due.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Silent> {
        if self.is_asked && self.ping_pong.poll_pong(cx).is_ready() {
            self.is_asked = false;
        }
        while self.every.poll_tick(cx).is_ready() {
            if self.is_asked {
                return Poll::Ready(Silent);
            }
            self.is_asked = self.ping_pong.send_ping(Ping::opaque()).is_ok();
            // Registers for the answer.
            if self.is_asked && self.ping_pong.poll_pong(cx).is_ready() {
                self.is_asked = false;
            }
        }
        Poll::Pending
    }
}
