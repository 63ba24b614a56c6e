//! One subscriber's cursor.

use std::{fmt, sync::atomic::Ordering};

use lombard_types::Position;
use tokio::sync::watch;

use super::{Fed, Feed, FeedError, FeedItem};

/// Gives every record from a position on, once and in order. Dropping it ends it.
pub struct Subscription<T> {
    feed: Feed<T>,
    fed: watch::Receiver<Position>,
    /// The position of the next record to give.
    next: Position,
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        self.feed.shared.subscriptions.fetch_sub(1, Ordering::Release);
    }
}

impl<T: FeedItem> Subscription<T> {
    pub(super) fn new(feed: Feed<T>, from: Position) -> Self {
        if feed.shared.subscriptions.fetch_add(1, Ordering::AcqRel) == 0 {
            let durable = feed.shared.durable.borrow().get();
            feed.shared.heard_from.fetch_max(durable, Ordering::AcqRel);
            feed.shared.is_heard.notify_one();
        }
        let fed = feed.fed.clone();
        Self { feed, fed, next: from }
    }

    /// The next records: at least one, at most `records_max` (which is at least 1), and not more than a chunk of the
    /// log. Waits at the tail.
    ///
    /// Cancel safe: what was not answered is given the next time, so a caller that wants to show a sign of life every
    /// while gives it a timeout. After an error the subscription stands where it stood.
    pub async fn next(&mut self, records_max: usize) -> Result<Vec<Fed<T>>, FeedError> {
        let records_max = records_max.max(1);
        let taken = loop {
            let shared = &self.feed.shared;
            let live = shared.ring.read().take(self.next, records_max);
            if let Some(taken) = live {
                break taken;
            }
            let next = self.next;
            let is_running = if *self.fed.borrow_and_update() > next {
                true
            } else {
                self.fed.wait_for(|fed| *fed > next).await.is_ok()
            };
            if is_running && shared.ring.read().holds(next) {
                continue;
            }
            // Also when the feed has stopped: what is durable is still given.
            let taken = shared.history(next, records_max).await?;
            if !taken.is_empty() {
                // Reading does not wait for anything, so others on this thread get their turn here.
                tokio::task::yield_now().await;
                break taken;
            }
            if !is_running {
                return Err(FeedError::Stopped { name: shared.name });
            }
        };
        if let Some(last) = taken.last() {
            self.next = last.position.next();
        }
        Ok(taken)
    }

    /// The position of the next record to give: what a subscriber hands in to resume.
    pub fn position(&self) -> Position {
        self.next
    }

    /// Everything before this position is durable; the subscription has caught up when it stands here or beyond.
    pub fn tail(&self) -> Position {
        *self.feed.shared.durable.borrow()
    }
}
