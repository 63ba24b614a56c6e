//! What the log itself says of a record: who asked, why, and everything that the maps leave out.

use std::{collections::VecDeque, fmt, sync::Arc};

use futures_util::future::BoxFuture;
use lombard_engine::{Codec, DecodeError, decode_record};
use lombard_ledger_core::{Ended, Event, Evidence, Note, RecordedSet, RecordedTransfer};
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

/// A posting set in its record.
#[derive(Clone, Copy)]
struct SetInRecord<'a> {
    first: Place,
    set: RecordedSet<'a>,
    evidence: &'a Evidence,
}

impl<'a> SetInRecord<'a> {
    fn transfers(&self) -> impl Iterator<Item = TransferInRecord<'a>> + use<'a> {
        let Self { first, set, evidence } = *self;
        let RecordedSet { recorded, note } = set;
        (first.ordinal..).zip(recorded).map(move |(ordinal, recorded)| TransferInRecord {
            place: Place { ordinal, ..first },
            set: first,
            recorded: *recorded,
            note,
            evidence,
        })
    }
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
                let set = SetInRecord { first, set, evidence: &transfers.evidence };
                found.extend(set.transfers());
                ordinal += u32::try_from(set.set.recorded.len()).unwrap_or(0);
            }
        }
        found.into_iter()
    }

    /// The transfer at a place.
    pub fn transfer(&self, place: Place) -> Option<TransferInRecord<'_>> {
        let set = self.set_with(place)?;
        let number = usize::try_from(place.ordinal - set.first.ordinal).ok()?;
        set.transfers().nth(number)
    }

    /// All transfers of the set that begins at a place.
    pub fn set(&self, first: Place) -> Vec<TransferInRecord<'_>> {
        let set = self.set_with(first).filter(|set| set.first == first);
        set.map(|set| set.transfers().collect()).unwrap_or_default()
    }

    /// The set that the transfer at a place is of. A record may have thousands of others, which are only counted.
    fn set_with(&self, place: Place) -> Option<SetInRecord<'_>> {
        // A record of both kinds of events would count the ended ones too; no command makes one.
        let mut ordinal = 0u32;
        for event in &self.events {
            let Event::Transfers(transfers) = event else { continue };
            for set in transfers.sets() {
                let next = ordinal.saturating_add(u32::try_from(set.recorded.len()).ok()?);
                if place.ordinal < next {
                    let first = Place { position: self.position, ordinal };
                    return Some(SetInRecord { first, set, evidence: &transfers.evidence });
                }
                ordinal = next;
            }
        }
        None
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

#[cfg(test)]
mod tests {
    use lombard_ledger_core::{
        Outcome, Transfer, TransferFlags, TransferKind, Transfers, UserData,
    };
    use lombard_types::{AccountId, Amount};

    use super::*;

    /// A transfer of a set with a number; its amount counts the record's transfers.
    fn recorded(set: u128, amount: u128, is_linked: bool) -> RecordedTransfer {
        let account = |number| AccountId::from_u128(number).unwrap();
        let id = TransferId::from_u128(set).unwrap();
        let flags = if is_linked { TransferFlags::LINKED } else { TransferFlags::default() };
        let transfer = Transfer {
            id,
            debit_account: account(1),
            credit_account: account(2),
            amount: Amount::from_minor_units(amount),
            kind: TransferKind::Single,
            user_data: UserData::default(),
            code: 0,
            effective_at: None,
            flags,
        };
        RecordedTransfer { transfer, outcome: Outcome::Created }
    }

    #[test]
    fn a_place_finds_its_transfer_and_its_set() {
        let evidence = Arc::new(Evidence {
            command_id: 1,
            client_id: "c".parse().unwrap(),
            subject: "s".into(),
            token_id: "t".into(),
            request_id: "r".parse().unwrap(),
            traceparent: None,
            idempotency_key: None,
        });
        // Two events; sets of one, three and two transfers, of which the second and the last have notes.
        let events = [
            (vec![(1, 0, false), (2, 1, true), (2, 2, true), (2, 3, false)], vec![1]),
            (vec![(3, 4, true), (3, 5, false)], vec![0]),
        ];
        let event = |(transfers, notes): (Vec<(u128, u128, bool)>, Vec<u32>)| {
            let recorded = transfers.into_iter().map(|(set, n, linked)| recorded(set, n, linked));
            let notes = notes.into_iter().map(|set| (set, Note::default())).collect();
            let evidence = Arc::clone(&evidence);
            Event::Transfers(Arc::new(Transfers::new(recorded.collect(), notes, evidence)))
        };
        let position = Position::new(7);
        let events = events.into_iter().map(event).collect();
        let record = DecodedRecord { position, time: Timestamp::EPOCH, events };
        let all: Vec<_> = record.transfers().collect();
        assert_eq!(all.len(), 6);
        for (ordinal, (set, has_note)) in
            (0u32..).zip([(0, false), (1, true), (1, true), (1, true), (4, true), (4, true)])
        {
            let place = Place { position, ordinal };
            let found = record.transfer(place).unwrap();
            assert_eq!((found.place, found.set.ordinal), (place, set));
            assert_eq!(found.recorded.transfer.amount.minor_units(), u128::from(ordinal));
            assert_eq!(found.note.is_some(), has_note);
            let listed = all[ordinal as usize];
            assert_eq!((listed.place, listed.set), (found.place, found.set));
        }
        let sets =
            [0, 1, 2, 3, 4, 5, 6].map(|ordinal| record.set(Place { position, ordinal }).len());
        assert_eq!(sets, [1, 3, 0, 0, 2, 0, 0]);
        assert!(record.transfer(Place { position, ordinal: 6 }).is_none());
    }
}
