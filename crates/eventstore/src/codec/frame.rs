//! Reads a whole record of the log: the read side reads events by their record, without replaying what is before.

use lombard_engine::{DecodeError, decode_record as decode};
use lombard_eventstore_core::Event;
use lombard_log::Record;
use lombard_types::{Position, Timestamp};

use super::EventCodec;

/// Where and when something was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// The record of the log.
    pub(crate) position: Position,
    /// The store's own time.
    pub(crate) time: Timestamp,
}

/// A record of the log. Each command has led to one event, which is a record of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    pub(crate) recorded: Recorded,
    pub(crate) event: Event,
}

pub(crate) fn decode_record(record: &Record) -> Result<StoredRecord, DecodeError> {
    let mut only = None;
    let mut count = 0_usize;
    let time = decode(&EventCodec, record, |event, _| {
        only = Some(event);
        count += 1;
    })?;
    let recorded = Recorded { position: record.position, time };
    match only {
        Some(event) if count == 1 => Ok(StoredRecord { recorded, event }),
        _ => Err(DecodeError("a record does not hold exactly one event")),
    }
}
