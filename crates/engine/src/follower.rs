//! Read models: a view that follows the durable log on a thread of its own.

use std::{fmt, sync::Arc, thread, time::Duration};

use lombard_log::SharedLog;
use lombard_types::Position;
use parking_lot::{RwLock, RwLockWriteGuard};
use tokio::sync::watch;

use crate::{At, Codec, Machine, Snapshot, Snapshots, StartError, record};

/// Bytes applied under one write lock, so that readers are never held up for long.
const CHUNK_BYTES: usize = 64 << 10;

/// After which a view that was not ready is asked again.
const READY_AGAIN: Duration = Duration::from_millis(1);

/// State derived from a log's events and nothing else. It can be thrown away and built again.
pub trait View: Send + Sync + 'static {
    /// What the log holds.
    type Event;

    /// Makes an event part of the view.
    fn apply(&mut self, event: &Self::Event, at: At);

    /// Whether it takes more now. While it does not, it is asked again every few moments: for a view that works in the
    /// background on what it was given, and must not be given more than it has room for.
    fn is_ready(&self) -> bool {
        true
    }
}

/// A view that follows a log. Cheap to clone; following stops when the last clone is gone.
pub struct Follower<V> {
    view: Arc<RwLock<V>>,
    applied: watch::Receiver<Position>,
    /// Dropping it tells the thread that nobody reads any more.
    _alive: Arc<watch::Sender<()>>,
}

impl<V> Clone for Follower<V> {
    fn clone(&self) -> Self {
        Self {
            view: Arc::clone(&self.view),
            applied: self.applied.clone(),
            _alive: Arc::clone(&self._alive),
        }
    }
}

impl<V> fmt::Debug for Follower<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("applied", &*self.applied.borrow()).finish_non_exhaustive()
    }
}

/// The view did not get there in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the view has reached {reached}, not yet {wanted}")]
pub struct Lagging {
    /// Everything before this is applied.
    pub reached: Position,
    /// What was waited for.
    pub wanted: Position,
}

impl<V: View> Follower<V> {
    /// Starts following `log` from its beginning.
    pub fn start<C>(
        name: &'static str,
        log: SharedLog,
        codec: C,
        view: V,
    ) -> Result<Self, StartError>
    where
        C: Codec<Event = V::Event>,
    {
        Self::start_at(name, log, codec, view, Position::START)
    }

    /// Starts following `log` from a position: everything before it is in the view already.
    pub fn start_at<C>(
        name: &'static str,
        log: SharedLog,
        codec: C,
        view: V,
        from: Position,
    ) -> Result<Self, StartError>
    where
        C: Codec<Event = V::Event>,
    {
        Self::spawn(name, (log, codec), (view, from), async |_| ())
    }

    /// Starts following `log` from the newest of these snapshots that can be used, so that a start applies what came since and not the
    /// whole log; from its beginning where there is none. Until the snapshot is read, the view is empty and at the beginning. Who
    /// makes the snapshots is somebody else: nothing is taken away.
    pub fn start_with_snapshots<C>(
        name: &'static str,
        log: SharedLog,
        snapshots: impl Into<Option<Snapshots>>,
        empty: impl Fn() -> V + Send + 'static,
        codec: C,
    ) -> Result<Self, StartError>
    where
        V: Snapshot + Machine<Event = <V as View>::Event>,
        C: Codec<Event = <V as View>::Event>,
    {
        let store = snapshots.into().map(|snapshots| snapshots.store(name));
        let view = (empty(), Position::START);
        Self::spawn(name, (log, codec), view, async move |follow: &Follow<V, C>| {
            let Some(store) = store else { return };
            let newest = store.newest_for_reader(&follow.log, &follow.codec, &empty).await;
            if let Some(opened) = newest {
                let mut view = follow.view.write();
                *view = opened.state.machine;
                follow.applied.send_replace(opened.state.position);
            }
        })
    }

