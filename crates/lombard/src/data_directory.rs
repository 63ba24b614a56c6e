//! The data directory: who uses it, and what lies where.
//!
//! ```text
//! lombard-data/
//!   lock                      held while the platform runs
//!   identity/<client>.key     private keys of the roles and of the operator (owner only)
//!   run/state.json            addresses and pids of what runs now
//!   auth/ registry/ eventstore/ ledger/     each role's own log, snapshots and keys; no role reads another's
//!     checkpoint.key          signs the log's checkpoints (owner only)
//!     log/                    segments, leaf hashes, the newest checkpoint and the key that verifies it
//!     groups/                 of the event store: consumer groups, as a short log and snapshots that belong to it
//!     snapshots/ index/       made from the log; can be deleted while the role does not run
//!   query/                    the ledger's read side as a process of its own: a copy of the ledger's log, and an index
//!                             made from it; can be deleted while it does not run
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::role::Role;

#[derive(Clone, Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
}

/// Held while the platform runs on a data directory; released by the system when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DataDirectoryLock {
    _file: File,
}

impl DataDirectory {
    /// The directory at `path`, made if need be, for its owner only.
    pub(crate) fn open_or_create(path: &Path) -> anyhow::Result<Self> {
        let directory = Self { path: path.to_owned() };
        for part in [path.to_owned(), directory.path.join("identity"), directory.path.join("run")] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&part)
                .with_context(|| format!("failed to create {}", part.display()))?;
        }
        let path =
            fs::canonicalize(path).with_context(|| format!("failed to find {}", path.display()))?;
        Ok(Self { path })
    }

    /// The directory at `path`, which must be there.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.join("identity").is_dir() {
            bail!(
                "{} is not a data directory: start the platform with `lombard up`, or say where its data is with --data-dir",
                path.display()
            );
        }
        Ok(Self { path: fs::canonicalize(path)? })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn role(&self, role: Role) -> PathBuf {
        self.path.join(role.name())
    }

    /// The log of a role that keeps one.
    pub(crate) fn log(&self, role: Role) -> PathBuf {
        self.role(role).join("log")
    }

    /// The consumer groups of the event store.
    pub(crate) fn groups(&self) -> PathBuf {
        self.role(Role::Eventstore).join("groups")
    }

    pub(crate) fn identity_key(&self, client_id: &str) -> PathBuf {
        self.path.join("identity").join(format!("{client_id}.key"))
    }

    pub(crate) fn bootstrap(&self) -> PathBuf {
        self.path.join("identity").join("clients.json")
    }

    pub(crate) fn run_state(&self) -> PathBuf {
        self.path.join("run").join("state.json")
    }

    /// Makes this process the only one that runs the platform here.
    pub(crate) fn lock(&self) -> anyhow::Result<DataDirectoryLock> {
        let path = self.path.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("failed to open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let owner = fs::read_to_string(&path).unwrap_or_default();
                let owner = owner.trim();
                let owner = if owner.is_empty() {
                    "another process".to_owned()
                } else {
                    format!("process {owner}")
                };
                bail!(
                    "{} is in use by {owner}: stop that one first, or run a second platform on another directory with \
                     --data-dir and other ports with --listen",
                    self.path.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("failed to lock {}", path.display()));
            }
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(DataDirectoryLock { _file: file })
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_second_user_is_told_who_is_first() {
        let place = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open_or_create(&place.path().join("data")).unwrap();
        let lock = directory.lock().unwrap();
        let refused = directory.lock().unwrap_err().to_string();
        assert!(
            refused.contains(&format!("in use by process {}", std::process::id())),
            "{refused}"
        );
        drop(lock);
        directory.lock().unwrap();
    }

    #[test]
    fn private_files_are_private_and_replaced_whole() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("secret.key");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
