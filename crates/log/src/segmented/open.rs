//! Opens a log: finds its end, and tells a torn tail from damage.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use bytes::Bytes;
use lombard_types::Position;
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::watch;

use super::{
    SegmentedConfig, SegmentedLog,
    gather::Gather,
    index::{Index, Place},
    layout::{
        Found, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader, framed_bytes,
    },
    log::{Prepared, Shared, State, queued_bytes},
    plan::Plan,
    prepare::{self, Preparer},
    read::{read_all, read_chunk},
    steps::Steps,
    trim,
    write::{self, Current, Writer},
};
use crate::disk::{Disk, File, Lock, Real, SharedDisk, SharedFile};

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, has it open.
    #[error("the log in {} is in use by another process", directory.display())]
    Locked {
        /// The log's directory.
        directory: PathBuf,
    },
    /// The system refused.
    #[error("failed to open the log in {}", directory.display())]
    Io {
        /// The log's directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that had been durable are not what was written.
    #[error(
        "damage in {} at byte {offset}: record {position} had been durable and is not readable ({cause}); restore the log \
         from a backup, or from another copy of the file",
        file.display()
    )]
    Damaged {
        /// The segment's file.
        file: PathBuf,
        /// Where in the file.
        offset: u64,
        /// The record that should stand there.
        position: Position,
        /// What is wrong.
        cause: &'static str,
    },
    /// The sizes in the configuration do not go together.
    #[error(
        "segments of {segment_bytes_min} bytes are too small for records of {record_bytes_max} bytes"
    )]
    Config {
        /// The configured size.
        segment_bytes_min: usize,
        /// The configured size.
        record_bytes_max: usize,
    },
}

/// A segment whose header was read.
struct Begun {
    number: u64,
    path: PathBuf,
    file: SharedFile,
    header: SegmentHeader,
}

struct Waiting {
    number: u64,
    file: SharedFile,
}

#[derive(Default)]
struct Segments {
    begun: Vec<Begun>,
    waiting: Vec<Waiting>,
}

impl SegmentedLog {
    /// Opens the log in `directory`, making it if it is not there. Blocks while it reads the last segment.
    pub fn open(directory: &Path, config: SegmentedConfig) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(Real), directory, config)
    }

    /// The same on any disk.
    pub fn open_on(
        disk: SharedDisk,
        directory: &Path,
        config: SegmentedConfig,
    ) -> Result<Self, OpenError> {
        let (mut log, Steps { writer, preparer }) = Self::unthreaded(disk, directory, config)?;
        let io_error = |source| OpenError::Io { directory: directory.to_owned(), source };
        *log.writer.lock() = writer;
        let (shared, writer) = (Arc::clone(&log.shared), Arc::clone(&log.writer));
        let writing = spawn("log-writer", move || write::run(&shared, &writer));
        let preparing = spawn("log-preparer", move || preparer.run());
        for spawned in [writing, preparing] {
            log.threads.push(spawned.map_err(io_error)?);
        }
        Ok(log)
    }

    /// The same without threads: whoever opens the log has it work, step by step.
    pub fn unthreaded(
        disk: SharedDisk,
        directory: &Path,
        config: SegmentedConfig,
    ) -> Result<(Self, Steps), OpenError> {
        let SegmentedConfig { segment_bytes_min, record_bytes_max, .. } = config;
        if segment_bytes_min < SEGMENT_HEADER_BYTES + framed_bytes(record_bytes_max) {
            return Err(OpenError::Config { segment_bytes_min, record_bytes_max });
        }
        let queue_bytes_max = config.queue_bytes_max.max(queued_bytes(1, record_bytes_max));
        let config = SegmentedConfig { queue_bytes_max, ..config };
        let io_error = |source| OpenError::Io { directory: directory.to_owned(), source };
        disk.create_directory(directory).map_err(io_error)?;
        let lock = lock(&*disk, directory)?;
        let mut segments = find_segments(&*disk, directory)?;
        // A segment whose name is seen may have been renamed just before the end of the last process.
        disk.sync_directory(directory).map_err(io_error)?;
        if segments.begun.is_empty() {
            segments.check_waiting(directory, Position::START)?;
            begin_first(&*disk, directory, config, &mut segments).map_err(io_error)?;
        }
        segments.check_beginning(trim::read_mark(&*disk, directory).map_err(io_error)?)?;
        Opening { disk, directory, config, lock, segments }.finish()
    }
}

