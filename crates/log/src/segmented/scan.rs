//! Reads all of a log, without changing it and without a lock.

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use lombard_types::Position;

use super::{
    layout::{SEGMENT_HEADER_BYTES, SegmentHeader, framed_bytes},
    open::{clear, record_at, says_it_was_durable},
    prepare::path_of,
    read::{read_all, read_chunk},
};
use crate::{LogId, disk::Disk};

/// What was found, up to the first damage.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Begun segments.
    pub(crate) segments: u64,
    pub(crate) records: u64,
    pub(crate) payload_bytes: u64,
    /// Where the next record goes.
    pub(crate) tail: Position,
    /// The last begun segment, and the offset behind its last readable record.
    pub(crate) end: (u64, u64),
    /// What its segments say.
    pub(crate) log_id: Option<LogId>,
    pub(crate) damage: Option<(PathBuf, u64, &'static str)>,
    /// Bytes of a write that was never acknowledged.
    pub(crate) torn_bytes: u64,
}

/// Where the first record of a segment stands.
pub(crate) const FIRST_RECORD_OFFSET: u64 = 64;
const _: () = assert!(SEGMENT_HEADER_BYTES == 64);

/// A record and where it stands.
pub(crate) struct Visited<'a> {
    pub(crate) position: Position,
    pub(crate) payload: &'a [u8],
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) framed_bytes: u64,
}

/// The numbers and paths of all segments, in order.
pub(crate) fn segment_files(disk: &dyn Disk, directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files: Vec<_> = disk
        .list(directory)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.parse().ok()?, path)))
        .collect();
    files.sort_unstable();
    Ok(files)
}

/// What the first segment says of the log.
pub(crate) fn log_id(disk: &dyn Disk, directory: &Path) -> io::Result<Option<LogId>> {
    let Some((_, path)) = segment_files(disk, directory)?.into_iter().next() else {
        return Ok(None);
    };
    let head = read_chunk(&*disk.open_read(&path)?, 0, SEGMENT_HEADER_BYTES)?;
    Ok(header_of(&head).map(|header| LogId::new(header.log_id)))
}

/// Reads every record in order, a segment at a time in memory. `visit` ends the scan by answering `false`;
/// `segment_done` hears of every file with its size.
///
/// The log may be open and growing. A segment is begun when all before it is durable, so only the last one can be
/// seen half written, and what was written since is seen by looking again.
pub(crate) fn scan(
    disk: &dyn Disk,
    directory: &Path,
    visit: &mut dyn FnMut(Visited<'_>) -> bool,
    segment_done: &mut dyn FnMut(u64),
) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let (begun, waiting) = split_at_last_begun(disk, segment_files(disk, directory)?)?;
    let mut last: Option<Seen> = None;
    for (number, path) in begun {
        let bytes = read_all(&*disk.open_read(&path)?)?;
        let file_bytes = to_u64(bytes.len());
        let Some(header) = header_of(&bytes) else {
            scan.damage = Some((path, 0, "the header of the segment is not readable"));
            return Ok(scan);
        };
        if let Some(damage) = scan.gap_before(&header, &path, last.as_ref()) {
            scan.damage = Some(damage);
            return Ok(scan);
        }
        if header.number != number {
            scan.damage = Some((path, 0, "the segment has the name of another"));
            return Ok(scan);
        }
        scan.log_id = Some(LogId::new(header.log_id));
        scan.segments += 1;
        let mut seen = Seen { number, path, bytes, end: SEGMENT_HEADER_BYTES };
        if !scan.walk(&mut seen, visit) {
            return Ok(scan);
        }
        segment_done(file_bytes);
        last = Some(seen);
    }
    if let Some(last) = &mut last
        && !scan.judge_last(disk, last, visit)?
    {
        return Ok(scan);
    }
    for (_, path) in waiting {
        segment_done(scan.judge_waiting(disk, path)?);
        if scan.damage.is_some() {
            break;
        }
    }
    Ok(scan)
}

/// Numbers and paths.
type Files = Vec<(u64, PathBuf)>;

/// The segments up to the last with a header, and those behind it. Looked for from the end: whoever sees a header
/// afterwards finds those before it.
fn split_at_last_begun(disk: &dyn Disk, mut files: Files) -> io::Result<(Files, Files)> {
    let mut count = files.len();
    for (_, path) in files.iter().rev() {
        let head = read_chunk(&*disk.open_read(path)?, 0, SEGMENT_HEADER_BYTES)?;
        if header_of(&head).is_some() {
            break;
        }
        count -= 1;
    }
    let waiting = files.split_off(count);
    Ok((files, waiting))
}

