//! The keys of all subjects: found, made and destroyed.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use lombard_log::disk::SharedDisk;
use parking_lot::{Mutex, RwLock};

use super::{
    SubjectHash,
    cache::Cache,
    file::{KeyFile, KeyFileError, Slot},
    hash,
    master::{KEY_BYTES, MasterKey},
    table::Table,
};

/// A subject's key.
#[derive(Clone, Debug)]
pub(crate) enum SubjectKey {
    Live(Arc<RandomizedNonceKey>),
    /// It is destroyed.
    Erased,
}

/// Whether a key that is not there is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Made,
    Found,
}

/// A key was not found, made or destroyed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubjectKeysError {
    #[error("the limit of {subjects_max} data subjects is reached")]
    TooMany { subjects_max: usize },
    /// It is not known what of the file is durable; a restart finds out.
    #[error("writing the keys of data subjects failed before: the store must be started again")]
    Poisoned,
    #[error(transparent)]
    File(#[from] KeyFileError),
}

/// The keys of all subjects. Cheap to clone. Every call may block.
#[derive(Clone, Debug)]
pub(crate) struct SubjectKeys {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    disk: SharedDisk,
    file: KeyFile,
    master: MasterKey,
    subjects_max: usize,
    table: RwLock<Table>,
    cache: Mutex<Cache>,
    /// Held by whoever changes the file.
    writing: Mutex<Writing>,
}

#[derive(Debug)]
struct Writing {
    /// The first place that was never used.
    next: u32,
    is_poisoned: bool,
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
            writing: Mutex::new(Writing { next, is_poisoned: false }),
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

    /// A subject's key, where it ever had one.
    pub(crate) fn find(&self, subject: &str) -> Result<Option<SubjectKey>, SubjectKeysError> {
        self.shared.find(&hash(subject))
    }

    /// The keys of several subjects. New ones are durable when this returns.
    pub(crate) fn keys<'a>(
        &self,
        subjects: impl Iterator<Item = &'a str>,
        wanted: Wanted,
    ) -> Result<BTreeMap<&'a str, SubjectKey>, SubjectKeysError> {
        let mut keys = BTreeMap::new();
        let mut missing = BTreeMap::new();
        for subject in subjects {
            match self.find(subject)? {
                Some(key) => drop(keys.insert(subject, key)),
                None => drop(missing.insert(subject, hash(subject))),
            }
        }
        if !missing.is_empty() && wanted == Wanted::Made {
            keys.extend(self.shared.make(missing)?);
        }
        Ok(keys)
    }

    /// Destroys the keys of subjects durably, and remembers that they are; subjects that have none cannot get one any
    /// more.
    pub(crate) fn erase<'a>(
        &self,
        subjects: impl Iterator<Item = &'a str>,
    ) -> Result<(), SubjectKeysError> {
        let shared = &*self.shared;
        let mut writing = shared.begin()?;
        let mut erased = Vec::new();
        for subject in subjects {
            let hash = hash(subject);
            let known = shared.place(&hash)?;
            if matches!(known, Some((_, Slot::Erased { .. }))) {
                continue;
            }
            let is_new = known.is_none();
            let place = known.map_or(writing.next, |(place, _)| place);
            let written = shared.file.write(place, &Slot::Erased { hash });
            writing.outcome(written)?;
            if is_new {
                writing.next += 1;
            }
            erased.push((hash, is_new.then_some(place)));
        }
        if erased.is_empty() {
            return Ok(());
        }
        let synced = shared.file.sync();
        writing.outcome(synced)?;
        for (hash, place) in erased {
            if let Some(place) = place {
                shared.table.write().insert(&hash, place);
            }
            shared.cache.lock().erase(hash);
        }
        Ok(())
    }
}

impl Writing {
    /// After a failure it is not known what is durable.
    fn outcome(&mut self, result: Result<(), KeyFileError>) -> Result<(), SubjectKeysError> {
        self.is_poisoned |= result.is_err();
        Ok(result?)
    }
}

impl Shared {
    fn begin(&self) -> Result<parking_lot::MutexGuard<'_, Writing>, SubjectKeysError> {
        let writing = self.writing.lock();
        if writing.is_poisoned { Err(SubjectKeysError::Poisoned) } else { Ok(writing) }
    }

    fn find(&self, hash: &SubjectHash) -> Result<Option<SubjectKey>, SubjectKeysError> {
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
                let bytes =
                    bytes.ok_or(KeyFileError::Damaged { offset: u64::from(place) * 128 + 512 })?;
                live(&bytes)?
            }
        };
        let mut cache = self.cache.lock();
        // A key that was destroyed in the meantime is not kept.
        if cache.erasures == erasures {
            cache.insert(*hash, key.clone());
        }
        Ok(Some(key))
    }

    /// The subject's slot, and where it is.
    fn place(&self, hash: &SubjectHash) -> Result<Option<(u32, Slot)>, KeyFileError> {
        let candidates: Vec<u32> = self.table.read().candidates(hash).collect();
        for place in candidates {
            if let Some(slot) = self.file.read(place)?.filter(|slot| slot.hash() == hash) {
                return Ok(Some((place, slot)));
            }
        }
        Ok(None)
    }

    fn make<'a>(
        &self,
        missing: BTreeMap<&'a str, SubjectHash>,
    ) -> Result<Vec<(&'a str, SubjectKey)>, SubjectKeysError> {
        let mut writing = self.begin()?;
        let mut keys = Vec::new();
        let mut made = Vec::new();
        for (subject, hash) in missing {
            // Another append may have made it.
            if let Some(key) = self.find(&hash)? {
                keys.push((subject, key));
                continue;
            }
            if self.table.read().count() + made.len() >= self.subjects_max {
                return Err(SubjectKeysError::TooMany { subjects_max: self.subjects_max });
            }
            let mut bytes = [0; KEY_BYTES];
            self.disk.random(&mut bytes).map_err(KeyFileError::Io)?;
            let wrapped = self.master.wrap(&bytes, &hash).map_err(|_| KeyFileError::Wrap)?;
            let place = writing.next;
            let written = self.file.write(place, &Slot::Live { hash, wrapped });
            writing.outcome(written)?;
            writing.next += 1;
            made.push((hash, place));
            keys.push((subject, live(&bytes)?));
        }
        if !made.is_empty() {
            let synced = self.file.sync();
            writing.outcome(synced)?;
            let mut table = self.table.write();
            made.iter().for_each(|(hash, place)| table.insert(hash, *place));
        }
        Ok(keys)
    }
}

fn live(bytes: &[u8]) -> Result<SubjectKey, KeyFileError> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| KeyFileError::Wrap)?;
    Ok(SubjectKey::Live(Arc::new(key)))
}
