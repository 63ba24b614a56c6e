//! Reads a whole record of the log: the read side reads events by their record, without replaying what is before.

use lombard_engine::DecodeError;
use lombard_eventstore_core::{Appended, Recorded};
use lombard_log::Record;

use super::AppendCodec;

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    pub(crate) recorded: Recorded,
    pub(crate) appends: Vec<Appended>,
}

pub(crate) fn decode_record(record: &Record) -> Result<StoredRecord, DecodeError> {
    let mut appends = Vec::new();
    let time =
        lombard_engine::decode_record(&AppendCodec, record, |append, _| appends.push(append))?;
    Ok(StoredRecord { recorded: Recorded { position: record.position, time }, appends })
}
