//! The event store's consumer groups in a backup: a short log that is trimmed, and the snapshots that it is trimmed behind.

use std::{fs, io, path::Path};

use anyhow::{Context as _, ensure};
use lombard_engine::copy_snapshots;
use lombard_log::maintain::{self, CheckReport};
use lombard_types::Position;

use crate::{data_directory::DataDirectory, progress::with_progress};

const NAME: &str = "groups";
/// What a backup calls them.
pub(crate) const FOLDER: &str = "eventstore-groups";
/// New snapshots come between a copy of the log and one of the snapshots now and then only.
const TRIES_MAX: u32 = 5;

/// Copies the groups of a data directory into a backup, where there are any.
pub(crate) fn backup(
    directory: &DataDirectory,
    backup: &Path,
) -> anyhow::Result<Option<CheckReport>> {
    let from = directory.groups();
    if !from.join("log").is_dir() {
        return Ok(None);
    }
    let to = backup.join(FOLDER);
    for _ in 0..TRIES_MAX {
        let copied = with_progress(NAME, |bar| {
            copy(&from, &to, |from, to| maintain::backup_trimmed(from, to, bar))
        })?;
        if copied.is_some() {
            return Ok(copied);
        }
    }
    anyhow::bail!("the snapshots of consumer groups do not fit their log in {}", from.display())
}

/// Copies the groups of a backup into a data directory that has none.
pub(crate) fn restore(
    backup: &Path,
    directory: &DataDirectory,
) -> anyhow::Result<Option<CheckReport>> {
    let (from, to) = (backup.join(FOLDER), directory.groups());
    if !from.is_dir() || to.exists() {
        return Ok(None);
    }
    let copied = with_progress(NAME, |bar| {
        copy(&from, &to, |from, to| maintain::restore_trimmed(from, to, bar))
    })?;
    ensure!(copied.is_some(), "the snapshots in {} do not fit the log there", from.display());
    Ok(copied)
}

/// Copies log and snapshots; they have their name only when both are whole. `None` where no snapshot is left that what
/// the log has begins at.
fn copy(
    from: &Path,
    to: &Path,
    copy_log: impl FnOnce(&Path, &Path) -> Result<CheckReport, maintain::MaintainError>,
) -> anyhow::Result<Option<CheckReport>> {
    let partial = to.with_added_extension("partial");
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("failed to remove {}", partial.display()));
        }
        _ => {}
    }
    fs::create_dir_all(&partial)
        .with_context(|| format!("failed to create {}", partial.display()))?;
    let copied = copy_log(&from.join("log"), &partial.join("log"))?;
    let first = copied.tail.get().saturating_sub(copied.records);
    let (from, to_snapshots) = (from.join("snapshots"), partial.join("snapshots"));
    let newest = copy_snapshots(&from, &to_snapshots, &(Position::new(first)..=copied.tail))
        .with_context(|| format!("failed to copy the snapshots in {}", from.display()))?;
    if newest.is_none() && first > 0 {
        return Ok(None);
    }
    fs::rename(&partial, to)
        .and_then(|()| to.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all()))
        .with_context(|| format!("failed to finish {}", to.display()))?;
    Ok(Some(copied))
}
