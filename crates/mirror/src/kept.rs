//! What a copy remembers of its source: which log it is, the key that signs it, and up to where the two were compared.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

const FILE: &str = "source.json";

/// Known from the first contact on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    /// As in the source's checkpoints: `lombard/<role>/<log id>`.
    pub(crate) origin: String,
    /// `name+id+key`.
    pub(crate) key: String,
    /// The newest checkpoint that the copy was compared with, as far as the copy went then.
    pub(crate) checkpoint: Option<String>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The system refused.
    #[error("failed to read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what was written.
    #[error("{} is not readable; remove the directory of the copy to begin anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl Kept {
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, KeptError> {
        let path = directory.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeptError::Io { path, source }),
        };
        serde_json::from_slice(&text).map(Some).map_err(|_| KeptError::Malformed { path })
    }

    /// Replaces the file durably, whole or not at all.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), KeptError> {
        let path = directory.join(FILE);
        let failed = |source| KeptError::Io { path: path.clone(), source };
        let text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary).map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&temporary, &path).map_err(failed)?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(Kept::read(place.path()).unwrap(), None);
        let kept = Kept { origin: "a".into(), key: "b".into(), checkpoint: Some("c".into()) };
        kept.write(place.path()).unwrap();
        assert_eq!(Kept::read(place.path()).unwrap(), Some(kept));
        fs::write(place.path().join(FILE), "{").unwrap();
        assert!(matches!(Kept::read(place.path()), Err(KeptError::Malformed { .. })));
    }
}
