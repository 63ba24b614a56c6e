//! The writer: one thread that decides, applies and appends, and answers what has become durable.

use std::{
    fmt, mem,
    sync::Arc,
    thread,
    time::{Instant, SystemTime},
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use lombard_log::{AppendError, Batch, RECORD_OVERHEAD_BYTES, ReadError, SharedLog};
use lombard_types::{Position, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::{
    At, Codec, Committed, Decision, DecodeError, Handle, Limits, Machine, SubmitError,
    handle::{Answer, Request},
    record,
};

/// Bytes read at a time while replaying.
const REPLAY_BYTES: usize = 1 << 20;

/// Where the engine reads the time. It corrects the readings so that they strictly increase.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A running engine, for whoever is responsible for it; callers hold a [`Handle`].
pub struct Engine {
    stopped: oneshot::Receiver<Result<(), StoppedError>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// Why an engine did not start.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// The log could not be read.
    #[error("failed to replay the log of {name}")]
    Read {
        /// The engine's name.
        name: &'static str,
        /// What the log said.
        source: ReadError,
    },
    /// A record is whole but its content is unknown to this version.
    #[error("failed to replay record {position} of {name}: was it written by a newer version?")]
    Decode {
        /// The engine's name.
        name: &'static str,
        /// The record.
        position: Position,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The system gave no thread.
    #[error("failed to start the thread of {name}: {cause}")]
    Thread {
        /// The engine's name.
        name: &'static str,
        /// What the system said.
        cause: String,
    },
}

/// Why a running engine stopped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoppedError {
    /// An append failed, so the state in memory is ahead of the log. The process must end; restarting recovers.
    #[error("{name} stopped: its log refused an append")]
    Append {
        /// The engine's name.
        name: &'static str,
        /// What the log said.
        source: AppendError,
    },
    /// The writer's thread panicked.
    #[error("{name} stopped: its thread panicked")]
    Panicked {
        /// The engine's name.
        name: &'static str,
    },
}

impl Engine {
    /// Replays `log` through `machine` and starts serving. Blocks while replaying; call it before serving requests.
    pub fn start<M, C>(
        name: &'static str,
        log: SharedLog,
        machine: M,
        codec: C,
        limits: Limits,
    ) -> Result<(Handle<M>, Self), StartError>
    where
        M: Machine,
        C: Codec<Event = M::Event>,
    {
        let clock: Clock = Arc::new(|| Timestamp::from_system_time(SystemTime::now()));
        Self::start_with_clock(name, log, machine, codec, limits, clock)
    }

    /// [`Engine::start`] with another clock, for tests and simulations.
    pub fn start_with_clock<M, C>(
        name: &'static str,
        log: SharedLog,
        machine: M,
        codec: C,
        limits: Limits,
        clock: Clock,
    ) -> Result<(Handle<M>, Self), StartError>
    where
        M: Machine,
        C: Codec<Event = M::Event>,
    {
        let (requests, queue) = mpsc::channel(limits.queue_commands_max);
        let handle = Handle { requests, log: log.clone(), limits };
        let (started_tx, started) = std::sync::mpsc::channel();
        let (stopped_tx, stopped) = oneshot::channel();
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build()
            {
                Ok(runtime) => runtime,
                Err(error) => {
                    let cause = error.to_string();
                    return drop(started_tx.send(Err(StartError::Thread { name, cause })));
                }
            };
            let mut writer = Writer {
                name,
                tail: Position::START,
                last_time: Timestamp::EPOCH,
                group: Group::default(),
                in_flight: FuturesOrdered::new(),
                log,
                machine,
                codec,
                limits,
                clock,
            };
            let replayed = runtime.block_on(writer.replay());
            let is_ready = replayed.is_ok();
            // Whoever started the engine may have gone away; then the queue is closed too and serving ends at once.
            drop(started_tx.send(replayed));
            if is_ready {
                drop(stopped_tx.send(runtime.block_on(writer.serve(queue))));
            }
        };
        thread::Builder::new()
            .name(format!("{name}-engine"))
            .spawn(run)
            .map_err(|error| StartError::Thread { name, cause: error.to_string() })?;
        match started.recv() {
            Ok(replayed) => replayed?,
            Err(_) => {
                return Err(StartError::Thread { name, cause: "panicked in replay".to_owned() });
            }
        }
        Ok((handle, Self { stopped }))
    }

    /// Resolves when the engine has stopped: with `Ok` after the last handle was dropped and everything answered.
    pub async fn stopped(self) -> Result<(), StoppedError> {
        self.stopped.await.unwrap_or(Err(StoppedError::Panicked { name: "engine" }))
    }
}

struct Writer<M: Machine, C> {
    name: &'static str,
    log: SharedLog,
    machine: M,
    codec: C,
    limits: Limits,
    clock: Clock,
    /// The position the next record gets.
    tail: Position,
    last_time: Timestamp,
    group: Group<M>,
    in_flight: FuturesOrdered<BoxFuture<'static, Finished<M>>>,
}

/// What was decided since the last append: the records, and who waits for them.
struct Group<M: Machine> {
    batch: Batch,
    waiting: Vec<Waiting<M>>,
}

impl<M: Machine> Default for Group<M> {
    fn default() -> Self {
        Self { batch: Batch::new(), waiting: Vec::new() }
    }
}

enum Waiting<M: Machine> {
    Command { answer: oneshot::Sender<Answer<M>>, result: Answer<M> },
    Query(Box<dyn FnOnce(bool) + Send>),
}

struct Finished<M: Machine> {
    waiting: Vec<Waiting<M>>,
    appended: Result<(), AppendError>,
}

impl<M, C> Writer<M, C>
where
    M: Machine,
    C: Codec<Event = M::Event>,
{
    async fn replay(&mut self) -> Result<(), StartError> {
        let name = self.name;
        loop {
            let records = self
                .log
                .read(self.tail, REPLAY_BYTES)
                .await
                .map_err(|source| StartError::Read { name, source })?;
            if records.is_empty() {
                return Ok(());
            }
            for record in &records {
                let machine = &mut self.machine;
                self.last_time =
                    record::decode_record(&self.codec, record, |event, at| machine.apply(&event, at))
                        .map_err(|source| StartError::Decode {
                            name,
                            position: record.position,
                            source,
                        })?;
                self.tail = record.position.next();
            }
        }
    }

    async fn serve(mut self, mut queue: mpsc::Receiver<Request<M>>) -> Result<(), StoppedError> {
        let mut requests = Vec::with_capacity(self.limits.group_commands_max);
        loop {
            let may_decide = self.in_flight.len() < self.limits.groups_in_flight_max;
            tokio::select! {
                biased;
                Some(finished) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    self.finish(finished)?;
                }
                received = queue.recv_many(&mut requests, self.limits.group_commands_max), if may_decide => {
                    if received == 0 {
                        break;
                    }
                    self.decide_all(&mut requests).await?;
                }
            }
        }
        while let Some(finished) = self.in_flight.next().await {
            self.finish(finished)?;
        }
        Ok(())
    }

    /// Decides the requests in groups, as the log has room.
    async fn decide_all(&mut self, requests: &mut Vec<Request<M>>) -> Result<(), StoppedError> {
        let now = Instant::now();
        let mut requests = requests.drain(..).peekable();
        while requests.peek().is_some() {
            let mut room_bytes = self.wait_for_room().await?;
            let enough_bytes = self.enough_bytes();
            // Without room for the largest record each command is decided by what it needs itself.
            let is_short = room_bytes < enough_bytes;
            while let Some(request) = requests.next_if(|_| is_short || room_bytes >= enough_bytes) {
                self.decide_one(request, now, &mut room_bytes);
            }
            self.append_group();
        }
        Ok(())
    }

    /// What any one record can need.
    fn enough_bytes(&self) -> u64 {
        u64::try_from(self.limits.record_bytes_max)
            .unwrap_or(u64::MAX)
            .saturating_add(RECORD_OVERHEAD_BYTES)
    }

    /// Waits until there is room for any record, or it is clear that there will be none, and answers what there is.
    async fn wait_for_room(&mut self) -> Result<u64, StoppedError> {
        let enough_bytes = self.enough_bytes();
        let room_bytes = self.log.room_bytes();
        if room_bytes >= enough_bytes {
            return Ok(room_bytes);
        }
        let mut making = self.log.make_room(enough_bytes);
        loop {
            tokio::select! {
                biased;
                Some(finished) = self.in_flight.next(), if !self.in_flight.is_empty() => self.finish(finished)?,
                // Refused or made: what there is now says all.
                _made = &mut making => return Ok(self.log.room_bytes()),
            }
        }
    }

    fn decide_one(&mut self, request: Request<M>, now: Instant, room_bytes: &mut u64) {
        let waiting = match request {
            Request::Command { deadline, answer, .. } if deadline < now => {
                Waiting::Command { answer, result: Err(SubmitError::Expired) }
            }
            Request::Command { command, answer, .. } => {
                Waiting::Command { answer, result: self.decide(command, room_bytes) }
            }
            Request::Query(query) => Waiting::Query(query(&self.machine, self.tail.previous())),
        };
        self.group.waiting.push(waiting);
    }

    fn decide(&mut self, command: M::Command, room_bytes: &mut u64) -> Answer<M> {
        let reading = (self.clock)();
        let time = reading.max(Timestamp::from_unix_nanos(self.last_time.unix_nanos() + 1));
        let decision = self.machine.decide(command, time).map_err(|rejection| {
            SubmitError::Rejected { rejection, position: self.tail.previous() }
        })?;
        let (events, reply) = match decision {
            Decision::Commit { events, reply } if !events.is_empty() => (events, reply),
            Decision::Commit { reply, .. } | Decision::Answer(reply) => {
                let position = self.tail.previous().unwrap_or_default();
                return Ok(Committed { position, time, written: false, reply });
            }
        };
        self.record(time, &events, room_bytes)?;
        let position = self.tail;
        for (index, event) in (0..).zip(&events) {
            self.machine.apply(event, At { position, index, time });
        }
        self.tail = position.next();
        self.last_time = time;
        Ok(Committed { position, time, written: true, reply })
    }

    /// Adds the record to the group, unless it is too large or there is no room for it.
    fn record(
        &mut self,
        time: Timestamp,
        events: &[M::Event],
        room_bytes: &mut u64,
    ) -> Result<(), SubmitError<M::Rejection>> {
        let before = self.group.batch.payload_bytes();
        let codec = &self.codec;
        self.group.batch.push_with(|out| record::encode(codec, time, events, out));
        let bytes = self.group.batch.payload_bytes() - before;
        let bytes_max = self.limits.record_bytes_max;
        if bytes > bytes_max {
            self.group.batch.pop();
            return Err(SubmitError::TooLarge { bytes, bytes_max });
        }
        let needed = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(RECORD_OVERHEAD_BYTES);
        let Some(rest) = room_bytes.checked_sub(needed) else {
            self.group.batch.pop();
            return Err(SubmitError::DiskFull);
        };
        *room_bytes = rest;
        Ok(())
    }

    /// Hands the group to the log. A group without records still waits for all appends before it: its answers may
    /// depend on them.
    fn append_group(&mut self) {
        let Group { batch, waiting } = mem::take(&mut self.group);
        if batch.is_empty() {
            self.in_flight.push_back(Box::pin(async { Finished { waiting, appended: Ok(()) } }));
            return;
        }
        let records = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let expected = Position::new(self.tail.get() - records);
        let appending = self.log.append(expected, batch);
        self.in_flight.push_back(Box::pin(async move {
            Finished { waiting, appended: appending.await.map(drop) }
        }));
    }

    fn finish(&self, finished: Finished<M>) -> Result<(), StoppedError> {
        let is_durable = finished.appended.is_ok();
        for waiting in finished.waiting {
            match waiting {
                Waiting::Query(answer) => answer(is_durable),
                // A caller that went away does not need its answer.
                Waiting::Command { answer, result } if is_durable => drop(answer.send(result)),
                Waiting::Command { answer, .. } => {
                    drop(answer.send(Err(SubmitError::OutcomeUnknown)));
                }
            }
        }
        finished.appended.map_err(|source| {
            let name = self.name;
            tracing::error!(engine = name, error = %source, "stopping: the log refused an append");
            StoppedError::Append { name, source }
        })
    }
}
