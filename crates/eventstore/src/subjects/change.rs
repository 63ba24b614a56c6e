//! Making keys and destroying them.
//!
//! A change is durable when its call returns. The disk is waited for on a thread made for that, one at a time: who comes
//! meanwhile waits for its turn, and all keys that are wanted by then are made with one sync. Calls that are dropped
//! are carried out all the same, or not at all.

use std::{collections::BTreeSet, io, sync::Arc};

use lombard_master_key::KEY_BYTES;

use super::{
    SubjectHash,
    file::{KeyFileError, Slot},
    hash,
    keys::{Shared, SubjectKey, SubjectKeys, SubjectKeysError, live},
};

/// What there is for whoever changes the file.
#[derive(Debug)]
pub(super) struct Writing {
    /// The first place that was never used.
    pub(super) next: u32,
}

impl SubjectKeys {
    /// Makes keys for those subjects that have none and are not erased.
    pub(crate) async fn make<'a>(
        &self,
        subjects: impl Iterator<Item = &'a str>,
    ) -> Result<(), SubjectKeysError> {
        let asked: Vec<SubjectHash> = subjects.map(hash).collect();
        let missing = self.shared.missing(&asked)?;
        if missing.is_empty() {
            return Ok(());
        }
        self.shared.wanted.lock().extend(&missing);
        let _turn = self.shared.turn.lock().await;
        // Whoever had the turn before may have made them.
        let missing = self.shared.missing(&missing)?;
        if missing.is_empty() {
            return Ok(());
        }
        let mut wanted = std::mem::take(&mut *self.shared.wanted.lock());
        wanted.extend(&missing);
        self.on_a_thread(move |shared| shared.make(&wanted)).await?;
        if self.shared.missing(&missing)?.is_empty() {
            return Ok(());
        }
        Err(SubjectKeysError::TooMany { subjects_max: self.shared.subjects_max })
    }

    /// Destroys the key of a subject, and remembers that it is; one that has none cannot get one any more. From now on the
    /// subject is erased for whoever asks, also where the file cannot be written.
    pub(crate) async fn erase(&self, subject: &str) -> Result<(), SubjectKeysError> {
        let hash = hash(subject);
        self.shared.cache.lock().begin_erasing(hash);
        let _turn = self.shared.turn.lock().await;
        self.on_a_thread(move |shared| shared.erase(std::iter::once(hash))).await
    }

    /// The same for many. Blocks.
    pub(crate) fn erase_all<'a>(
        &self,
        subjects: impl Iterator<Item = &'a str>,
    ) -> Result<(), SubjectKeysError> {
        self.shared.erase(subjects.map(hash))
    }

    async fn on_a_thread(
        &self,
        change: impl FnOnce(&Shared) -> Result<(), SubjectKeysError> + Send + 'static,
    ) -> Result<(), SubjectKeysError> {
        let shared = Arc::clone(&self.shared);
        let changed = tokio::task::spawn_blocking(move || change(&shared)).await;
        // What a change that panicked has done is not known.
        changed.unwrap_or_else(|_| Err(self.shared.poison()))
    }
}

impl Shared {
    fn missing(&self, hashes: &[SubjectHash]) -> Result<Vec<SubjectHash>, SubjectKeysError> {
        let mut missing = Vec::new();
        for hash in hashes {
            if self.find(hash)?.is_none() {
                missing.push(*hash);
            }
        }
        Ok(missing)
    }

    fn poison(&self) -> SubjectKeysError {
        self.poisoned.cancel();
        SubjectKeysError::Poisoned
    }

    /// What a failed write means. Where there was no space, the place is written again by whoever needs it next; after
    /// any other failure it is not known what is durable.
    fn written(&self, result: Result<(), KeyFileError>) -> Result<(), SubjectKeysError> {
        result.map_err(|error| match &error {
            KeyFileError::Io(cause) if is_full(cause) => SubjectKeysError::DiskFull,
            _ => self.failed(&error),
        })
    }

    fn failed(&self, error: &KeyFileError) -> SubjectKeysError {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(%error, cause, "sealed events are not readable until the store is started again");
        self.poison()
    }

    /// Makes keys for those who have none, as far as the limit allows.
    fn make(&self, wanted: &BTreeSet<SubjectHash>) -> Result<(), SubjectKeysError> {
        let mut writing = self.writing.lock();
        self.check()?;
        // Where it fails, nobody was told of any of them, and the next ones are written over them.
        let made = self.write_new(writing.next, wanted)?;
        let Some((_, last, _)) = made.last() else { return Ok(()) };
        self.file.sync().map_err(|error| self.failed(&error))?;
        writing.next = last + 1;
        let mut table = self.table.write();
        let mut cache = self.cache.lock();
        for (hash, place, key) in made {
            table.insert(&hash, place);
            cache.insert(hash, key);
        }
        Ok(())
    }

    fn write_new(
        &self,
        first: u32,
        wanted: &BTreeSet<SubjectHash>,
    ) -> Result<Vec<(SubjectHash, u32, SubjectKey)>, SubjectKeysError> {
        let room = self.subjects_max.saturating_sub(self.table.read().count());
        let (mut place, mut made) = (first, Vec::new());
        for hash in wanted {
            if made.len() >= room {
                break;
            }
            if self.find(hash)?.is_some() {
                continue;
            }
            let mut bytes = [0; KEY_BYTES];
            self.disk.random(&mut bytes).map_err(KeyFileError::Io)?;
            let wrapped = self.master.wrap(&bytes, hash).map_err(|_| KeyFileError::Wrap)?;
            self.written(self.file.write(place, &Slot::Live { hash: *hash, wrapped }))?;
            made.push((*hash, place, live(&bytes)?));
            place += 1;
        }
        Ok(made)
    }

    fn erase(&self, subjects: impl Iterator<Item = SubjectHash>) -> Result<(), SubjectKeysError> {
        let mut writing = self.writing.lock();
        self.check()?;
        let (mut next, mut is_changed) = (writing.next, false);
        let mut done = Vec::new();
        for hash in subjects {
            let (place, is_new) = match self.place(&hash)? {
                Some((_, Slot::Erased { .. })) => {
                    done.push((hash, None));
                    continue;
                }
                Some((place, Slot::Live { .. })) => (place, false),
                None => (next, true),
            };
            self.written(self.file.write(place, &Slot::Erased { hash }))?;
            is_changed = true;
            next += u32::from(is_new);
            done.push((hash, is_new.then_some(place)));
        }
        let synced = match is_changed {
            true if next == writing.next => self.file.sync_overwritten(),
            true => self.file.sync(),
            false => Ok(()),
        };
        synced.map_err(|error| self.failed(&error))?;
        writing.next = next;
        for (hash, new_place) in done {
            if let Some(place) = new_place {
                self.table.write().insert(&hash, place);
            }
            self.cache.lock().erased(hash);
        }
        Ok(())
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
