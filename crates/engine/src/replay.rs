//! Applying what the log holds to a machine that stands somewhere.

use lombard_log::{ReadError, SharedLog};
use lombard_types::{Position, Timestamp};

use crate::{Codec, Machine, StartError, record};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// A machine and where it stands. Replay goes on from there.
///
/// There are three ways to one, and all are started alike: an empty machine is turned into it (`machine.into()`), so
/// that everything is replayed; a snapshot holds one; and a machine that keeps its state in an index of its own says
/// with [`StateAt::new`] how far that is.
#[derive(Clone, Debug)]
pub struct StateAt<M> {
    /// The machine.
    pub machine: M,
    /// Everything before this position is applied, nothing after.
    pub position: Position,
    /// The time of the record before `position`, where it is known without reading that record.
    pub(crate) last_time: Option<Timestamp>,
}

impl<M> StateAt<M> {
    /// A machine to which everything before `position` has been applied.
    pub fn new(machine: M, position: Position) -> Self {
        Self { machine, position, last_time: None }
    }
}

impl<M: Machine> From<M> for StateAt<M> {
    /// A machine to which nothing has been applied.
    fn from(machine: M) -> Self {
        Self::new(machine, Position::START)
    }
}

/// A machine after a replay.
pub(crate) struct Replayed<M> {
    pub(crate) machine: M,
    pub(crate) position: Position,
    /// When the record before `position` was decided.
    pub(crate) last_time: Timestamp,
    /// Payload bytes of what was replayed.
    pub(crate) bytes: u64,
}

/// A log and how its records are read.
pub(crate) struct Replay<'a, C> {
    pub(crate) name: &'static str,
    pub(crate) log: &'a SharedLog,
    pub(crate) codec: &'a C,
}

impl<C: Codec> Replay<'_, C> {
    /// Applies everything durable from where the machine stands up to, not with, `until`. Stops early where
    /// `may_go_on` says no.
    pub(crate) async fn run<M>(
        &self,
        from: StateAt<M>,
        until: Position,
        may_go_on: impl Fn() -> bool,
    ) -> Result<Replayed<M>, StartError>
    where
        M: Machine<Event = C::Event>,
    {
        let last_time = match from.last_time {
            Some(time) => time,
            None => self.time_before(from.position).await?,
        };
        let StateAt { machine, position, .. } = from;
        let mut state = Replayed { machine, position, last_time, bytes: 0 };
        while state.position < until && may_go_on() {
            let records = self.read(state.position).await?;
            if records.is_empty() {
                break;
            }
            for record in records.iter().take_while(|record| record.position < until) {
                let machine = &mut state.machine;
                state.last_time = record::decode_record(self.codec, record, |event, at| {
                    machine.apply(&event, at);
                })
                .map_err(|source| self.not_decoded(record.position, source))?;
                state.position = record.position.next();
                state.bytes += u64::try_from(record.payload.len()).unwrap_or(u64::MAX);
            }
        }
        Ok(state)
    }

    /// When the record before `position` was decided: the clock goes on from there.
    pub(crate) async fn time_before(&self, position: Position) -> Result<Timestamp, StartError> {
        let Some(previous) = position.previous() else {
            return Ok(Timestamp::EPOCH);
        };
        let records = self.read_bytes(previous, 0).await?;
        let record = records.first().ok_or_else(|| StartError::Ahead {
            name: self.name,
            position,
            tail: *self.log.durable().borrow(),
        })?;
        record::decode_record_time(record)
            .map_err(|source| self.not_decoded(record.position, source))
    }

    async fn read(&self, from: Position) -> Result<Vec<lombard_log::Record>, StartError> {
        self.read_bytes(from, CHUNK_BYTES).await
    }

    async fn read_bytes(
        &self,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<lombard_log::Record>, StartError> {
        let name = self.name;
        let records = self.log.read(from, bytes_max).await;
        records.map_err(|source: ReadError| StartError::Read { name, source })
    }

    fn not_decoded(&self, position: Position, source: crate::DecodeError) -> StartError {
        StartError::Decode { name: self.name, position, source }
    }
}
