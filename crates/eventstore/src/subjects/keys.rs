//! The keys of all subjects, and finding one. How they are made and destroyed is in `change.rs`.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use lombard_chassis::CancellationToken;
use lombard_log::disk::SharedDisk;
use lombard_master_key::MasterKey;
use parking_lot::{Mutex, RwLock};

use super::{
    SubjectHash,
    cache::Cache,
    change::Writing,
    file::{KeyFile, KeyFileError, Slot},
    hash,
    table::Table,
};

/// A subject's key.
#[derive(Clone, Debug)]
pub(crate) enum SubjectKey {
    Live(Arc<RandomizedNonceKey>),
    /// It is destroyed.
    Erased,
}

/// A key was not found, made or destroyed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubjectKeysError {
    #[error("the limit of {subjects_max} data subjects is reached")]
    TooMany { subjects_max: usize },
    /// Nothing was changed.
    #[error("there is no space for the keys of data subjects")]
    DiskFull,
    /// It is not known what of the file is durable, so no key is given out any more; a restart finds out.
    #[error("writing the keys of data subjects failed: the store must be started again")]
    Poisoned,
    #[error(transparent)]
    File(#[from] KeyFileError),
}

/// The keys of all subjects. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct SubjectKeys {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) disk: SharedDisk,
    pub(super) file: KeyFile,
    pub(super) master: MasterKey,
    pub(super) subjects_max: usize,
    pub(super) table: RwLock<Table>,
    pub(super) cache: Mutex<Cache>,
    /// Held by whoever changes the file.
    pub(super) writing: Mutex<Writing>,
    /// Had by whoever has the file changed, so that one thread at most waits for the disk.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Whose keys are to be made in the next turn.
    pub(super) wanted: Mutex<BTreeSet<SubjectHash>>,
    /// Cancelled when a write has failed.
    pub(super) poisoned: CancellationToken,
}

impl SubjectKeys {
    /// Opens the keys in a directory, which is made where it is not there.
    pub(crate) fn open(
        disk: SharedDisk,
        directory: &Path,
        master: MasterKey,
        (subjects_max, cached_max): (usize, usize),
    ) -> Result<Self, KeyFileError> {
        disk.create_directory(directory)?;
        let file = KeyFile::open(&disk, directory, &master)?;
        let mut table = Table::new();
        let next = file.scan(|place, slot| table.insert(slot.hash(), place))?;
        let shared = Shared {
            disk,
            file,
            master,
            subjects_max,
            table: RwLock::new(table),
            cache: Mutex::new(Cache::new(cached_max)),
            writing: Mutex::new(Writing { next }),
            turn: tokio::sync::Mutex::default(),
            wanted: Mutex::default(),
            poisoned: CancellationToken::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether there are keys in a directory.
    pub(crate) fn are_in(disk: &SharedDisk, directory: &Path) -> Result<bool, KeyFileError> {
        Ok(super::file::exists(disk, directory)?)
    }

    /// How many subjects have or had a key.
    pub(crate) fn count(&self) -> usize {
        self.shared.table.read().count()
    }

    /// A subject's key, where it ever had one. Reads at most a few sectors.
    pub(crate) fn find(&self, subject: &str) -> Result<Option<SubjectKey>, SubjectKeysError> {
        self.shared.find(&hash(subject))
    }

    /// Waits until a write has failed. Only a restart recovers from that.
    pub(crate) async fn poisoned(&self) {
        self.shared.poisoned.cancelled().await;
    }
}

impl Shared {
    pub(super) fn check(&self) -> Result<(), SubjectKeysError> {
        if self.poisoned.is_cancelled() { Err(SubjectKeysError::Poisoned) } else { Ok(()) }
    }

    pub(super) fn find(&self, hash: &SubjectHash) -> Result<Option<SubjectKey>, SubjectKeysError> {
        self.check()?;
        let erasures = {
            let mut cache = self.cache.lock();
            if let Some(key) = cache.get(hash) {
                return Ok(Some(key));
            }
            cache.erasures
        };
        let key = match self.place(hash)? {
            None => return Ok(None),
            Some((_, Slot::Erased { .. })) => SubjectKey::Erased,
            Some((place, Slot::Live { wrapped, .. })) => {
                let bytes = self.master.unwrap(&wrapped, hash);
                let bytes = bytes.ok_or_else(|| KeyFileError::damaged(place))?;
                live(&bytes)?
            }
        };
        let mut cache = self.cache.lock();
        if cache.erasures == erasures {
            cache.insert(*hash, key.clone());
        } else if let Some(newer) = cache.get(hash) {
            // It was destroyed in the meantime.
            return Ok(Some(newer));
        }
        Ok(Some(key))
    }

    /// The subject's slot, and where it is.
    pub(super) fn place(&self, hash: &SubjectHash) -> Result<Option<(u32, Slot)>, KeyFileError> {
        let candidates: Vec<u32> = self.table.read().candidates(hash).collect();
        for place in candidates {
            if let Some(slot) = self.file.read(place)?.filter(|slot| slot.hash() == hash) {
                return Ok(Some((place, slot)));
            }
        }
        Ok(None)
    }
}

pub(super) fn live(bytes: &[u8]) -> Result<SubjectKey, KeyFileError> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| KeyFileError::Wrap)?;
    Ok(SubjectKey::Live(Arc::new(key)))
}
