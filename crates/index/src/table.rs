//! A table in memory, in order of key.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::{order::in_order, run::Entry};

/// What was inserted into a map of late.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Table<const K: usize, const V: usize>(BTreeMap<Key<K>, [u8; V]>);

/// A key that is compared by whole words: comparing bytes is a call for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key<const K: usize>([u8; K]);

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

impl<const K: usize, const V: usize> Table<K, V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an entry; of two with one key the later counts.
    pub(crate) fn insert(&mut self, key: [u8; K], value: [u8; V]) {
        self.0.insert(Key(key), value);
    }

    /// Adds entries as if they were inserted one after the other.
    pub(crate) fn extend(&mut self, entries: Vec<Entry<K, V>>) {
        if self.is_empty() {
            // Of equal keys the last one counts.
            *self = in_order(&entries).into_iter().collect();
        } else {
            self.0.extend(entries.into_iter().map(|(key, value)| (Key(key), value)));
        }
    }

    /// The value of a key. Ids that begin with a time are later than all before, most often, which is seen sooner than
    /// that they are not there.
    pub(crate) fn get(&self, key: &[u8; K]) -> Option<[u8; V]> {
        let (last, _) = self.0.last_key_value()?;
        if Key(*key) > *last { None } else { self.0.get(&Key(*key)).copied() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8; K], &[u8; V])> {
        self.0.iter().map(|(Key(key), value)| (key, value))
    }

    /// The entries from one key to another, both included, in order.
    pub(crate) fn range(
        &self,
        from: &[u8; K],
        to: &[u8; K],
    ) -> impl DoubleEndedIterator<Item = Entry<K, V>> {
        // A map panics where the ends are the wrong way round.
        let ends = (from <= to).then_some(Key(*from)..=Key(*to));
        ends.into_iter().flat_map(|ends| self.0.range(ends)).map(|(Key(key), value)| (*key, *value))
    }
}

impl<const K: usize, const V: usize> FromIterator<Entry<K, V>> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = Entry<K, V>>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(key, value)| (Key(key), value)).collect())
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
            let mut table = Table::<3, 1>::default();
            entries.into_iter().for_each(|(key, value)| table.insert(key, value));
            prop_assert!(table.iter().eq(model.iter()));
            prop_assert_eq!(table.get(&from), model.get(&from).copied());
            let between = |(key, _): &Entry<3, 1>| (from..=to).contains(key);
            let all = model.into_iter();
            let wanted: Vec<_> = all.filter(between).collect();
            prop_assert_eq!(table.range(&from, &to).collect::<Vec<_>>(), wanted);
        }
    }
}
