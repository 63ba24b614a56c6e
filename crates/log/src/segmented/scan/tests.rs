//! A log that is written while it is read: what was read too early is read again, and damage stays damage.

use std::{ops::Range, sync::Arc};

use parking_lot::Mutex;

use super::*;
use crate::{
    Batch, Log as _, SegmentedConfig, SegmentedLog,
    disk::{File, Lock, Real, SharedFile},
};

const TINY: SegmentedConfig = SegmentedConfig {
    segment_bytes_min: 4096,
    segment_bytes_max: 8192,
    record_bytes_max: 1000,
    queue_bytes_max: 64 << 10,
};
const FRAMED_BYTES: u64 = 536;

/// The real disk, on which some bytes of a file are not there yet for so many reads of them.
#[derive(Debug)]
struct Early {
    file: PathBuf,
    missing: Range<u64>,
    reads: Arc<Mutex<u32>>,
}

#[derive(Debug)]
struct EarlyFile {
    file: SharedFile,
    missing: Range<u64>,
    reads: Arc<Mutex<u32>>,
}

impl File for EarlyFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.file.read_at(bytes, offset)?;
        let mut reads = self.reads.lock();
        let mut hit = false;
        for (at, byte) in (offset..).zip(bytes.iter_mut()).take(count) {
            if *reads > 0 && self.missing.contains(&at) {
                *byte = 0;
                hit = true;
            }
        }
        *reads -= u32::from(hit);
        Ok(count)
    }

    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_bytes(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }
}

impl Disk for Early {
    fn create_directory(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn create(&self, _: &Path) -> io::Result<SharedFile> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn open(&self, _: &Path) -> io::Result<SharedFile> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn open_read(&self, path: &Path) -> io::Result<SharedFile> {
        let file = Real.open_read(path)?;
        if path != self.file {
            return Ok(file);
        }
        let (missing, reads) = (self.missing.clone(), Arc::clone(&self.reads));
        Ok(Arc::new(EarlyFile { file, missing, reads }))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        Real.list(directory)
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Lock>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn random(&self, _: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A log of records that became durable one after the other.
fn make(directory: &Path, count: u8) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = SegmentedLog::open(directory, TINY).unwrap();
    for byte in 0..count {
        let mut batch = Batch::new();
        batch.push(&[byte; 500]);
        runtime.block_on(log.make_room(FRAMED_BYTES + 40)).unwrap();
        runtime.block_on(log.append(log.tail(), batch)).unwrap();
    }
}

/// Scans while bytes of a segment are not there for the first reads of them.
fn scan_early(directory: &Path, number: u64, missing: Range<u64>, reads: u32) -> Scan {
    let disk =
        Early { file: path_of(directory, number), missing, reads: Arc::new(Mutex::new(reads)) };
    let mut expected = Position::START;
    let visit = &mut |record: Visited<'_>| {
        // Each once, in order, whole.
        assert_eq!(record.position, expected);
        assert!(record.payload.iter().all(|&byte| u64::from(byte) == expected.get()));
        expected = expected.next();
        true
    };
    scan(&disk, directory, visit, &mut |_| {}).unwrap()
}

#[test]
fn a_record_that_was_read_too_early_is_read_again() {
    let place = tempfile::tempdir().unwrap();
    make(place.path(), 5);
    for record in 0..5 {
        let start = 64 + record * FRAMED_BYTES;
        // Its header, a part of it, all of it with what follows.
        for missing in [start..start + 8, start + 100..start + 101, start..start + 4096] {
            let scan = scan_early(place.path(), 1, missing.clone(), 1);
            assert_eq!(scan.damage, None, "{missing:?}");
            // Where nothing behind says that it was durable, the scan ends there: it may not have been.
            let is_told = record < 4 && missing.end - missing.start < 4096;
            assert_eq!(scan.tail.get(), if is_told { 5 } else { record }, "{missing:?}");
        }
    }
}

#[test]
fn what_is_still_not_there_is_damage() {
    let place = tempfile::tempdir().unwrap();
    make(place.path(), 5);
    let start = 64 + 2 * FRAMED_BYTES;
    let scan = scan_early(place.path(), 1, start..start + 8, u32::MAX);
    let (_, offset, _) = scan.damage.unwrap();
    assert_eq!((scan.tail.get(), offset), (2, start));
}

/// The header of a segment appears together with its records: who looked before sees a segment that waits.
#[test]
fn a_segment_that_is_begun_meanwhile_is_not_damage() {
    let place = tempfile::tempdir().unwrap();
    make(place.path(), 10);
    let whole = scan_early(place.path(), 1, 0..0, 0);
    assert_eq!((whole.tail.get(), whole.segments), (10, 2));
    // When looked for, and when read as one that waits.
    for (reads, damaged) in [(1, false), (2, false), (u32::MAX, true)] {
        let scan = scan_early(place.path(), 2, 0..64, reads);
        assert_eq!(scan.damage.is_some(), damaged, "{reads}");
        assert_eq!(scan.tail.get(), 7, "{reads}");
    }
}