    fn spawn<C>(
        name: &'static str,
        (log, codec): (SharedLog, C),
        (view, from): (V, Position),
        begin: impl AsyncFnOnce(&Follow<V, C>) + Send + 'static,
    ) -> Result<Self, StartError>
    where
        C: Codec<Event = <V as View>::Event>,
    {
        let view = Arc::new(RwLock::new(view));
        let (applied_tx, applied) = watch::channel(from);
        let (alive, gone) = watch::channel(());
        let follow = Follow { name, log, codec, view: Arc::clone(&view), applied: applied_tx };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| StartError::Thread { name, cause: error.to_string() })?;
        let run = move || {
            runtime.block_on(async {
                begin(&follow).await;
                follow.run(gone).await;
            });
        };
        thread::Builder::new()
            .name(format!("{name}-view"))
            .spawn(run)
            .map_err(|error| StartError::Thread { name, cause: error.to_string() })?;
        Ok(Self { view, applied, _alive: Arc::new(alive) })
    }

    /// Reads the view. Holds up the follower: be quick.
    pub fn read<R>(&self, read: impl FnOnce(&V) -> R) -> R {
        read(&self.view.read())
    }

    /// Reads the view together with the position it stands at: everything before it is applied, nothing after.
    pub fn read_at<R>(&self, read: impl FnOnce(&V) -> R) -> (R, Position) {
        let view = self.view.read();
        // Read under the lock: the follower moves the position while it holds the lock for writing.
        let position = *self.applied.borrow();
        (read(&view), position)
    }

    /// Everything before this position is applied.
    pub fn position(&self) -> Position {
        *self.applied.borrow()
    }

    /// Whether the view still follows. It stops for good on damage in the log or an unknown event.
    pub fn is_following(&self) -> bool {
        self.applied.has_changed().is_ok()
    }

    /// Waits until everything before `position` is applied.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<(), Lagging> {
        let mut applied = self.applied.clone();
        let reached = applied.wait_for(|reached| *reached >= position);
        match tokio::time::timeout(timeout, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Lagging { reached: self.position(), wanted: position }),
        }
    }
}

struct Follow<V, C> {
    name: &'static str,
    log: SharedLog,
    codec: C,
    view: Arc<RwLock<V>>,
    applied: watch::Sender<Position>,
}

impl<V, C> Follow<V, C>
where
    V: View,
    C: Codec<Event = V::Event>,
{
    async fn run(self, mut gone: watch::Receiver<()>) {
        let mut durable = self.log.durable();
        let mut position = *self.applied.borrow();
        loop {
            match self.catch_up(position).await {
                Ok(reached) => position = reached,
                Err(cause) => {
                    tracing::error!(view = self.name, %position, %cause, "stopped following the log");
                    return;
                }
            }
            tokio::select! {
                advanced = durable.wait_for(|durable| *durable > position) => {
                    if advanced.is_err() {
                        return;
                    }
                }
                _ = gone.changed() => return,
            }
        }
    }

    /// Applies everything durable from `position` on; answers where it got to.
    async fn catch_up(&self, mut position: Position) -> Result<Position, String> {
        loop {
            let records =
                self.log.read(position, CHUNK_BYTES).await.map_err(|error| error.to_string())?;
            let Some(last) = records.last() else {
                return Ok(position);
            };
            let reached = last.position.next();
            let mut events = Vec::new();
            for record in &records {
                record::decode_record(&self.codec, record, |event, at| events.push((event, at)))
                    .map_err(|error| format!("record {}: {error}", record.position))?;
            }
            while !self.view.read().is_ready() {
                // Nobody else waits on this thread.
                thread::sleep(READY_AGAIN);
            }
            let mut view = self.view.write();
            for (event, at) in &events {
                view.apply(event, *at);
            }
            self.applied.send_replace(reached);
            // Whoever waits to read has its turn before the next records, which otherwise often come first again.
            RwLockWriteGuard::unlock_fair(view);
            position = reached;
        }
    }
}
