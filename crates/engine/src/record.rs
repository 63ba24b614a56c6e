//! What the engine puts into one record of the log: when it was decided, and the events.
//!
//! ```text
//!  offset  size  field
//!  0       1     version, 1
//!  1       8     time, nanoseconds since 1970, little endian
//!  9       4     count of events, little endian
//!  13            per event: 4 bytes length, little endian, then its bytes
//! ```

use lombard_log::Record;
use lombard_types::Timestamp;

use crate::{At, Codec, DecodeError};

const VERSION: u8 = 1;

/// Appends the record of events that were decided at `time` to `out`. The engine does it by itself; this is for whoever makes a
/// log without it.
pub fn encode_record<C: Codec>(codec: &C, time: Timestamp, events: &[C::Event], out: &mut Vec<u8>) {
    out.push(VERSION);
    out.extend_from_slice(&time.unix_nanos().to_le_bytes());
    out.extend_from_slice(&length(events.len()).to_le_bytes());
    for event in events {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        codec.encode(event, out);
        let bytes = length(out.len() - start - 4).to_le_bytes();
        if let Some(prefix) = out.get_mut(start..start + 4) {
            prefix.copy_from_slice(&bytes);
        }
    }
}

/// A record is bounded far below 4 GiB by [`crate::Limits::record_bytes_max`], which is checked before it is used.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Reads a record as the engine wrote it: calls `each` with every event, in order, and answers when the record was
/// decided. Where it answers an error, `each` may have seen the events before the faulty one.
pub fn decode_record<C: Codec>(
    codec: &C,
    record: &Record,
    mut each: impl FnMut(C::Event, At),
) -> Result<Timestamp, DecodeError> {
    let mut bytes = Bytes(&record.payload);
    let time = bytes.time()?;
    let count = u32::from_le_bytes(bytes.take()?);
    for index in 0..count {
        let length = u32::from_le_bytes(bytes.take()?);
        let event = bytes.take_slice(usize::try_from(length).unwrap_or(usize::MAX))?;
        each(codec.decode(event)?, At { position: record.position, index, time });
    }
    if !bytes.0.is_empty() {
        return Err(DecodeError("bytes after the last event of the record"));
    }
    Ok(time)
}

/// When the record was decided, without looking at its events.
pub fn decode_record_time(record: &Record) -> Result<Timestamp, DecodeError> {
    Bytes(&record.payload).time()
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// The version, which is checked, and the time.
    fn time(&mut self) -> Result<Timestamp, DecodeError> {
        if self.take::<1>()? != [VERSION] {
            return Err(DecodeError("unknown version of the record's frame"));
        }
        Ok(Timestamp::from_unix_nanos(u64::from_le_bytes(self.take()?)))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(DecodeError("record cut short"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn take_slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) =
            self.0.split_at_checked(length).ok_or(DecodeError("record cut short"))?;
        self.0 = rest;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lombard_types::Position;
    use proptest::prelude::*;

    use super::*;

    struct Raw;

    impl Codec for Raw {
        type Event = Vec<u8>;

        fn encode(&self, event: &Vec<u8>, out: &mut Vec<u8>) {
            out.extend_from_slice(event);
        }

        fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
            Ok(bytes.to_vec())
        }
    }

    fn record(payload: Vec<u8>) -> Record {
        Record { position: Position::new(7), payload: Bytes::from(payload) }
    }

    #[test]
    fn golden_bytes() {
        let mut out = Vec::new();
        encode_record(
            &Raw,
            Timestamp::from_unix_nanos(0x0102),
            &[b"ab".to_vec(), vec![]],
            &mut out,
        );
        let expected: &[u8] = &[
            1, // version
            2, 1, 0, 0, 0, 0, 0, 0, // time
            2, 0, 0, 0, // two events
            2, 0, 0, 0, b'a', b'b', // the first
            0, 0, 0, 0, // the second, empty
        ];
        assert_eq!(out, expected);
    }

    proptest! {
        #[test]
        fn round_trips(events: Vec<Vec<u8>>, nanos in 0..=i64::MAX as u64) {
            let mut out = Vec::new();
            let time = Timestamp::from_unix_nanos(nanos);
            encode_record(&Raw, time, &events, &mut out);
            let mut seen = Vec::new();
            let decoded = decode_record(&Raw, &record(out), |event, at| {
                assert_eq!(at.index as usize, seen.len());
                seen.push(event);
            });
            prop_assert_eq!(decoded, Ok(time));
            prop_assert_eq!(seen, events);
        }

        #[test]
        fn any_bytes_are_read_or_refused(payload: Vec<u8>) {
            drop(decode_record(&Raw, &record(payload), |_, _| {}));
        }
    }
}
