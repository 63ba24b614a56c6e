//! Starting a state machine on a log, and being told when it stops.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    thread,
    time::SystemTime,
};

use lombard_log::SharedLog;
use lombard_types::{Position, Timestamp};
use tokio::{
    runtime::Runtime,
    sync::{oneshot, watch},
};

use crate::{
    Codec, Handle, Limits, Machine, Snapshot, SnapshotInfo, Snapshots, StartError, StateAt,
    StoppedError,
    replay::Replay,
    snapshot::{Since, Snapshotter},
    writer::Writer,
};

/// Where the engine reads the time. It corrects the readings so that they strictly increase.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A running engine, for whoever is responsible for it; callers hold a [`Handle`].
pub struct Engine {
    stopped: oneshot::Receiver<Result<(), StoppedError>>,
    /// Makes snapshots for as long as it is held.
    _snapshotter: Option<Snapshotter>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Replays `log` from where the machine stands ([`StateAt`]; an empty machine stands at the start) and starts
    /// serving. Blocks while replaying; call it before serving requests.
    pub fn start<M, C>(
        name: &'static str,
        log: SharedLog,
        state: impl Into<StateAt<M>>,
        codec: C,
        limits: Limits,
    ) -> Result<(Handle<M>, Self), StartError>
    where
        M: Machine,
        C: Codec<Event = M::Event>,
    {
        Self::start_with_clock(name, log, state, codec, limits, system_clock())
    }

    /// [`Engine::start`] with another clock, for tests and simulations.
    pub fn start_with_clock<M, C>(
        name: &'static str,
        log: SharedLog,
        state: impl Into<StateAt<M>>,
        codec: C,
        limits: Limits,
        clock: Clock,
    ) -> Result<(Handle<M>, Self), StartError>
    where
        M: Machine,
        C: Codec<Event = M::Event>,
    {
        let state = state.into();
        let (_, made) = watch::channel(None);
        let (handle, stopped, _) = spawn(name, log, codec, limits, clock, made, |_| state)?;
        Ok((handle, Self { stopped, _snapshotter: None }))
    }

    /// [`Engine::start`] from the newest snapshot that can be used, or from the empty machine where there is none; and
    /// makes new ones behind the log from then on. A snapshot that cannot be used is never an error, as the log is the
    /// truth: it is told in the program's log, and the one before it is tried. Without a place for snapshots everything
    /// is replayed.
    pub fn start_with_snapshots<M, C>(
        name: &'static str,
        log: SharedLog,
        snapshots: impl Into<Option<Snapshots>>,
        empty: impl Fn() -> M + Clone + Send + 'static,
        codec: C,
        limits: Limits,
    ) -> Result<(Handle<M>, Self), StartError>
    where
        M: Snapshot,
        C: Codec<Event = M::Event> + Clone,
    {
        let Some(snapshots) = snapshots.into() else {
            return Self::start(name, log, empty(), codec, limits);
        };
        let (made_sender, made) = watch::channel(None);
        let open = {
            let (log, codec, empty) = (log.clone(), codec.clone(), empty.clone());
            let (store, read) = (snapshots.store(name), made_sender.clone());
            move |runtime: &Runtime| match runtime.block_on(store.newest(&log, &codec, &empty)) {
                Some(opened) => {
                    let SnapshotInfo { position, state_hash, took, .. } = &opened.info;
                    tracing::info!(machine = name, %position, %state_hash, ?took, "starting from a snapshot");
                    read.send_replace(Some(opened.info));
                    opened.state
                }
                None => empty().into(),
            }
        };
        let clock = system_clock();
        let (handle, stopped, from) = spawn(name, log, codec.clone(), limits, clock, made, open)?;
        let since = Since { position: from, recorded_bytes: Arc::clone(&handle.recorded_bytes) };
        let log = handle.log.clone();
        let snapshotter =
            Snapshotter::start(name, log, snapshots, empty, codec, since, made_sender)?;
        Ok((handle, Self { stopped, _snapshotter: Some(snapshotter) }))
    }

    /// [`Engine::start_with_clock`] without a thread of its own: the future that it answers is the writer, which serves while
    /// it is polled and ends as [`Engine::stopped`] would. For simulations, in which one thread does everything in an order
    /// that follows from a seed.
    pub async fn unthreaded<M, C>(
        name: &'static str,
        log: SharedLog,
        state: impl Into<StateAt<M>>,
        codec: C,
        limits: Limits,
        clock: Clock,
    ) -> Result<(Handle<M>, impl Future<Output = Result<(), StoppedError>>), StartError>
    where
        M: Machine,
        C: Codec<Event = M::Event>,
    {
        let (_, snapshots) = watch::channel(None);
        let (handle, queue) = Handle::new(log.clone(), limits, snapshots);
        let replay = Replay { name, log: &log, codec: &codec };
        let replayed = replay.run(state.into(), Position::new(u64::MAX), || true).await?;
        let recorded_bytes = Arc::clone(&handle.recorded_bytes);
        recorded_bytes.store(replayed.bytes, Ordering::Relaxed);
        let writer = Writer::new(name, log, codec, replayed, limits, clock, recorded_bytes, queue);
        Ok((handle, writer.serve()))
    }

    /// Resolves when the engine has stopped: with `Ok` after the last handle was dropped and everything answered.
    pub async fn stopped(self) -> Result<(), StoppedError> {
        self.stopped.await.unwrap_or(Err(StoppedError::Panicked { name: "engine" }))
    }
}

fn system_clock() -> Clock {
    Arc::new(|| Timestamp::from_system_time(SystemTime::now()))
}

type Stopped = oneshot::Receiver<Result<(), StoppedError>>;

/// Starts the writer's thread with the state that `open` answers there, waits until it has replayed, and answers also
/// where that state stood.
fn spawn<M, C>(
    name: &'static str,
    log: SharedLog,
    codec: C,
    limits: Limits,
    clock: Clock,
    snapshots: watch::Receiver<Option<SnapshotInfo>>,
    open: impl FnOnce(&Runtime) -> StateAt<M> + Send + 'static,
) -> Result<(Handle<M>, Stopped, Position), StartError>
where
    M: Machine,
    C: Codec<Event = M::Event>,
{
    let (handle, queue) = Handle::new(log.clone(), limits, snapshots);
    let recorded_bytes = Arc::clone(&handle.recorded_bytes);
    let (started_tx, started) = std::sync::mpsc::channel();
    let (stopped_tx, stopped) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| StartError::Thread { name, cause: error.to_string() })?;
    let run = move || {
        let replay = Replay { name, log: &log, codec: &codec };
        let from = open(&runtime);
        let position = from.position;
        let replayed = runtime.block_on(replay.run(from, Position::new(u64::MAX), || true));
        // Whoever started the engine may have gone away; then the queue is closed too and serving ends at once.
        match replayed {
            Err(error) => drop(started_tx.send(Err(error))),
            Ok(replayed) => {
                recorded_bytes.store(replayed.bytes, Ordering::Relaxed);
                let writer =
                    Writer::new(name, log, codec, replayed, limits, clock, recorded_bytes, queue);
                drop(started_tx.send(Ok(position)));
                drop(stopped_tx.send(runtime.block_on(writer.serve())));
            }
        }
    };
    thread::Builder::new()
        .name(format!("{name}-engine"))
        .spawn(run)
        .map_err(|error| StartError::Thread { name, cause: error.to_string() })?;
    match started.recv() {
        Ok(replayed) => Ok((handle, stopped, replayed?)),
        Err(_) => Err(StartError::Thread { name, cause: "panicked in replay".to_owned() }),
    }
}
