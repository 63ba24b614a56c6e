//! Keys that were used lately.

use std::collections::HashMap;

use super::{SubjectHash, keys::SubjectKey};

/// At most so many keys: two halves, of which the older is dropped when the younger is full.
#[derive(Debug)]
pub(super) struct Cache {
    half_max: usize,
    young: HashMap<SubjectHash, SubjectKey>,
    old: HashMap<SubjectHash, SubjectKey>,
    /// How many keys were destroyed: one that was read before is not to be kept after.
    pub(super) erasures: u64,
}

impl Cache {
    pub(super) fn new(keys_max: usize) -> Self {
        let half_max = (keys_max / 2).max(1);
        Self { half_max, young: HashMap::new(), old: HashMap::new(), erasures: 0 }
    }

    pub(super) fn get(&mut self, hash: &SubjectHash) -> Option<SubjectKey> {
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

    /// The key is destroyed.
    pub(super) fn erase(&mut self, hash: SubjectHash) {
        self.erasures += 1;
        self.old.remove(&hash);
        self.insert(hash, SubjectKey::Erased);
    }
}
