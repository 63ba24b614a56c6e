//! Prepares segments ahead, in the background: zeros, written and synced.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::log::{Prepared, Shared};
use crate::disk::{Disk, File, SharedFile};

/// Segments kept ready.
pub(super) const PREPARED_SEGMENTS: usize = 1;
/// How long to wait before trying again after the disk was full.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// Zeros written at once: small, so that the syncs of the writer are not held up for long.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Prepares one segment after the other.
pub(super) struct Preparer {
    pub(super) shared: Arc<Shared>,
    /// Of the next segment.
    pub(super) number: u64,
    /// Of the next segment.
    pub(super) bytes: usize,
}

impl Preparer {
    /// Works until the log is closed or poisoned.
    pub(super) fn run(mut self) {
        while self.wait_for_work() {
            self.prepare();
        }
    }

    /// Whether a segment is wanted; not when the log takes no more.
    fn wait_for_work(&self) -> bool {
        let mut state = self.shared.state.lock();
        while !state.is_closing && state.plan.prepared_count() >= PREPARED_SEGMENTS {
            self.shared.segment_is_wanted.wait(&mut state);
        }
        if state.full.is_some() && !state.is_closing {
            // Woken earlier by whoever asks for room: then the disk is asked again at once.
            self.shared.segment_is_wanted.wait_for(&mut state, RETRY_AFTER);
        }
        !state.is_closing && state.poison.is_none()
    }

    /// Prepares the next segment, or notes why it cannot be.
    pub(super) fn prepare(&mut self) {
        let shared = &self.shared;
        let directory = &shared.directory;
        match create(&*shared.disk, directory, self.number, self.bytes) {
            Ok(file) => {
                let mut state = shared.state.lock();
                if state.full.take().is_some() {
                    tracing::info!(log = %directory.display(), "there is disk space again");
                }
                state.plan.add_segment(self.bytes);
                let (number, bytes) = (self.number, self.bytes);
                state.prepared.push_back(Prepared { number, bytes, file });
                drop(state);
                self.number += 1;
                self.bytes = (self.bytes * 2).min(shared.config.segment_bytes_max);
            }
            Err(error) => {
                let mut state = shared.state.lock();
                if state.full.is_none() {
                    tracing::warn!(log = %directory.display(), %error, "failed to prepare a segment");
                }
                state.full = Some(error.to_string().into());
            }
        }
        shared.room_changed.send_replace(());
        // The writer may wait for this segment.
        shared.work_is_there.notify_one();
    }
}

pub(super) fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}.seg"))
}

/// A new segment full of zeros, durable with its name. Nothing is left behind where it fails.
pub(super) fn create(
    disk: &dyn Disk,
    directory: &Path,
    number: u64,
    bytes: usize,
) -> io::Result<SharedFile> {
    let temporary = path_of(directory, number).with_extension("tmp");
    let created = write_zeros(disk, &temporary, bytes).and_then(|file| {
        disk.rename(&temporary, &path_of(directory, number))?;
        disk.sync_directory(directory)?;
        Ok(file)
    });
    if created.is_err() {
        // Whatever stands in the way of writing does not stand in the way of removing.
        drop(disk.remove(&temporary));
    }
    created
}

fn write_zeros(disk: &dyn Disk, path: &Path, bytes: usize) -> io::Result<SharedFile> {
    let file = disk.create(path)?;
    zero(&*file, 0, bytes)?;
    file.sync_all()?;
    Ok(file)
}

/// Overwrites `start..end` with zeros; does not sync.
pub(super) fn zero(file: &dyn File, start: usize, end: usize) -> io::Result<()> {
    let mut at = start;
    while at < end {
        let count = (end - at).min(ZEROS.len());
        let zeros = ZEROS.get(..count).unwrap_or(&ZEROS);
        file.write_all_at(zeros, u64::try_from(at).map_err(io::Error::other)?)?;
        at += count;
    }
    Ok(())
}
