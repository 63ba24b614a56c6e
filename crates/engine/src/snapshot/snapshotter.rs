//! The thread that makes snapshots.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use lombard_log::SharedLog;
use lombard_types::Position;
use tokio::sync::watch;

use super::{Snapshot, SnapshotInfo, SnapshotPolicy, SnapshotStore, Snapshots};
use crate::{Codec, StartError, replay::Replay};

/// A busy log becomes durable thousands of times a second; looking a few times is enough.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes snapshots for as long as it is held.
pub(crate) struct Snapshotter {
    /// Dropping it tells the thread to end.
    _alive: watch::Sender<()>,
}

/// What has been recorded since a snapshot.
pub(crate) struct Since {
    /// Where the state stood that the engine started from.
    pub(crate) position: Position,
    /// Payload bytes recorded since then.
    pub(crate) recorded_bytes: Arc<AtomicU64>,
}

struct Run<F, C> {
    name: &'static str,
    log: SharedLog,
    store: SnapshotStore,
    policy: SnapshotPolicy,
    is_trimming: bool,
    empty: F,
    codec: C,
    since: Since,
    made: watch::Sender<Option<SnapshotInfo>>,
    gone: watch::Receiver<()>,
}

impl Snapshotter {
    /// Starts the thread.
    pub(crate) fn start<M, C>(
        name: &'static str,
        log: SharedLog,
        snapshots: Snapshots,
        empty: impl Fn() -> M + Send + 'static,
        codec: C,
        since: Since,
        made: watch::Sender<Option<SnapshotInfo>>,
    ) -> Result<Self, StartError>
    where
        M: Snapshot,
        C: Codec<Event = M::Event>,
    {
        let failed = |error: std::io::Error| StartError::Thread { name, cause: error.to_string() };
        let (alive, gone) = watch::channel(());
        let (store, policy) = (snapshots.store(name), snapshots.policy);
        let is_trimming = snapshots.is_trimming;
        let mut run =
            Run { name, log, store, policy, is_trimming, empty, codec, since, made, gone };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(failed)?;
        thread::Builder::new()
            .name(format!("{name}-snapshots"))
            .spawn(move || {
                give_way();
                runtime.block_on(run.run());
            })
            .map_err(failed)?;
        Ok(Self { _alive: alive })
    }
}

/// Lets every other thread go first.
fn give_way() {
    // Elsewhere this would be about the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 19) {
        tracing::debug!(%error, "snapshots are made at the priority of everything else");
    }
}

impl<F, C, M> Run<F, C>
where
    M: Snapshot,
    C: Codec<Event = M::Event>,
    F: Fn() -> M,
{
    async fn run(&mut self) {
        let mut durable = self.log.durable();
        // Where the last snapshot stands, and what had been recorded then; after a failure, where that happened.
        let mut last = (self.since.position, 0);
        loop {
            let position = *durable.borrow_and_update();
            let bytes = self.since.recorded_bytes.load(Ordering::Relaxed);
            let is_due = position.since(last.0) >= self.policy.records.max(1)
                || bytes.saturating_sub(last.1) >= self.policy.bytes.max(1);
            if is_due && position > last.0 {
                self.make(position).await;
                last = (position, bytes);
            }
            tokio::select! {
                changed = durable.changed() => if changed.is_err() { return },
                _ = self.gone.changed() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = self.gone.changed() => return,
            }
        }
    }

    async fn make(&self, position: Position) {
        let started = Instant::now();
        match self.try_make(position).await {
            Ok(header) => {
                let info = header.info(started.elapsed());
                let SnapshotInfo { position, state_hash, bytes, took } = info;
                let machine = self.name;
                tracing::info!(machine, %position, %state_hash, bytes, ?took, "made a snapshot");
                self.made.send_replace(Some(info));
                if self.is_trimming {
                    self.trim().await;
                }
            }
            Err(_) if !self.is_wanted() => {}
            Err(cause) => {
                tracing::warn!(machine = self.name, %position, %cause, "failed to make a snapshot");
            }
        }
    }

    /// Everything before the older snapshot goes: a start may still have to do without the newer one.
    async fn trim(&self) {
        let Some(before) = self.store.oldest_needed() else {
            return;
        };
        match self.log.trim(before).await {
            Ok(first) => tracing::debug!(machine = self.name, %before, %first, "trimmed the log"),
            Err(error) => tracing::warn!(machine = self.name, %error, "the log keeps its length"),
        }
    }

    async fn try_make(&self, position: Position) -> Result<super::file::Header, String> {
        let newest = self.store.newest(&self.log, &self.codec, &self.empty).await;
        let from = newest.map_or_else(|| (self.empty)().into(), |opened| opened.state);
        let replay = Replay { name: self.name, log: &self.log, codec: &self.codec };
        let state = replay.run(from, position, || self.is_wanted()).await;
        let state = state.map_err(|error| error.to_string())?;
        if state.position != position {
            return Err("the log was not read to the end".to_owned());
        }
        let at = (state.position, state.last_time);
        let written = self.store.write(&state.machine, at, &|| self.is_wanted());
        written.map_err(|error| error.to_string())
    }

    fn is_wanted(&self) -> bool {
        self.gone.has_changed().is_ok()
    }
}
