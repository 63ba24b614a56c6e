//! The tokens of logins: a file that only its owner can read, changed by one program at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::data_directory::write_private;

/// The form of the file.
const VERSION: u32 = 1;

/// What a login is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) url: String,
    pub(super) client_id: String,
    pub(super) resource: String,
}

/// What came of it. Secrets: there is no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    #[serde(flatten)]
    pub(super) key: Key,
    pub(super) access_token: String,
    /// Seconds since 1970.
    pub(super) expires_at: u64,
    pub(super) refresh_token: Option<String>,
    pub(super) scope: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Document {
    version: u32,
    logins: Vec<Kept>,
}

/// The file.
pub(super) struct Cache {
    path: PathBuf,
}

/// The file, for one program.
pub(super) struct LockedCache {
    path: PathBuf,
    _lock: File,
}

impl Cache {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Waits until no other program uses it.
    pub(super) fn locked(self) -> anyhow::Result<LockedCache> {
        let Self { path } = self;
        let failed = || format!("failed to open the token cache {}", path.display());
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(failed)?;
        }
        let lock_path = path.with_extension("lock");
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(lock_path);
        let lock = lock.with_context(failed)?;
        lock.lock().with_context(failed)?;
        Ok(LockedCache { path, _lock: lock })
    }
}

impl LockedCache {
    fn read(&self) -> anyhow::Result<Document> {
        let shown = self.path.display();
        let text = match fs::read(&self.path).map(zeroize::Zeroizing::new) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Document { version: VERSION, logins: Vec::new() });
            }
            Err(error) => return Err(error).with_context(|| format!("failed to read {shown}")),
        };
        check_private(&self.path)?;
        let document: Document = serde_json::from_slice(&text).map_err(|_| {
            anyhow::anyhow!("{shown} is no token cache: delete it, and log in again")
        })?;
        ensure!(document.version == VERSION, "{shown} is of another version: delete it");
        Ok(document)
    }

    fn write(&self, document: &Document) -> anyhow::Result<()> {
        let text = zeroize::Zeroizing::new(serde_json::to_vec_pretty(document)?);
        write_private(&self.path, &text)
            .with_context(|| format!("failed to write {}", self.path.display()))
    }

    pub(super) fn find(&self, key: &Key) -> anyhow::Result<Option<Kept>> {
        Ok(self.read()?.logins.into_iter().find(|kept| kept.key == *key))
    }

    /// Keeps a login in place of the last one for the same.
    pub(super) fn put(&mut self, kept: Kept) -> anyhow::Result<()> {
        let mut document = self.read()?;
        document.logins.retain(|other| other.key != kept.key);
        document.logins.push(kept);
        self.write(&document)
    }

    pub(super) fn remove(&mut self, key: &Key) -> anyhow::Result<()> {
        let mut document = self.read()?;
        document.logins.retain(|other| other.key != *key);
        self.write(&document)
    }
}

/// A file that others can read may have been read.
fn check_private(path: &Path) -> anyhow::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    ensure!(mode & 0o077 == 0, "others may read {}: delete it, and log in again", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(resource: &str, token: &str) -> Kept {
        let key = Key {
            url: "http://a".to_owned(),
            client_id: "c".to_owned(),
            resource: resource.to_owned(),
        };
        let (access_token, scope) = (token.to_owned(), "s".to_owned());
        Kept { key, access_token, expires_at: 7, refresh_token: None, scope }
    }

    #[test]
    fn a_login_is_kept_privately_and_replaced() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("folder").join("tokens.json");
        let cache = || Cache::at(path.clone()).locked().unwrap();
        assert!(cache().find(&kept("/a", "1").key).unwrap().is_none());
        cache().put(kept("/a", "1")).unwrap();
        cache().put(kept("/b", "2")).unwrap();
        cache().put(kept("/a", "3")).unwrap();
        let found = cache().find(&kept("/a", "").key).unwrap().unwrap();
        assert_eq!(found.access_token, "3");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        cache().remove(&kept("/a", "").key).unwrap();
        assert!(cache().find(&kept("/a", "").key).unwrap().is_none());
        assert!(cache().find(&kept("/b", "").key).unwrap().is_some());
    }

    #[test]
    fn what_others_could_read_or_is_no_cache_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("tokens.json");
        let find = || Cache::at(path.clone()).locked().unwrap().find(&kept("/a", "").key);
        Cache::at(path.clone()).locked().unwrap().put(kept("/a", "s3cret")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(find().is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for text in
            ["", "[]", r#"{"version":2,"logins":[]}"#, r#"{"version":1,"logins":["s3cret"]}"#]
        {
            fs::write(&path, text).unwrap();
            let error = format!("{:?}", find().err().unwrap());
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
