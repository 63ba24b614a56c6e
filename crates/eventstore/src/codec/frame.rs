//! Reads a whole record of the log, as the engine wrote it (the layout is drawn in the engine's `record.rs`): the read
//! side reads events by their record, without replaying what is before.

use lombard_engine::{Codec as _, DecodeError};
use lombard_eventstore_core::{Appended, Recorded};
use lombard_log::Record;
use lombard_types::Timestamp;

use super::{AppendCodec, bytes::Reader};

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    pub(crate) recorded: Recorded,
    pub(crate) appends: Vec<Appended>,
}

/// The only version of the frame so far.
const FRAME_1: u8 = 1;

pub(crate) fn decode_record(record: &Record) -> Result<StoredRecord, DecodeError> {
    let mut bytes = Reader(&record.payload);
    if bytes.byte()? != FRAME_1 {
        return Err(DecodeError("unknown version of the record's frame"));
    }
    let time = Timestamp::from_unix_nanos(u64::from_le_bytes(bytes.array()?));
    let count = u32::from_le_bytes(bytes.array()?);
    let mut appends = Vec::new();
    for _ in 0..count {
        let length = u32::from_le_bytes(bytes.array()?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (event, rest) =
            bytes.0.split_at_checked(length).ok_or(DecodeError("record cut short"))?;
        bytes.0 = rest;
        appends.push(AppendCodec.decode(event)?);
    }
    bytes.end()?;
    Ok(StoredRecord { recorded: Recorded { position: record.position, time }, appends })
}
