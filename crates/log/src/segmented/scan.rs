//! Reads all of a log that nobody has open, without changing it.

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
    read::read_all,
};
use crate::disk::Disk;

/// What was found, up to the first damage.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Begun segments.
    pub(crate) segments: u64,
    pub(crate) records: u64,
    pub(crate) payload_bytes: u64,
    /// Where the next record goes.
    pub(crate) tail: Position,
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

/// Reads every record in order, a segment at a time in memory. `visit` ends the scan by answering `false`;
/// `segment_done` hears of every file with its size.
pub(crate) fn scan(
    disk: &dyn Disk,
    directory: &Path,
    visit: &mut dyn FnMut(Visited<'_>) -> bool,
    segment_done: &mut dyn FnMut(u64),
) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let mut log_id = None;
    let mut last: Option<(u64, PathBuf, Bytes, usize)> = None;
    let mut waiting: Vec<(PathBuf, Bytes)> = Vec::new();
    for (number, path) in segment_files(disk, directory)? {
        let bytes = read_all(&*disk.open_read(&path)?)?;
        let file_bytes = to_u64(bytes.len());
        let head = bytes.first_chunk::<SEGMENT_HEADER_BYTES>();
        let Some(header) = head.and_then(SegmentHeader::decode) else {
            waiting.push((path, bytes));
            segment_done(file_bytes);
            continue;
        };
        if let Some((skipped, _)) = waiting.first() {
            scan.damage = Some((skipped.clone(), 0, "the header of the segment is not readable"));
            return Ok(scan);
        }
        // The records before this segment must reach to it, with nothing but zeros behind them.
        if let Some((last_number, last_path, last_bytes, end)) = &last {
            let is_clean = last_bytes.get(*end..).is_some_and(is_zero);
            if !is_clean || header.first_position != scan.tail {
                let cause = "no record where one must be";
                scan.damage = Some((last_path.clone(), to_u64(*end), cause));
                return Ok(scan);
            }
            if number != last_number + 1 || log_id != Some(header.log_id) {
                let cause = "the segment does not follow on the one before it";
                scan.damage = Some((path, 0, cause));
                return Ok(scan);
            }
        } else {
            scan.tail = header.first_position;
        }
        if header.number != number {
            scan.damage = Some((path, 0, "the segment has the name of another"));
            return Ok(scan);
        }
        log_id = Some(header.log_id);
        scan.segments += 1;
        let mut at = SEGMENT_HEADER_BYTES;
        while let Some((record, payload)) = record_at(&bytes, at) {
            if record.position != scan.tail {
                break;
            }
            let framed = framed_bytes(payload.len());
            let visited = Visited {
                position: scan.tail,
                payload,
                number,
                offset: to_u64(at),
                framed_bytes: to_u64(framed),
            };
            if !visit(visited) {
                return Ok(scan);
            }
            scan.records += 1;
            scan.payload_bytes += to_u64(payload.len());
            scan.tail = scan.tail.next();
            at += framed;
        }
        segment_done(file_bytes);
        last = Some((number, path, bytes, at));
    }
    judge_end(&mut scan, last.as_ref().map(|(_, path, bytes, end)| (path, bytes, *end)), &waiting);
    Ok(scan)
}

/// Tells a torn tail from damage.
fn judge_end(
    scan: &mut Scan,
    last: Option<(&PathBuf, &Bytes, usize)>,
    waiting: &[(PathBuf, Bytes)],
) {
    if let Some((path, bytes, end)) = last {
        if says_it_was_durable(bytes, end, scan.tail) {
            let cause = "what stands there is no record, but a record behind it was written after it was durable";
            scan.damage = Some((path.clone(), to_u64(end), cause));
            return;
        }
        let rest = bytes.get(end..).unwrap_or_default();
        scan.torn_bytes = rest.iter().rposition(|&byte| byte != 0).map_or(0, |at| to_u64(at + 1));
    }
    let is_first = scan.tail == Position::START;
    for (path, bytes) in waiting {
        if says_it_was_durable(bytes, SEGMENT_HEADER_BYTES, scan.tail)
            || (is_first && record_at(bytes, SEGMENT_HEADER_BYTES).is_some())
        {
            let cause = "the header of the segment is not readable, but records in it are";
            scan.damage = Some((path.clone(), 0, cause));
            return;
        }
        scan.torn_bytes += u64::from(!is_zero(bytes));
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