fn lock(disk: &dyn Disk, directory: &Path) -> Result<Lock, OpenError> {
    let directory = directory.to_owned();
    match disk.lock(&directory.join("lock")) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(OpenError::Locked { directory }),
        Err(source) => Err(OpenError::Io { directory, source }),
    }
}

/// Sorts the directory's segments into those that hold records and those that wait. What a preparation that was cut
/// short left behind is removed.
fn find_segments(disk: &dyn Disk, directory: &Path) -> Result<Segments, OpenError> {
    let io_error = |source| OpenError::Io { directory: directory.to_owned(), source };
    let mut numbers = Vec::new();
    for path in disk.list(directory).map_err(io_error)? {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("tmp") => disk.remove(&path).map_err(io_error)?,
            Some("seg") => numbers.extend(
                path.file_stem()
                    .and_then(|stem| stem.to_str())
                    .and_then(|stem| stem.parse::<u64>().ok()),
            ),
            _ => {}
        }
    }
    numbers.sort_unstable();
    let mut segments = Segments::default();
    for number in numbers {
        let path = prepare::path_of(directory, number);
        let file = disk.open(&path).map_err(io_error)?;
        let head = read_chunk(&*file, 0, SEGMENT_HEADER_BYTES).map_err(io_error)?;
        let header = head.first_chunk().and_then(SegmentHeader::decode);
        match header {
            Some(header) => segments.add_begun(Begun { number, path, file, header })?,
            None => segments.waiting.push(Waiting { number, file }),
        }
    }
    Ok(segments)
}

impl Segments {
    /// Begun segments follow one on the other, and none follows one that is still waiting.
    fn add_begun(&mut self, next: Begun) -> Result<(), OpenError> {
        let damaged = |cause| OpenError::Damaged {
            file: next.path.clone(),
            offset: 0,
            position: next.header.first_position,
            cause,
        };
        if !self.waiting.is_empty() {
            return Err(damaged("the header of the segment before it is not readable"));
        }
        let fits = match self.begun.last() {
            None => true,
            Some(last) => {
                next.number == last.number + 1
                    && next.header.log_id == last.header.log_id
                    && next.header.first_position >= last.header.first_position
            }
        };
        if !fits || next.header.number != next.number {
            return Err(damaged("the segment does not follow on the one before it"));
        }
        self.begun.push(next);
        Ok(())
    }

    /// Nothing is missing before the first segment but what was given up.
    fn check_beginning(&self, trimmed: Position) -> Result<(), OpenError> {
        match self.begun.first() {
            Some(first) if first.header.first_position > trimmed => Err(OpenError::Damaged {
                file: first.path.clone(),
                offset: 0,
                position: trimmed,
                cause: "the segment before this one is not there",
            }),
            _ => Ok(()),
        }
    }

    /// A segment without a header holds no records that had been durable: else the header was damaged. `tail` is what
    /// the segments before hold.
    fn check_waiting(&self, directory: &Path, tail: Position) -> Result<(), OpenError> {
        for Waiting { number, file } in &self.waiting {
            let io_error = |source| OpenError::Io { directory: directory.to_owned(), source };
            let bytes = read_all(&**file).map_err(io_error)?;
            // The header of a log's first segment was durable before its first record.
            let is_first = tail == Position::START;
            let is_damaged = says_it_was_durable(&bytes, SEGMENT_HEADER_BYTES, tail)
                || (is_first && record_at(&bytes, SEGMENT_HEADER_BYTES).is_some());
            if is_damaged {
                return Err(OpenError::Damaged {
                    file: prepare::path_of(directory, *number),
                    offset: 0,
                    position: tail,
                    cause: "the header of the segment is not readable, but records in it are",
                });
            }
        }
        Ok(())
    }
}

