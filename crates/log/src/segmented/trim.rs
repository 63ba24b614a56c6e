//! Removes what nobody reads any more: whole segments, from the first on.
//!
//! ```text
//!  trimmed   0   8  "LOMBTRIM"
//!            8   4  CRC32C of bytes 12..20
//!           12   8  records before this position may be missing
//! ```
//! The mark is durable before the first segment goes, so that a log whose beginning was lost is told from one whose
//! beginning was given up. Segments go one by one, each durably before the next: whatever a crash leaves is a log
//! without a gap.

use std::{
    io,
    path::{Path, PathBuf},
};

use lombard_types::Position;

use super::{log::Shared, prepare, read::read_all};
use crate::{TrimError, disk::Disk};

const MAGIC: [u8; 8] = *b"LOMBTRIM";
const MARK_BYTES: usize = 20;
/// The name of the mark.
pub(crate) const TRIM_MARK_FILE: &str = "trimmed";

impl Shared {
    /// Removes the segments that lie before `before` as a whole, but none that a start needs. Blocks.
    pub(super) fn trim(&self, before: Position) -> Result<Position, TrimError> {
        let _one_at_a_time = self.trimming.lock();
        let durable = *self.durable.borrow();
        let going = self.index.read().segments_before(before.min(durable));
        let (Some(first), false) = (going.first_kept, going.numbers.is_empty()) else {
            return Ok(self.index.read().first_position());
        };
        let removed = write_mark(&*self.disk, &self.directory, first)
            .and_then(|()| going.numbers.iter().try_for_each(|number| self.remove(*number)));
        removed.map_err(|error| TrimError { cause: error.to_string().into() })?;
        Ok(first)
    }

    /// A reader that is in it keeps its open file.
    fn remove(&self, number: u64) -> io::Result<()> {
        self.index.write().forget(number);
        self.disk.remove(&prepare::path_of(&self.directory, number))?;
        self.disk.sync_directory(&self.directory)
    }
}

fn mark_of(directory: &Path) -> PathBuf {
    directory.join(TRIM_MARK_FILE)
}

fn write_mark(disk: &dyn Disk, directory: &Path, first: Position) -> io::Result<()> {
    let number = first.get().to_le_bytes();
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&crc32c::crc32c(&number).to_le_bytes());
    bytes.extend_from_slice(&number);
    let path = mark_of(directory);
    let unfinished = path.with_extension("tmp");
    let file = disk.create(&unfinished)?;
    file.write_all_at(&bytes, 0)?;
    file.sync_all()?;
    disk.rename(&unfinished, &path)?;
    disk.sync_directory(directory)
}

/// Up to where records may be missing: the start for a log that was never trimmed.
pub(super) fn read_mark(disk: &dyn Disk, directory: &Path) -> io::Result<Position> {
    let bytes = match disk.open_read(&mark_of(directory)) {
        Ok(file) => read_all(&*file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Position::START),
        Err(error) => return Err(error),
    };
    let damaged = || io::Error::other("the mark of what was trimmed is damaged");
    let mark: &[u8; MARK_BYTES] = bytes.as_ref().try_into().map_err(|_| damaged())?;
    let parts = || {
        let (magic, rest) = mark.split_first_chunk::<8>()?;
        let (crc, number) = rest.split_first_chunk::<4>()?;
        let number: &[u8; 8] = number.first_chunk()?;
        let fits = *magic == MAGIC && crc32c::crc32c(number) == u32::from_le_bytes(*crc);
        fits.then(|| Position::new(u64::from_le_bytes(*number)))
    };
    parts().ok_or_else(damaged)
}
