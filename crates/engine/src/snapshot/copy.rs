//! Copying snapshots that are worth as much as their log: those of a machine whose log is trimmed.

use std::{fs, io, ops::RangeInclusive, path::Path, sync::Arc};

use lombard_log::disk::{Disk as _, Real};
use lombard_types::Position;

use super::{
    file::{self, Unusable},
    store::SnapshotStore,
};

/// Copies the snapshots at these positions, as far as they are whole; they were read back when this returns. Answers the
/// newest position; `None` where there is none of them. They may be written and removed meanwhile: one that goes away is
/// passed over.
pub fn copy_snapshots(
    from: &Path,
    to: &Path,
    positions: &RangeInclusive<Position>,
) -> io::Result<Option<Position>> {
    let disk = Real;
    disk.create_directory(to)?;
    let store = SnapshotStore::new("copy", Arc::new(Real), from.to_owned());
    let mut newest = None;
    for (position, path) in store.list() {
        let Some(name) = path.file_name().filter(|_| positions.contains(&position)) else {
            continue;
        };
        let target = to.join(name);
        match fs::copy(&path, &target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            copied => drop(copied?),
        }
        let file = disk.open(&target)?;
        file.sync_all()?;
        match file::check(&file) {
            Ok(header) if header.position == position => newest = newest.max(Some(position)),
            Ok(_) | Err(Unusable::Damaged(_)) => disk.remove(&target)?,
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    disk.sync_directory(to)?;
    Ok(newest)
}