/// Makes a new log: the first segment, begun at position 0.
fn begin_first(
    disk: &dyn Disk,
    directory: &Path,
    config: SegmentedConfig,
    segments: &mut Segments,
) -> io::Result<()> {
    // A start that was cut short may have left a segment without a header; it held nothing.
    for Waiting { number, .. } in segments.waiting.drain(..) {
        disk.remove(&prepare::path_of(directory, number))?;
    }
    let file = prepare::create(disk, directory, 1, config.segment_bytes_min)?;
    let mut log_id = [0; 16];
    disk.random(&mut log_id)?;
    let header = SegmentHeader { number: 1, first_position: Position::START, log_id };
    file.write_all_at(&header.encode(), 0)?;
    file.sync_data()?;
    let path = prepare::path_of(directory, 1);
    segments.begun.push(Begun { number: 1, path, file, header });
    Ok(())
}

struct Opening<'a> {
    disk: SharedDisk,
    directory: &'a Path,
    config: SegmentedConfig,
    lock: Lock,
    segments: Segments,
}

impl Opening<'_> {
    fn finish(self) -> Result<(SegmentedLog, Steps), OpenError> {
        let Self { disk, directory, config, lock, segments } = self;
        let io_error = |source| OpenError::Io { directory: directory.to_owned(), source };
        let mut index = Index::default();
        for segment in &segments.begun {
            index.add_segment(
                segment.number,
                segment.header.first_position,
                SharedFile::clone(&segment.file),
            );
        }
        let Some(last) = segments.begun.last() else {
            return Err(io_error(io::Error::other("no segment")));
        };
        let Place { position: tail, offset } = recover(last, &mut index, io_error)?;
        segments.check_waiting(directory, tail)?;
        let bytes_of = |file: &dyn File| -> Result<usize, OpenError> {
            let bytes = file.bytes().map_err(io_error)?;
            usize::try_from(bytes).map_err(|error| io_error(io::Error::other(error)))
        };
        let current = Current {
            number: last.number,
            file: SharedFile::clone(&last.file),
            bytes: bytes_of(&*last.file)?,
            offset: usize::try_from(offset).unwrap_or(usize::MAX),
        };
        let mut plan =
            Plan::new(current.bytes.saturating_sub(current.offset), config.record_bytes_max);
        let mut prepared = std::collections::VecDeque::new();
        let mut next_number = last.number + 1;
        let mut largest = current.bytes;
        for Waiting { number, file } in &segments.waiting {
            let bytes = bytes_of(&**file)?;
            // The write that would have begun it may have been torn: what it left must not be taken for records later.
            clear(&**file, 0).map_err(io_error)?;
            plan.add_segment(bytes);
            next_number = number + 1;
            largest = largest.max(bytes);
            let file = SharedFile::clone(file);
            prepared.push_back(Prepared { number: *number, bytes, file });
        }
        let (durable_sender, durable) = watch::channel(tail);
        let shared = Arc::new(Shared {
            config,
            disk,
            directory: directory.to_owned(),
            log_id: last.header.log_id,
            state: Mutex::new(State {
                queue: std::collections::VecDeque::new(),
                queue_bytes: 0,
                queue_records: 0,
                wanted_records: 0,
                gather: Gather::default(),
                tail,
                plan,
                prepared,
                poison: None,
                full: None,
                is_closing: false,
            }),
            work_is_there: Condvar::new(),
            segment_is_wanted: Condvar::new(),
            room_changed: watch::Sender::new(()),
            durable,
            index: RwLock::new(index),
            trimming: Mutex::new(()),
            _lock: lock,
        });
        let writer = Writer::new(Arc::clone(&shared), durable_sender, current, tail);
        let bytes = (largest * 2).clamp(config.segment_bytes_min, config.segment_bytes_max);
        let preparer = Preparer { shared: Arc::clone(&shared), number: next_number, bytes };
        let steps = Steps { writer: Some(writer), preparer };
        let writer = Arc::new(Mutex::new(None));
        Ok((SegmentedLog { shared, writer, threads: Vec::new() }, steps))
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Reads the last segment to the end of its records and clears what is behind it. Answers where the next record goes.
fn recover(
    last: &Begun,
    index: &mut Index,
    io_error: impl Fn(io::Error) -> OpenError,
) -> Result<Place, OpenError> {
    let bytes = read_all(&*last.file).map_err(&io_error)?;
    let mut at = SEGMENT_HEADER_BYTES;
    let mut position = last.header.first_position;
    let mut offsets = Vec::new();
    let mut synced = position;
    while let Some((header, _)) = record_at(&bytes, at) {
        if header.position != position {
            break;
        }
        let offset = u64::try_from(at).unwrap_or(u64::MAX);
        index.learn(last.number, Place { position, offset });
        offsets.push(at);
        synced = header.synced;
        at += framed_bytes(header.length);
        position = position.next();
    }
    let offset = u64::try_from(at).unwrap_or(u64::MAX);
    if says_it_was_durable(&bytes, at, position) {
        return Err(OpenError::Damaged {
            file: last.path.clone(),
            offset,
            position,
            cause: "what stands there is no record, but a record behind it was written after it was durable",
        });
    }
    // The last group was written; whether it was synced nobody knows, and it will be read as durable from now on.
    let unsynced = synced.get().saturating_sub(last.header.first_position.get());
    let start = match usize::try_from(unsynced) {
        Ok(0) | Err(_) => 0,
        Ok(index) => offsets.get(index).copied().unwrap_or(0),
    };
    write_again(&*last.file, bytes.get(start..at).unwrap_or_default(), start).map_err(&io_error)?;
    let torn_bytes = clear(&*last.file, at).map_err(io_error)?;
    index.extend(last.number, &[], offset);
    if torn_bytes > 0 {
        tracing::warn!(
            file = %last.path.display(),
            offset,
            torn_bytes,
            %position,
            "cut off the torn end of a write that was never acknowledged"
        );
    }
    Ok(Place { position, offset })
}

/// Writes what was just read, and syncs: after a sync that failed the system may take for clean what the disk does not
/// have.
fn write_again(file: &dyn File, bytes: &[u8], start: usize) -> io::Result<()> {
    file.write_all_at(bytes, u64::try_from(start).map_err(io::Error::other)?)?;
    file.sync_data()
}

/// The whole, fitting record at `at`.
pub(super) fn record_at(bytes: &Bytes, at: usize) -> Option<(RecordHeader, &[u8])> {
    let (head, rest) = bytes.get(at..)?.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    let Found::Header(header) = RecordHeader::read(head) else { return None };
    let payload = rest.get(..header.length)?;
    header.fits(head, payload).then_some((header, payload))
}

/// Whether any whole record behind `at` was written when the record at `position` was already durable.
pub(super) fn says_it_was_durable(bytes: &Bytes, at: usize, position: Position) -> bool {
    (at..bytes.len()).step_by(8).any(|at| {
        // Zeros are quickly passed over; most of a segment is.
        bytes.get(at..at + 8).is_some_and(|head| head != [0; 8])
            && record_at(bytes, at)
                .is_some_and(|(header, _)| header.position > position && header.synced > position)
    })
}

/// Makes everything from `start` on zeros, durably. Answers how many bytes lay up to the last that was not zero.
pub(super) fn clear(file: &dyn File, start: usize) -> io::Result<u64> {
    const CHUNK_BYTES: usize = 1 << 20;
    let mut end = start;
    let mut at = start;
    loop {
        let chunk = read_chunk(file, u64::try_from(at).map_err(io::Error::other)?, CHUNK_BYTES)?;
        if let Some(last) = chunk.iter().rposition(|&byte| byte != 0) {
            end = at + last + 1;
        }
        at += chunk.len();
        if chunk.len() < CHUNK_BYTES {
            break;
        }
    }
    if end > start {
        prepare::zero(file, start, end)?;
        file.sync_data()?;
    }
    u64::try_from(end - start).map_err(io::Error::other)
}
