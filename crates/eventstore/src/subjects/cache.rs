//! Keys that were used lately, and those that are being destroyed.

use std::collections::{HashMap, HashSet};

use super::{SubjectHash, keys::SubjectKey};

/// At most so many keys: two halves, of which the older is dropped when the younger is full.
#[derive(Debug)]
pub(super) struct Cache {
    half_max: usize,
    young: HashMap<SubjectHash, SubjectKey>,
    old: HashMap<SubjectHash, SubjectKey>,
    /// Whose keys are being destroyed: nobody is given them any more, whatever becomes of the file.
    erasing: HashSet<SubjectHash>,
    /// How many keys were destroyed: one that was read before is not to be kept after.
    pub(super) erasures: u64,
}

impl Cache {
    pub(super) fn new(keys_max: usize) -> Self {
        let half_max = (keys_max / 2).max(1);
        Self {
            half_max,
            young: HashMap::new(),
            old: HashMap::new(),
            erasing: HashSet::new(),
            erasures: 0,
        }
    }

    pub(super) fn get(&mut self, hash: &SubjectHash) -> Option<SubjectKey> {
        if self.erasing.contains(hash) {
            return Some(SubjectKey::Erased);
        }
        if let Some(key) = self.young.get(hash) {
            return Some(key.clone());
        }
        let key = self.old.remove(hash)?;
        self.insert(*hash, key.clone());
        Some(key)
    }

    pub(super) fn insert(&mut self, hash: SubjectHash, key: SubjectKey) {
        if self.young.len() >= self.half_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, key);
    }

    /// The key is going to be destroyed. From here on it counts as that.
    pub(super) fn begin_erasing(&mut self, hash: SubjectHash) {
        self.erasures += 1;
        self.young.remove(&hash);
        self.old.remove(&hash);
        self.erasing.insert(hash);
    }

    /// The file says it too.
    pub(super) fn erased(&mut self, hash: SubjectHash) {
        self.erasing.remove(&hash);
        self.insert(hash, SubjectKey::Erased);
    }
}
