//! The feed's thread, and reading history.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use lombard_log::{Record, SharedLog};
use lombard_types::Position;
use parking_lot::RwLock;
use tokio::sync::{Notify, watch};

use super::{Fed, FeedError, FeedItem, ring::Ring};
use crate::DecodeError;

/// Bytes of records read at a time, live or from history.
const CHUNK_BYTES: usize = 64 << 10;

pub(super) type MakeItem<T> = Box<dyn Fn(&Record) -> Result<Fed<T>, DecodeError> + Send + Sync>;

/// What the thread and the subscriptions share.
pub(super) struct Shared<T> {
    pub(super) name: &'static str,
    pub(super) log: SharedLog,
    pub(super) make: MakeItem<T>,
    pub(super) ring: RwLock<Ring<T>>,
    pub(super) subscriptions: AtomicUsize,
    /// There is a subscription, after there was none.
    pub(super) is_heard: Notify,
    /// What was durable when that subscription began: from here on, what is made is made for all who listen.
    pub(super) heard_from: AtomicU64,
    pub(super) durable: watch::Receiver<Position>,
}

/// The feed's thread.
pub(super) struct Follow<T> {
    pub(super) shared: Arc<Shared<T>>,
    pub(super) fed: watch::Sender<Position>,
}

impl<T: FeedItem> Follow<T> {
    pub(super) async fn run(self, mut gone: watch::Receiver<()>) {
        let shared = &self.shared;
        let mut durable = shared.durable.clone();
        let mut position = *self.fed.borrow();
        let mut is_heard = false;
        loop {
            if !is_heard || shared.subscriptions.load(Ordering::Acquire) == 0 {
                // Nobody listens: it is not woken by what happens. Whoever comes finds it in the log, up to where it came.
                shared.ring.write().skip_to(position);
                tokio::select! {
                    () = shared.is_heard.notified() => {}
                    _ = gone.changed() => return,
                }
                let heard_from = Position::new(shared.heard_from.load(Ordering::Acquire));
                position = position.max(heard_from);
                shared.ring.write().skip_to(position);
                self.fed.send_replace(position);
                is_heard = true;
                continue;
            }
            if let Err(cause) = self.catch_up(&mut position).await {
                let feed = shared.name;
                tracing::error!(feed, %position, %cause, "stopped feeding from the log");
                return;
            }
            tokio::select! {
                biased;
                advanced = durable.wait_for(|durable| *durable > position) => {
                    if advanced.is_err() {
                        return;
                    }
                }
                _ = gone.changed() => return,
            }
        }
    }

    async fn catch_up(&self, position: &mut Position) -> Result<(), FeedError> {
        loop {
            let made = self.shared.history(*position, usize::MAX).await?;
            let Some(last) = made.last() else {
                return Ok(());
            };
            *position = last.position.next();
            {
                let mut ring = self.shared.ring.write();
                made.into_iter().for_each(|fed| ring.push(fed));
            }
            self.fed.send_replace(*position);
        }
    }
}

impl<T: FeedItem> Shared<T> {
    /// The next records of the log, up to a chunk and before one that is unknown; none at its tail.
    pub(super) async fn history(
        &self,
        from: Position,
        records_max: usize,
    ) -> Result<Vec<Fed<T>>, FeedError> {
        let name = self.name;
        let records = self.log.read(from, CHUNK_BYTES).await;
        let records = records.map_err(|source| FeedError::Read { name, source })?;
        let mut made = Vec::with_capacity(records.len().min(records_max));
        for record in records.iter().take(records_max) {
            match (self.make)(record) {
                Ok(fed) => made.push(fed),
                // What is before it is given first; then it is the first.
                Err(_) if !made.is_empty() => break,
                Err(source) => {
                    let position = record.position;
                    return Err(FeedError::Decode { name, position, source });
                }
            }
        }
        Ok(made)
    }
}
