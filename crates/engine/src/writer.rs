//! The writer's loop: decides, applies and appends. Who waits is answered by the log (`unanswered.rs`).

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use lombard_log::{Batch, RECORD_OVERHEAD_BYTES, SharedLog, Then};
use lombard_types::{Position, Timestamp};
use tokio::time::Instant;

use crate::{
    At, Clock, Codec, Committed, Decision, Limits, Machine, StoppedError, SubmitError,
    alone::Alone,
    courier::Addressed,
    handle::{Answer, Request},
    queue::{Receiver, Sent},
    record,
    replay::Replayed,
    unanswered::{Unanswered, Waiting},
};

pub(crate) struct Writer<M: Machine, C> {
    name: &'static str,
    log: SharedLog,
    machine: M,
    codec: C,
    limits: Limits,
    clock: Clock,
    /// The position the next record gets.
    tail: Position,
    last_time: Timestamp,
    /// Payload bytes of the records since the machine's first state, for whoever makes snapshots.
    recorded_bytes: Arc<AtomicU64>,
    group: Group<M>,
    queue: Receiver<M>,
    alone: Alone,
    unanswered: Arc<Unanswered<M>>,
}

/// What was decided since the last append: the records, and who waits for them.
struct Group<M: Machine> {
    batch: Batch,
    waiting: Vec<Addressed<M>>,
}

impl<M: Machine> Default for Group<M> {
    fn default() -> Self {
        Self { batch: Batch::new(), waiting: Vec::new() }
    }
}

impl<M, C> Writer<M, C>
where
    M: Machine,
    C: Codec<Event = M::Event>,
{
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part of the writer: a struct of them would be the writer again"
    )]
    pub(crate) fn new(
        name: &'static str,
        log: SharedLog,
        codec: C,
        replayed: Replayed<M>,
        limits: Limits,
        clock: Clock,
        recorded_bytes: Arc<AtomicU64>,
        queue: Receiver<M>,
    ) -> Self {
        let Replayed { machine, position, last_time, .. } = replayed;
        Self {
            name,
            log,
            machine,
            codec,
            limits,
            clock,
            tail: position,
            last_time,
            recorded_bytes,
            group: Group::default(),
            alone: Alone::new(queue.counter()),
            queue,
            unanswered: Arc::new(Unanswered::new()),
        }
    }

    /// Works until the last handle is gone and everything is answered, or an append has failed.
    pub(crate) async fn serve(mut self) -> Result<(), StoppedError> {
        let mut requests = Vec::with_capacity(self.limits.group_commands_max);
        let unanswered = Arc::clone(&self.unanswered);
        loop {
            self.check_appends()?;
            let may_decide = unanswered.are_below(self.limits.groups_in_flight_max);
            let is_open =
                !may_decide || self.queue.take(&mut requests, self.limits.group_commands_max);
            if !requests.is_empty() {
                self.decide_all(&mut requests).await?;
            } else if is_open {
                tokio::select! {
                    biased;
                    () = unanswered.changed() => {}
                    () = self.queue.rung(), if may_decide => {}
                }
            } else {
                break;
            }
        }
        while !unanswered.are_below(1) {
            unanswered.changed().await;
        }
        self.check_appends()
    }

    /// Stops where an append has failed.
    fn check_appends(&self) -> Result<(), StoppedError> {
        match self.unanswered.failure() {
            None => Ok(()),
            Some(source) => {
                let name = self.name;
                tracing::error!(engine = name, error = %source, "stopping: the log refused an append");
                Err(StoppedError::Append { name, source })
            }
        }
    }

    /// Decides the requests in groups, as the log has room.
    async fn decide_all(&mut self, requests: &mut Vec<Sent<M>>) -> Result<(), StoppedError> {
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

    /// Waits until there is room for any record, or it is clear that there will be none; answers how much there is.
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
                () = self.unanswered.changed() => self.check_appends()?,
                // Refused or made: what there is now says all.
                _made = &mut making => return Ok(self.log.room_bytes()),
            }
        }
    }

    fn decide_one(&mut self, (request, courier): Sent<M>, now: Instant, room_bytes: &mut u64) {
        let waiting = match request {
            Request::Command { deadline, answer, .. } if deadline < now => {
                Waiting::Command { answer, result: Err(SubmitError::Expired) }
            }
            Request::Command { command, answer, .. } => {
                Waiting::Command { answer, result: self.decide(command, room_bytes) }
            }
            Request::Query(query) => Waiting::Query(query(&self.machine, self.tail.previous())),
        };
        self.group.waiting.push(Addressed { waiting, courier });
    }

    fn decide(&mut self, mut command: M::Command, room_bytes: &mut u64) -> Answer<M> {
        loop {
            let reading = (self.clock)();
            let time = reading.max(Timestamp::from_unix_nanos(self.last_time.unix_nanos() + 1));
            let decision = self.machine.decide(command, time).map_err(|rejection| {
                SubmitError::Rejected { rejection, position: self.tail.previous() }
            })?;
            match decision {
                Decision::Commit { events, reply } if !events.is_empty() => {
                    let position = self.happen(time, &events, room_bytes)?;
                    return Ok(Committed { position, time, written: true, reply });
                }
                Decision::Commit { reply, .. } | Decision::Answer(reply) => {
                    let position = self.tail.previous().unwrap_or_default();
                    return Ok(Committed { position, time, written: false, reply });
                }
                Decision::First { events, command: then } => {
                    self.happen(time, &events, room_bytes)?;
                    command = then;
                }
            }
        }
    }

    /// Records the events and makes them part of the state.
    fn happen(
        &mut self,
        time: Timestamp,
        events: &[M::Event],
        room_bytes: &mut u64,
    ) -> Result<Position, SubmitError<M::Rejection>> {
        self.record(time, events, room_bytes)?;
        let position = self.tail;
        for (index, event) in (0..).zip(events) {
            self.machine.apply(event, At { position, index, time });
        }
        self.tail = position.next();
        self.last_time = time;
        Ok(position)
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
        self.group.batch.push_with(|out| record::encode_record(codec, time, events, out));
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
            self.unanswered.push(waiting);
            return;
        }
        let records = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let bytes = u64::try_from(batch.payload_bytes()).unwrap_or(u64::MAX);
        self.recorded_bytes.fetch_add(bytes, Ordering::Relaxed);
        let expected = Position::new(self.tail.get() - records);
        let is_alone =
            self.queue.is_empty() && self.unanswered.is_idle() && self.alone.is_worth_it();
        self.unanswered.push_append(waiting);
        let unanswered = Arc::clone(&self.unanswered);
        if is_alone {
            let ended = self.alone.begin();
            let then = Then::new(move |outcome| {
                ended();
                unanswered.tell(outcome);
            });
            self.log.append_alone(expected, batch, then);
        } else {
            self.log.append_then(
                expected,
                batch,
                Then::new(move |outcome| unanswered.tell(outcome)),
            );
        }
    }
}
