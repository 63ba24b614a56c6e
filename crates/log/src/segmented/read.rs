//! Reading durable records, checking each.

use std::io;

use bytes::Bytes;
use lombard_types::Position;

use super::{
    index::{Cursor, Place},
    layout::{Found, RECORD_HEADER_BYTES, RecordHeader, framed_bytes},
    log::Shared,
};
use crate::{ReadError, Record, disk::File};

/// Bytes read from a file at once, at least and at most.
const CHUNK_BYTES_MIN: usize = 16 << 10;
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// What a chunk gave before it ended.
enum Stopped {
    /// Enough, or everything durable.
    Done,
    /// The next record needs a chunk of at least this size, from where the scan stands.
    NeedBytes(usize),
    /// The records of the segment end here.
    SegmentEnd,
}

struct Scan<'a> {
    shared: &'a Shared,
    from: Position,
    durable: Position,
    bytes_max: usize,
    cursor: Cursor,
    records: Vec<Record>,
    record_bytes: usize,
}

impl Shared {
    pub(super) fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        let durable = *self.durable.borrow();
        if from >= durable {
            return Ok(Vec::new());
        }
        let (first, cursor) = {
            let index = self.index.read();
            (index.first_position(), index.locate(from))
        };
        let cursor = cursor.ok_or(ReadError::Trimmed { from, first })?;
        let records = Vec::new();
        Scan { shared: self, from, durable, bytes_max, cursor, records, record_bytes: 0 }.run()
    }
}

impl Scan<'_> {
    fn run(mut self) -> Result<Vec<Record>, ReadError> {
        let mut chunk_bytes = self.bytes_max.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        loop {
            // No more than is there: whoever follows the tail reads the last group, and not the zeros behind it.
            let left = self.cursor.end.saturating_sub(self.cursor.place.offset);
            let wanted = chunk_bytes.min(usize::try_from(left).unwrap_or(usize::MAX));
            let chunk = read_chunk(&*self.cursor.file, self.cursor.place.offset, wanted)
                .map_err(|error| ReadError::Io { cause: error.to_string().into() })?;
            let is_file_end = chunk.len() < chunk_bytes;
            match self.take(&chunk)? {
                Stopped::Done => {
                    // Where a reader stopped is where it goes on next.
                    self.shared.index.write().learn(self.cursor.number, self.cursor.place);
                    return Ok(self.records);
                }
                Stopped::NeedBytes(bytes) if !is_file_end || bytes <= chunk.len() => {
                    chunk_bytes = chunk_bytes.max(bytes);
                }
                Stopped::NeedBytes(bytes) if bytes > RECORD_HEADER_BYTES => {
                    return Err(self.damage("the record reaches beyond the end of its segment"));
                }
                Stopped::NeedBytes(_) | Stopped::SegmentEnd => self.next_segment()?,
            }
        }
    }

    /// Takes the whole records of a chunk that begins where the cursor stands.
    fn take(&mut self, chunk: &Bytes) -> Result<Stopped, ReadError> {
        let mut at = 0;
        loop {
            let Place { position, offset } = self.cursor.place;
            if position >= self.durable
                || (self.record_bytes >= self.bytes_max && !self.records.is_empty())
            {
                return Ok(Stopped::Done);
            }
            let rest = chunk.get(at..).unwrap_or_default();
            let Some((head, _)) = rest.split_first_chunk::<RECORD_HEADER_BYTES>() else {
                return Ok(Stopped::NeedBytes(RECORD_HEADER_BYTES));
            };
            let header = match RecordHeader::read(head) {
                Found::End => return Ok(Stopped::SegmentEnd),
                Found::Garbage => return Err(self.damage("no record where one must be")),
                Found::Header(header) => header,
            };
            if header.position != position || header.length > self.shared.config.segment_bytes_max {
                return Err(self.damage("the header is not the expected record's"));
            }
            let framed = framed_bytes(header.length);
            let end = RECORD_HEADER_BYTES + header.length;
            let Some(payload) = rest.get(RECORD_HEADER_BYTES..end) else {
                return Ok(Stopped::NeedBytes(framed));
            };
            if !header.fits(head, payload) {
                return Err(self.damage("the checksum does not fit"));
            }
            if position >= self.from {
                let payload = chunk.slice(at + RECORD_HEADER_BYTES..at + end);
                self.record_bytes += payload.len();
                self.records.push(Record { position, payload });
            }
            at += framed;
            let offset = offset + u64::try_from(framed).unwrap_or(u64::MAX);
            self.cursor.place = Place { position: position.next(), offset };
            if rest.len() < framed {
                return Ok(Stopped::NeedBytes(RECORD_HEADER_BYTES));
            }
        }
    }

    fn next_segment(&mut self) -> Result<(), ReadError> {
        let position = self.cursor.place.position;
        let next = self.shared.index.read().locate(position);
        match next {
            Some(next) if next.number > self.cursor.number && next.place.position == position => {
                self.cursor = next;
                Ok(())
            }
            _ => Err(self.damage("the records end before the tail of the log")),
        }
    }

    fn damage(&self, cause: &str) -> ReadError {
        let Place { position, offset } = self.cursor.place;
        let place = format!("segment {} at byte {offset}", self.cursor.number);
        ReadError::Damaged { position, place: place.into(), cause: cause.into() }
    }
}

/// Up to `bytes` bytes; fewer at the end of the file only.
pub(super) fn read_chunk(file: &dyn File, offset: u64, bytes: usize) -> io::Result<Bytes> {
    let mut chunk = vec![0; bytes];
    let mut filled = 0;
    while let Some(rest) = chunk.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + u64::try_from(filled).unwrap_or(0)) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    chunk.truncate(filled);
    Ok(chunk.into())
}

/// The whole file.
pub(crate) fn read_all(file: &dyn File) -> io::Result<Bytes> {
    let bytes = usize::try_from(file.bytes()?).map_err(io::Error::other)?;
    read_chunk(file, 0, bytes)
}
