//! A table in memory: in order of key, or hashed.

use std::{cmp::Ordering, collections::BTreeMap};

use indexmap::IndexMap;

use crate::{Reads, order::in_order, run::Entry};

/// What was inserted into a map of late.
#[derive(Debug)]
pub(crate) enum Table<const K: usize, const V: usize> {
    /// In order of key.
    Ordered(BTreeMap<Key<K>, [u8; V]>),
    /// In the order in which the keys came first. Hashed with a seed that nobody outside knows: ids are chosen by clients.
    Hashed(IndexMap<[u8; K], [u8; V]>),
}

/// A key that is compared by whole words: comparing bytes is a call for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<const K: usize>([u8; K]);

impl<const K: usize> Ord for Key<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (Self(mine), Self(others)) = (self, other);
        let ((words, rest), (other_words, other_rest)) =
            (mine.as_chunks::<8>(), others.as_chunks::<8>());
        for (word, other) in words.iter().zip(other_words) {
            match u64::from_be_bytes(*word).cmp(&u64::from_be_bytes(*other)) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        rest.cmp(other_rest)
    }
}

impl<const K: usize> PartialOrd for Key<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const K: usize, const V: usize> Default for Table<K, V> {
    fn default() -> Self {
        Self::new(Reads::Ranges)
    }
}

impl<const K: usize, const V: usize> Table<K, V> {
    /// An empty one.
    pub(crate) fn new(reads: Reads) -> Self {
        match reads {
            Reads::Ranges => Self::Ordered(BTreeMap::new()),
            Reads::Keys => Self::Hashed(IndexMap::new()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ordered(map) => map.len(),
            Self::Hashed(map) => map.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an entry; of two with one key the later counts.
    pub(crate) fn insert(&mut self, key: [u8; K], value: [u8; V]) {
        match self {
            Self::Ordered(map) => map.insert(Key(key), value),
            Self::Hashed(map) => map.insert(key, value),
        };
    }

    /// Adds entries as if they were inserted one after the other.
    pub(crate) fn extend(&mut self, entries: Vec<Entry<K, V>>) {
        if self.is_empty() {
            // Of equal keys the last one counts.
            *self = in_order(&entries).into_iter().collect();
        } else {
            entries.into_iter().for_each(|(key, value)| self.insert(key, value));
        }
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8; K]) -> Option<[u8; V]> {
        match self {
            // Ids that begin with a time are later than all before, most often, which is seen sooner than that they are not
            // there.
            Self::Ordered(map) => {
                let (last, _) = map.last_key_value()?;
                if Key(*key) > *last { None } else { map.get(&Key(*key)).copied() }
            }
            Self::Hashed(map) => map.get(key).copied(),
        }
    }

    /// All entries in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8; K], &[u8; V])> {
        let (ordered, hashed) = match self {
            Self::Ordered(map) => (Some(map.iter()), Vec::new()),
            Self::Hashed(map) => (None, sorted(map.iter())),
        };
        ordered.into_iter().flatten().map(|(Key(key), value)| (key, value)).chain(hashed)
    }

    /// The entries from one key to another, both included, in order.
    pub(crate) fn range(
        &self,
        from: &[u8; K],
        to: &[u8; K],
    ) -> impl DoubleEndedIterator<Item = Entry<K, V>> {
        let (ordered, hashed) = match self {
            // A map panics where the ends are the wrong way round.
            Self::Ordered(map) => {
                let ends = (from <= to).then_some(Key(*from)..=Key(*to));
                (ends.map(|ends| map.range(ends)), Vec::new())
            }
            Self::Hashed(map) => {
                (None, sorted(map.iter().filter(|(key, _)| (from..=to).contains(key))))
            }
        };
        let ordered = ordered.into_iter().flatten().map(|(Key(key), value)| (key, value));
        ordered.chain(hashed).map(|(key, value)| (*key, *value))
    }
}

/// Ids of one client come in order, most often: that is what a stable sort makes use of.
fn sorted<'a, const K: usize, const V: usize>(
    entries: impl Iterator<Item = (&'a [u8; K], &'a [u8; V])>,
) -> Vec<(&'a [u8; K], &'a [u8; V])> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|(key, _)| Key(**key));
    entries
}

impl<const K: usize, const V: usize> FromIterator<Entry<K, V>> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = Entry<K, V>>>(entries: I) -> Self {
        Self::Ordered(entries.into_iter().map(|(key, value)| (Key(key), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_are_in_the_order_of_their_bytes(
            one in prop::array::uniform18(0_u8..3), other in prop::array::uniform18(0_u8..3),
            flipped in 0_usize..18,
        ) {
            prop_assert_eq!(Key(one).cmp(&Key(other)), one.cmp(&other));
            let mut near = one;
            near[flipped] ^= 0x80;
            prop_assert_eq!(Key(one).cmp(&Key(near)), one.cmp(&near));
        }

        #[test]
        fn holds_what_a_map_holds(
            entries in prop::collection::vec((prop::array::uniform3(0_u8..4), any::<[u8; 1]>()), 0..80),
            from in prop::array::uniform3(0_u8..4), to in prop::array::uniform3(0_u8..4),
        ) {
            let model: BTreeMap<_, _> = entries.iter().copied().collect();
            for reads in [Reads::Ranges, Reads::Keys] {
                let mut table = Table::<3, 1>::new(reads);
                entries.iter().for_each(|(key, value)| table.insert(*key, *value));
                prop_assert_eq!(table.len(), model.len());
                prop_assert!(table.iter().eq(model.iter()));
                prop_assert_eq!(table.get(&from), model.get(&from).copied());
                let between = |(key, _): &(&[u8; 3], &[u8; 1])| (from..=to).contains(*key);
                let wanted = model.iter().filter(between).map(|(key, value)| (*key, *value));
                prop_assert!(table.range(&from, &to).eq(wanted.clone()));
                prop_assert!(table.range(&from, &to).rev().eq(wanted.rev()));
            }
        }
    }
}
