//! The time between two events of a stream: until there is a change, something must be said so that the stream is known to
//! live, or it is over.

use std::time::Duration;

use futures_util::future::BoxFuture;
use lombard_chassis::CancellationToken;
use tokio::time::{Instant, Sleep};

use crate::watch::Waiter;

/// Says that the connection lives, and keeps proxies from closing it.
pub(super) const ALIVE: &[u8] = b": alive\n\n";
/// After this long without an event.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long who watches is left alone after an event of so many bytes. All of it is sent after each change, so what is large
/// must not follow every single one: at 100 MB/s a watcher costs a part of a core at most, and still sees a change within
/// milliseconds.
pub(super) fn rest_after(bytes: usize) -> Option<Duration> {
    const BYTES_PER_MICROSECOND: u64 = 100;
    let micros = u64::try_from(bytes).unwrap_or(u64::MAX) / BYTES_PER_MICROSECOND;
    // What is less than a timer can measure is not waited for.
    let rest = Duration::from_micros(micros).min(REST_MAX);
    (rest >= Duration::from_millis(1)).then_some(rest)
}

/// What is drained must be left alone 50 ms after it was said.
const REST_MAX: Duration = Duration::from_millis(20);

/// What ended a lull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Something may have changed.
    Changed,
    /// Nothing was said for long.
    Quiet,
    /// The token has expired, or the role drains.
    Over,
}

/// Waits between events. Its timer and its place among those who hear of a drain are taken once for the whole stream, not
/// for each event: of a thousand who watch a service all are woken at once.
pub(super) struct Lull {
    draining: BoxFuture<'static, ()>,
    alarm: std::pin::Pin<Box<Sleep>>,
    expires_at: Instant,
    said_at: Instant,
}

impl Lull {
    pub(super) fn new(draining: &CancellationToken, expires_in: Duration) -> Self {
        let now = Instant::now();
        Self {
            draining: Box::pin(draining.clone().cancelled_owned()),
            alarm: Box::pin(tokio::time::sleep_until(now + KEEP_ALIVE.min(expires_in))),
            expires_at: now + expires_in,
            said_at: now,
        }
    }

    /// An event was said just now.
    pub(super) fn said(&mut self) {
        // The alarm stays where it is: moving it once it rings is rarer than events are.
        self.said_at = Instant::now();
    }

    /// Waits whatever changes; whether the stream goes on.
    pub(super) async fn rest(&mut self, rest: Duration) -> bool {
        tokio::select! {
            () = &mut self.draining => false,
            () = tokio::time::sleep(rest) => Instant::now() < self.expires_at,
        }
    }

    pub(super) async fn end(&mut self, waiter: &mut Waiter) -> Turn {
        loop {
            tokio::select! {
                // What changes without a pause must not keep a stream open.
                biased;
                () = &mut self.draining => return Turn::Over,
                () = &mut self.alarm => {}
                () = waiter.changed() => return Turn::Changed,
            }
            let now = Instant::now();
            if now >= self.expires_at {
                return Turn::Over;
            }
            let is_quiet = now >= self.said_at + KEEP_ALIVE;
            if is_quiet {
                self.said_at = now;
            }
            self.alarm.as_mut().reset((self.said_at + KEEP_ALIVE).min(self.expires_at));
            if is_quiet {
                return Turn::Quiet;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Topic, Watches};

    #[test]
    fn who_gets_much_is_left_alone_for_longer() {
        let millis = |bytes| rest_after(bytes).map(|rest| rest.as_millis());
        assert_eq!([1, 99_999].map(millis), [None, None]);
        assert_eq!([100_000, 1_000_000, usize::MAX].map(millis), [Some(1), Some(10), Some(20)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_ends_with_the_drain_and_the_token() {
        let draining = CancellationToken::new();
        let mut lull = Lull::new(&draining, Duration::from_millis(15));
        assert!(lull.rest(Duration::from_millis(10)).await);
        assert!(!lull.rest(Duration::from_millis(10)).await, "expired");
        let mut lull = Lull::new(&draining, Duration::from_secs(1));
        draining.cancel();
        assert!(!lull.rest(Duration::from_secs(10)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lull_ends_with_a_change_a_sign_of_life_or_for_ever() {
        let (watches, draining) = (Watches::new(1), CancellationToken::new());
        let mut waiter = watches.enter(Topic::Names).unwrap();
        let (begun, expires_in) = (Instant::now(), Duration::from_secs(40));
        let mut lull = Lull::new(&draining, expires_in);
        watches.wake_names();
        assert_eq!(lull.end(&mut waiter).await, Turn::Changed);
        tokio::time::advance(Duration::from_secs(10)).await;
        lull.said();
        assert_eq!(lull.end(&mut waiter).await, Turn::Quiet);
        assert_eq!(begun.elapsed().as_secs(), 25, "counted from what was said last");
        assert_eq!(lull.end(&mut waiter).await, Turn::Over);
        assert_eq!(begun.elapsed().as_secs(), 40, "expired at the moment of the next sign");
        let mut lull = Lull::new(&draining, expires_in);
        draining.cancel();
        assert_eq!(lull.end(&mut waiter).await, Turn::Over);
    }
}