fn header_of(bytes: &Bytes) -> Option<SegmentHeader> {
    bytes.first_chunk::<SEGMENT_HEADER_BYTES>().and_then(SegmentHeader::decode)
}

/// A begun segment, as far as its records were visited.
struct Seen {
    number: u64,
    path: PathBuf,
    bytes: Bytes,
    end: usize,
}

// === impl Scan ===

impl Scan {
    /// The records before a segment must reach to it, with nothing but zeros behind them.
    fn gap_before(
        &mut self,
        header: &SegmentHeader,
        path: &Path,
        last: Option<&Seen>,
    ) -> Option<(PathBuf, u64, &'static str)> {
        let Some(last) = last else {
            self.tail = header.first_position;
            return None;
        };
        let is_clean = last.bytes.get(last.end..).is_some_and(is_zero);
        if !is_clean || header.first_position != self.tail {
            let cause = "no record where one must be";
            return Some((last.path.clone(), to_u64(last.end), cause));
        }
        let follows =
            header.number == last.number + 1 && self.log_id == Some(LogId::new(header.log_id));
        let cause = "the segment does not follow on the one before it";
        (!follows).then(|| (path.to_owned(), 0, cause))
    }

    /// Visits the records that follow. `false` when the visitor has seen enough.
    fn walk(&mut self, seen: &mut Seen, visit: &mut dyn FnMut(Visited<'_>) -> bool) -> bool {
        while let Some((record, payload)) = record_at(&seen.bytes, seen.end) {
            if record.position != self.tail {
                break;
            }
            let framed = framed_bytes(payload.len());
            let visited = Visited {
                position: self.tail,
                payload,
                number: seen.number,
                offset: to_u64(seen.end),
                framed_bytes: to_u64(framed),
            };
            if !visit(visited) {
                return false;
            }
            self.records += 1;
            self.payload_bytes += to_u64(payload.len());
            self.tail = self.tail.next();
            seen.end += framed;
            self.end = (seen.number, to_u64(seen.end));
        }
        self.end = (seen.number, to_u64(seen.end));
        true
    }

    /// Tells a torn tail, or a write under way, from damage. `false` when the visitor has seen enough.
    fn judge_last(
        &mut self,
        disk: &dyn Disk,
        last: &mut Seen,
        visit: &mut dyn FnMut(Visited<'_>) -> bool,
    ) -> io::Result<bool> {
        while says_it_was_durable(&last.bytes, last.end, self.tail) {
            // What lies behind was written after this record was: if it is merely the reading that was too early, it
            // is there by now.
            let before = self.tail;
            last.bytes = read_all(&*disk.open_read(&last.path)?)?;
            if !self.walk(last, visit) {
                return Ok(false);
            }
            if self.tail == before {
                let cause = "what stands there is no record, but a record behind it was written after it was durable";
                self.damage = Some((last.path.clone(), to_u64(last.end), cause));
                return Ok(false);
            }
        }
        let rest = last.bytes.get(last.end..).unwrap_or_default();
        self.torn_bytes = rest.iter().rposition(|&byte| byte != 0).map_or(0, |at| to_u64(at + 1));
        Ok(true)
    }

    /// A segment behind the last begun one holds no records that had been durable. Answers its size.
    fn judge_waiting(&mut self, disk: &dyn Disk, path: PathBuf) -> io::Result<u64> {
        let bytes = read_all(&*disk.open_read(&path)?)?;
        let is_first = self.tail == Position::START;
        let is_suspect = says_it_was_durable(&bytes, SEGMENT_HEADER_BYTES, self.tail)
            || (is_first && record_at(&bytes, SEGMENT_HEADER_BYTES).is_some());
        // A log that is open may have begun it meanwhile; then it is whole and comes after this scan.
        let is_begun = || -> io::Result<bool> {
            let head = read_chunk(&*disk.open_read(&path)?, 0, SEGMENT_HEADER_BYTES)?;
            Ok(header_of(&head).is_some())
        };
        if is_suspect && !is_begun()? {
            let cause = "the header of the segment is not readable, but records in it are";
            self.damage = Some((path, 0, cause));
        } else if header_of(&bytes).is_none() {
            self.torn_bytes += u64::from(!is_zero(&bytes));
        }
        Ok(to_u64(bytes.len()))
    }
}

/// Makes everything of a segment from `offset` on zeros, durably.
pub(crate) fn clear_from(
    disk: &dyn Disk,
    directory: &Path,
    number: u64,
    offset: u64,
) -> io::Result<()> {
    let file = disk.open(&path_of(directory, number))?;
    clear(&*file, usize::try_from(offset).map_err(io::Error::other)?)?;
    Ok(())
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
