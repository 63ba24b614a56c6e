//! Which ids are spent, for ever: more than fits in memory.
//!
//! The writer makes every event part of it before the event is durable, and decides on it ([`Past`]). What is older than
//! a few hundred thousand sets is in sealed files behind the log, with filters: a new id is told from all older ones
//! mostly without reading. All of it can be thrown away and is then made again from the log.
//!
//! | map      | from                     | to             | bytes on disk at most, of memory for filters |
//! |----------|--------------------------|----------------|----------------------------------------------|
//! | ids      | set                      | record, status | 23 and 1.25 a set                           |
//! | external | external id's hash       | record         | 22 and 1.25 an external id                  |
//! | reversed | set, transfer of it      | minor units    | 34 and 1.25 a reversed transfer             |
//! | uses     | payment authority        | count          | 20 and 1.25 an authority                    |

mod key;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lombard_engine::{At, StartError, decode_record, decode_record_time};
use lombard_index::{FilterOn, Index, Map, MapSpec, Opening, Reads};
use lombard_ledger_core::{AuthorityUse, Event, ExternalId, Lesson, Past, Spent, Unreadable};
use lombard_log::{ReadError, SharedLog};
use lombard_types::{Amount, Position, Timestamp, TransferId};

use self::key::{
    ExternalKey, ExternalValue, IdKey, IdValue, ReversedKey, ReversedValue, UsesKey, UsesValue,
};
use crate::codec::EventCodec;

/// The index of spent ids. Cheap to clone; one writer, many readers.
#[derive(Clone)]
pub(crate) struct SpentIndex {
    maps: Arc<Maps>,
}

struct Maps {
    index: Index,
    ids: Map<{ size_of::<IdKey>() }, { size_of::<IdValue>() }>,
    external: Map<{ size_of::<ExternalKey>() }, { size_of::<ExternalValue>() }>,
    reversed: Map<{ size_of::<ReversedKey>() }, { size_of::<ReversedValue>() }>,
    uses: Map<{ size_of::<UsesKey>() }, { size_of::<UsesValue>() }>,
    learning: Mutex<Learning>,
}

/// How far the log is durable.
type Durable = tokio::sync::watch::Receiver<Position>;

/// Where the log must be read from.
struct From {
    position: Position,
    /// The time of the record before.
    mark: Timestamp,
}

/// How far it is.
struct Learning {
    /// The next event to learn: what is before it was learned, and is not learned again.
    next: (Position, u32),
    since_freeze: u64,
    freeze_ids: u64,
}

impl fmt::Debug for SpentIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpentIndex").field("index", &self.maps.index).finish_non_exhaustive()
    }
}

/// Most ids that are looked up are new.
const IDS: MapSpec = MapSpec { name: "ids", filter: FilterOn::First(16), reads: Reads::Keys };
const EXTERNAL: MapSpec =
    MapSpec { name: "external", filter: FilterOn::First(16), reads: Reads::Keys };
const REVERSED: MapSpec =
    MapSpec { name: "reversed", filter: FilterOn::First(16), reads: Reads::Keys };
const USES: MapSpec = MapSpec { name: "uses", filter: FilterOn::First(16), reads: Reads::Keys };

