//! Whether files were replaced.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Files as they were last seen: of each its time and length, or nothing where it could not be looked at. Two are equal where no
/// file was replaced in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamps(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl FileStamps {
    /// Looks at files now.
    pub fn of(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let seen = |path: PathBuf| {
            let stamp = stamp(&path);
            (path, stamp)
        };
        Self(files.into_iter().map(seen).collect())
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
