//! The feed: a log's history and then what happens, from one source, for thousands of subscribers.
//!
//! ```text
//!  durable log ──► one thread: decode, make the item once ──► ring of the newest items
//!       │                                                        │ shared, not copied
//!       └── chunk by chunk, where the ring begins later ──►  subscriptions, each only a position
//! ```
//!
//! A subscription is a cursor. Is its position in the ring, it takes from there; is it before, it reads the log. There
//! is no switch between two sources that could leave a gap or repeat something at the seam, as both are asked for the
//! same position. And no subscriber can hold up another or the feed, or cost memory by being slow: it falls out of the
//! ring, reads history until it has caught up, and is back.
//!
//! The items are what the caller makes of a record, such as its bytes on the wire: made once, whoever takes them.

mod follow;
mod ring;
mod subscription;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use lombard_log::{ReadError, Record, SharedLog};
use lombard_types::{Position, Timestamp};
use parking_lot::RwLock;
use tokio::sync::{Notify, watch};

use self::{
    follow::{Follow, Shared},
    ring::Ring,
};
use crate::{Codec, DecodeError, StartError, record};

pub use subscription::Subscription;

/// What a feed hands out for a record.
pub trait FeedItem: Send + Sync + 'static {
    /// Bytes of memory that it takes, about: what the ring's limit counts.
    fn bytes(&self) -> usize;
}

/// A record as it was fed.
#[derive(Debug)]
pub struct Fed<T> {
    /// The record.
    pub position: Position,
    /// When it was decided.
    pub time: Timestamp,
    /// What the caller made of it, shared by all subscribers that take it from the ring.
    pub item: Arc<T>,
}

impl<T> Clone for Fed<T> {
    fn clone(&self) -> Self {
        Self { position: self.position, time: self.time, item: Arc::clone(&self.item) }
    }
}

/// How much of the newest a feed keeps in memory. A subscriber that is further behind reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedLimits {
    /// Bytes of the items in the ring, with what each takes beside.
    pub ring_bytes_max: usize,
    /// Items in the ring.
    pub ring_records_max: usize,
}

impl Default for FeedLimits {
    fn default() -> Self {
        Self { ring_bytes_max: 16 << 20, ring_records_max: 65_536 }
    }
}

/// What the ring holds, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingUsage {
    /// Items.
    pub records: usize,
    /// Bytes, as the limit counts them.
    pub bytes: usize,
}

/// Why a subscription gives nothing any more.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FeedError {
    /// The log could not be read.
    #[error("failed to read the log of {name}")]
    Read {
        /// The feed's name.
        name: &'static str,
        /// What the log said.
        source: ReadError,
    },
    /// A record is not known to this version.
    #[error("failed to read record {position} of {name}")]
    Decode {
        /// The feed's name.
        name: &'static str,
        /// The record.
        position: Position,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Nothing will happen any more: the log stopped, or the feed met an error, which is in the program's log.
    #[error("the feed of {name} has stopped")]
    Stopped {
        /// The feed's name.
        name: &'static str,
    },
}

/// Follows a log for subscribers. Cheap to clone; it stops with its last clone and subscription.
pub struct Feed<T> {
    shared: Arc<Shared<T>>,
    fed: watch::Receiver<Position>,
    /// Dropping it tells the thread that nobody reads any more.
    alive: Arc<watch::Sender<()>>,
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            fed: self.fed.clone(),
            alive: Arc::clone(&self.alive),
        }
    }
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("tail", &*self.shared.durable.borrow()).finish_non_exhaustive()
    }
}

// === impl Feed ===

impl<T: FeedItem> Feed<T> {
    /// Starts following `log` on a thread of its own. `make` makes the item of a record from it, its time and its decoded events.
    pub fn start<C>(
        name: &'static str,
        log: SharedLog,
        codec: C,
        limits: FeedLimits,
        make: impl Fn(&Record, Timestamp, Vec<C::Event>) -> T + Send + Sync + 'static,
    ) -> Result<Self, StartError>
    where
        C: Codec,
    {
        let (feed, following) = Self::unthreaded(name, log, codec, limits, make);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| StartError::Thread { name, cause: error.to_string() })?;
        thread::Builder::new()
            .name(format!("{name}-feed"))
            .spawn(move || runtime.block_on(following))
            .map_err(|error| StartError::Thread { name, cause: error.to_string() })?;
        Ok(feed)
    }

    /// [`Feed::start`] without the thread: it follows while the future is polled. For simulations.
    pub fn unthreaded<C>(
        name: &'static str,
        log: SharedLog,
        codec: C,
        limits: FeedLimits,
        make: impl Fn(&Record, Timestamp, Vec<C::Event>) -> T + Send + Sync + 'static,
    ) -> (Self, impl Future<Output = ()> + Send + 'static)
    where
        C: Codec,
    {
        let make = move |record: &Record| {
            let mut events = Vec::new();
            let time = record::decode_record(&codec, record, |event, _| events.push(event))?;
            let item = Arc::new(make(record, time, events));
            Ok(Fed { position: record.position, time, item })
        };
        let durable = log.durable();
        let tail = *durable.borrow();
        let shared = Arc::new(Shared {
            name,
            log,
            make: Box::new(make),
            ring: RwLock::new(Ring::new(limits, tail)),
            subscriptions: AtomicUsize::new(0),
            is_heard: Notify::new(),
            heard_from: AtomicU64::new(0),
            durable,
        });
        let (fed_sender, fed) = watch::channel(tail);
        let (alive, gone) = watch::channel(());
        let follow = Follow { shared: Arc::clone(&shared), fed: fed_sender };
        (Self { shared, fed, alive: Arc::new(alive) }, follow.run(gone))
    }

    /// Gives every record from `from` on, once and in order; it may be beyond the tail, and then waits for it.
    pub fn subscribe(&self, from: Position) -> Subscription<T> {
        Subscription::new(self.clone(), from)
    }

    /// Whether the feed still follows. It stops for good when the log stops, on damage in it, or at an unknown record.
    pub fn is_feeding(&self) -> bool {
        self.fed.has_changed().is_ok()
    }

    /// How many subscriptions there are.
    pub fn subscription_count(&self) -> usize {
        self.shared.subscriptions.load(Ordering::Relaxed)
    }

    /// What the ring holds.
    pub fn ring_usage(&self) -> RingUsage {
        self.shared.ring.read().usage()
    }
}