/// An index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpentError {
    /// Its files.
    #[error(transparent)]
    Files(#[from] lombard_index::OpenError),
    /// The log under it.
    #[error("failed to read the log into the index of spent ids")]
    Log(#[from] ReadError),
    /// The log's records.
    #[error("failed to read the log into the index of spent ids")]
    Records(#[source] StartError),
    /// It was made from another log, or from a part of this log that is gone.
    #[error("the index of spent ids was not made from this log, or the log lost its end")]
    OtherLog,
    /// A file of it is damaged.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The thread that reads the log could not be started.
    #[error("failed to start a thread for the index of spent ids")]
    Thread(#[source] std::io::Error),
}

impl SpentIndex {
    /// Opens the index of a log in a directory, and reads into it what it lacks of the log. One that does not fit the log
    /// is thrown away and made again: the log is the truth. Blocks.
    pub(crate) fn open(
        directory: &Path,
        log: &SharedLog,
        freeze_ids: u64,
    ) -> Result<Self, SpentError> {
        match Self::open_as_it_is(directory, log, freeze_ids) {
            Ok(index) => return Ok(index),
            Err(reason) => {
                let cause = std::error::Error::source(&reason).map(ToString::to_string);
                tracing::warn!(%reason, cause, "the index of spent ids is made again from the log");
            }
        }
        Opening::discard(directory)?;
        Self::open_as_it_is(directory, log, freeze_ids)
    }

    fn open_as_it_is(
        directory: &Path,
        log: &SharedLog,
        freeze_ids: u64,
    ) -> Result<Self, SpentError> {
        let start = |opening: Opening, durable| Ok((opening.start(durable)?, ()));
        let (this, from, ()) = Self::begin(directory, log, freeze_ids, start)?;
        block_on(this.catch_up(log, from))?;
        Ok(this)
    }

    /// [`SpentIndex::open`] where it is the caller who seals: by polling the future.
    #[cfg(test)]
    pub(crate) async fn unthreaded(
        directory: &Path,
        log: &SharedLog,
        freeze_ids: u64,
    ) -> Result<(Self, impl Future<Output = ()> + use<>), SpentError> {
        let open = async || {
            let begun = Self::begin(directory, log, freeze_ids, Opening::unthreaded)?;
            let (this, from, sealing) = begun;
            this.catch_up(log, from).await?;
            Ok::<_, SpentError>((this, sealing))
        };
        match open().await {
            Ok(opened) => Ok(opened),
            Err(_) => {
                Opening::discard(directory)?;
                open().await
            }
        }
    }

    fn begin<S>(
        directory: &Path,
        log: &SharedLog,
        freeze_ids: u64,
        start: impl Fn(Opening, Durable) -> Result<(Index, S), lombard_index::OpenError>,
    ) -> Result<(Self, From, S), SpentError> {
        let mut opening = Opening::new(directory)?;
        let position = opening.position();
        let mark = Timestamp::from_unix_nanos(opening.mark());
        let (ids, external) = (opening.map(IDS)?, opening.map(EXTERNAL)?);
        let (reversed, uses) = (opening.map(REVERSED)?, opening.map(USES)?);
        let learning = Learning { next: (position, 0), since_freeze: 0, freeze_ids };
        let (index, sealing) = start(opening, log.durable())?;
        let maps = Maps { index, ids, external, reversed, uses, learning: Mutex::new(learning) };
        Ok((Self { maps: Arc::new(maps) }, From { position, mark }, sealing))
    }

    /// Reads what it lacks of the log.
    async fn catch_up(&self, log: &SharedLog, from: From) -> Result<(), SpentError> {
        if let Some(last) = from.position.previous() {
            let records = log.read(last, 1).await?;
            let record = records.first().ok_or(SpentError::OtherLog)?;
            if decode_record_time(record).map_err(|_| SpentError::OtherLog)? != from.mark {
                return Err(SpentError::OtherLog);
            }
        }
        let mut next = from.position;
        loop {
            let records = log.read(next, READ_BYTES).await?;
            let Some(last) = records.last() else { return Ok(()) };
            next = last.position.next();
            for record in &records {
                let mut learned = Ok(());
                decode_record(&EventCodec, record, |event, at| {
                    if learned.is_ok() {
                        learned = self.try_learn(&event, at);
                    }
                })
                .map_err(|source| damaged(record.position, source))?;
                learned?;
            }
        }
    }

    /// Makes an event part of it, unless it is already. Events come in their order.
    pub(crate) fn learn(&self, event: &Event, at: At) {
        if let Err(cause) = self.try_learn(event, at) {
            lost(&cause);
        }
    }

    fn try_learn(&self, event: &Event, at: At) -> Result<(), Unreadable> {
        let mut learning = self.learning();
        if (at.position, at.index) < learning.next {
            return Ok(());
        }
        learning.next = (at.position, at.index.saturating_add(1));
        let mut learned = Ok(());
        event.teach(|lesson| {
            learning.since_freeze += 1;
            if learned.is_ok() {
                learned = self.learn_one(lesson, at.position);
            }
        });
        learned?;
        if learning.since_freeze >= learning.freeze_ids {
            learning.since_freeze = 0;
            self.maps.index.freeze(at.position.next(), at.time.unix_nanos());
        }
        Ok(())
    }

    fn learn_one(&self, lesson: Lesson<'_>, position: Position) -> Result<(), Unreadable> {
        let Maps { ids, external, reversed, uses, .. } = &*self.maps;
        match lesson {
            Lesson::Stands { id, status, is_new } => {
                let position = if is_new { position } else { self.position_of(id)? };
                ids.insert(key::id_key(id), key::id_value(Spent { position, status }));
            }
            Lesson::External(id) => external.insert(key::external_key(id), key::record(position)),
            Lesson::Used(AuthorityUse { id, number }) => {
                uses.insert(id.to_be_bytes(), number.to_be_bytes());
            }
            Lesson::Reversed { id, transfer, amount } => {
                let before = self.reversed(id, transfer)?;
                let total = before.checked_add(amount).unwrap_or(Amount::MAX);
                let key = key::reversed_key(id, transfer);
                reversed.insert(key, total.minor_units().to_be_bytes());
            }
        }
        Ok(())
    }

    /// The record of a set that was decided on, so that it is there.
    fn position_of(&self, id: TransferId) -> Result<Position, Unreadable> {
        Ok(self.spent(id)?.map(|spent| spent.position).unwrap_or_default())
    }

    /// Everything before this record is sealed: what is after it is read again at a restart.
    pub(crate) fn sealed(&self) -> Position {
        self.maps.index.sealed()
    }

    /// Why nothing can be sealed at the moment.
    pub(crate) fn obstacle(&self) -> Option<Arc<str>> {
        self.maps.index.obstacle()
    }

    fn learning(&self) -> MutexGuard<'_, Learning> {
        self.maps.learning.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past for SpentIndex {
    fn spent(&self, id: TransferId) -> Result<Option<Spent>, Unreadable> {
        match self.maps.ids.get(&key::id_key(id)).map_err(unreadable)? {
            None => Ok(None),
            Some(value) => match key::spent(value) {
                Some(spent) => Ok(Some(spent)),
                None => {
                    Err(Unreadable { cause: "a status that this version does not know".into() })
                }
            },
        }
    }

    fn external(&self, id: &ExternalId) -> Result<Option<Position>, Unreadable> {
        let found = self.maps.external.get(&key::external_key(id)).map_err(unreadable)?;
        Ok(found.map(key::position))
    }

    fn reversed(&self, id: TransferId, transfer: u16) -> Result<Amount, Unreadable> {
        let key = key::reversed_key(id, transfer);
        let found = self.maps.reversed.get(&key).map_err(unreadable)?;
        Ok(found.map_or(Amount::ZERO, |units| Amount::from_minor_units(u128::from_be_bytes(units))))
    }

    fn uses(&self, authority: u128) -> Result<u32, Unreadable> {
        let found = self.maps.uses.get(&authority.to_be_bytes()).map_err(unreadable)?;
        Ok(found.map_or(0, u32::from_be_bytes))
    }
}

/// Read at once while catching up.
const READ_BYTES: usize = 4 << 20;

fn unreadable(error: lombard_index::ReadError) -> Unreadable {
    Unreadable { cause: error.to_string().into() }
}

/// What was readable when it was decided on is not any more, and the event is recorded: only a restart helps, which makes
/// the index again.
fn lost(cause: &Unreadable) -> ! {
    panic!("an event cannot be made part of the index of spent ids: {cause}")
}

fn damaged(position: Position, source: lombard_engine::DecodeError) -> SpentError {
    SpentError::Records(StartError::Decode { name: "ledger", position, source })
}

/// Runs on a thread of its own: whoever opens the index may be inside a runtime, which must not be blocked.
fn block_on<T: Send>(
    future: impl Future<Output = Result<T, SpentError>> + Send,
) -> Result<T, SpentError> {
    std::thread::scope(|scope| {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .map_err(SpentError::Thread)?;
            runtime.block_on(future)
        };
        match scope.spawn(run).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests;
