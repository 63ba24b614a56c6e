//! The hashes of names that the writer has just used: it decides on a stream and then extends it, and most appends have a
//! type or tags that were seen just before.

use std::collections::HashMap;

use super::key::{Hash, hash};

/// Names whose hashes are kept.
const NAMES_KEPT: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Hashes(HashMap<Box<str>, Hash>);

impl Hashes {
    /// The hash of a name.
    pub(super) fn of(&mut self, name: &str) -> Hash {
        if let Some(known) = self.0.get(name) {
            return *known;
        }
        if self.0.len() >= NAMES_KEPT {
            self.0.clear();
        }
        let hash = hash(name);
        self.0.insert(name.into(), hash);
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_however_many_names_there_are() {
        let mut hashes = Hashes::default();
        for number in (0..2 * NAMES_KEPT).chain(0..10) {
            let name = format!("name-{number}");
            assert_eq!(hashes.of(&name), hash(&name));
            assert_eq!(hashes.of(&name), hash(&name));
            assert!(hashes.0.len() <= NAMES_KEPT);
        }
    }
}
