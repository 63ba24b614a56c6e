//! What the log itself says of a record: who asked, why, and everything that the maps leave out.

use std::{collections::VecDeque, fmt, sync::Arc};

use futures_util::future::BoxFuture;
use lombard_engine::{Codec, DecodeError, decode_record};
use lombard_ledger_core::{Ended, Event, Evidence, Note, RecordedTransfer};
use lombard_log::{ReadError, SharedLog};
use lombard_types::{Position, Timestamp, TransferId};
use parking_lot::Mutex;

use crate::place::Place;

/// Records that were decoded last, since the entries of a page are often of few records. Each is at most as large as the
/// largest record of the log.
const KEPT_RECORDS: usize = 8;

/// Reads records of the log. Cheap to clone.
pub struct History<C> {
    log: SharedLog,
    codec: C,
    kept: Arc<Mutex<VecDeque<Arc<DecodedRecord>>>>,
}

impl<C: Clone> Clone for History<C> {
    fn clone(&self) -> Self {
        Self { log: Arc::clone(&self.log), codec: self.codec.clone(), kept: Arc::clone(&self.kept) }
    }
}

impl<C> fmt::Debug for History<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").field("log", &self.log).finish_non_exhaustive()
    }
}

/// A record cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HistoryError {
    /// The log could not be read.
    #[error("failed to read the log")]
    Read(#[from] ReadError),
    /// The index could not say where it is.
    #[error("failed to read the index")]
    Index(#[source] lombard_index::ReadError),
    /// It is not known to this version.
    #[error("failed to decode record {position}")]
    Decode {
        /// The record.
        position: Position,
        /// What is wrong with it.
        source: DecodeError,
    },
}

/// A record's events.
#[derive(Debug)]
pub struct DecodedRecord {
    /// Where it is.
    pub position: Position,
    /// When it was decided.
    pub time: Timestamp,
    /// What happened.
    pub events: Vec<Event>,
}

/// A transfer in its record.
#[derive(Clone, Copy, Debug)]
pub struct TransferInRecord<'a> {
    /// Where it stands.
    pub place: Place,
    /// Where its set begins.
    pub set: Place,
    /// The transfer, and whether it happened.
    pub recorded: RecordedTransfer,
    /// What its set carries besides.
    pub note: Option<&'a Note>,
    /// Who asked.
    pub evidence: &'a Evidence,
}

impl<C: Codec<Event = Event>> History<C> {
    /// Reads this log.
    pub fn new(log: SharedLog, codec: C) -> Self {
        Self { log, codec, kept: Arc::default() }
    }

    /// The record at a position; `None` at the end of the log.
    pub async fn record(
        &self,
        position: Position,
    ) -> Result<Option<Arc<DecodedRecord>>, HistoryError> {
        let known = self.kept.lock().iter().find(|record| record.position == position).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some(record) = self.log.read(position, 1).await?.into_iter().next() else {
            return Ok(None);
        };
        let mut events = Vec::new();
        let decoded = decode_record(&self.codec, &record, |event, _| events.push(event));
        let time = decoded.map_err(|source| HistoryError::Decode { position, source })?;
        let decoded = Arc::new(DecodedRecord { position: record.position, time, events });
        let mut kept = self.kept.lock();
        if kept.len() == KEPT_RECORDS {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&decoded));
        Ok(Some(decoded))
    }
}

/// Reads records, however they are stored.
pub(crate) trait Records: Send + Sync + fmt::Debug {
    /// The record at a position; `None` at the end of the log.
    fn get(&self, at: Position) -> BoxFuture<'_, Result<Option<Arc<DecodedRecord>>, HistoryError>>;
}

impl<C: Codec<Event = Event>> Records for History<C> {
    fn get(&self, at: Position) -> BoxFuture<'_, Result<Option<Arc<DecodedRecord>>, HistoryError>> {
        Box::pin(self.record(at))
    }
}

impl DecodedRecord {
    /// The event that opened an account or created an asset: its place counts events.
    pub(crate) fn event(&self, place: Place) -> Option<&Event> {
        self.events.get(usize::try_from(place.ordinal).ok()?)
    }

    /// All its transfers that were asked for, in order.
    pub fn transfers(&self) -> impl DoubleEndedIterator<Item = TransferInRecord<'_>> {
        let mut found = Vec::new();
        let mut ordinal = 0u32;
        for event in &self.events {
            let Event::Transfers(transfers) = event else { continue };
            for set in transfers.sets() {
                let first = Place { position: self.position, ordinal };
                for recorded in set.recorded {
                    found.push(TransferInRecord {
                        place: Place { position: self.position, ordinal },
                        set: first,
                        recorded: *recorded,
                        note: set.note,
                        evidence: &transfers.evidence,
                    });
                    ordinal += 1;
                }
            }
        }
        found.into_iter()
    }

    /// The transfer at a place.
    pub fn transfer(&self, place: Place) -> Option<TransferInRecord<'_>> {
        // A record of both kinds of events would count the ended ones too; no command makes one.
        self.transfers().nth(usize::try_from(place.ordinal).ok()?)
    }

    /// All transfers of the set that begins at a place.
    pub fn set(&self, first: Place) -> Vec<TransferInRecord<'_>> {
        self.transfers().filter(|transfer| transfer.set == first).collect()
    }

    /// The pending sets that time ended in it, in order.
    pub fn endings(&self) -> Vec<Ended> {
        let mut all = Vec::new();
        for event in &self.events {
            if let Event::PendingsEnded(ended) = event {
                all.extend_from_slice(ended);
            }
        }
        all
    }

    /// How and when time ended a pending set.
    pub fn ended(&self, id: TransferId) -> Option<Ended> {
        self.endings().into_iter().find(|ended| ended.id == id)
    }
}
