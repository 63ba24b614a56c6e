//! What of a map is in memory: the table that is written to, and those that wait to be sealed.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;

use crate::{map::Runs, run::Entry};

pub(crate) type Table<const K: usize, const V: usize> = BTreeMap<[u8; K], [u8; V]>;

/// All of them from the oldest to the newest: of equal keys the newest counts.
pub(crate) struct Tables<const K: usize, const V: usize> {
    active: Table<K, V>,
    /// What came after it while the map is loaded, as it came.
    loaded: Vec<Entry<K, V>>,
    is_loading: bool,
    /// With the number of the freeze.
    frozen: Vec<(u64, Arc<Frozen<K, V>>)>,
    pub(crate) runs: Arc<Runs<K, V>>,
}

/// A table that waits to be sealed. What was loaded is put in order by who needs it first, most often the sealer.
pub(crate) struct Frozen<const K: usize, const V: usize> {
    table: OnceLock<Table<K, V>>,
    /// Until then.
    parts: Mutex<(Table<K, V>, Vec<Entry<K, V>>)>,
}

// === impl Tables ===

impl<const K: usize, const V: usize> Tables<K, V> {
    pub(crate) fn new(runs: Runs<K, V>) -> Self {
        Self {
            active: Table::new(),
            loaded: Vec::new(),
            is_loading: false,
            frozen: Vec::new(),
            runs: Arc::new(runs),
        }
    }

    /// Whether what comes is kept as it comes, for now.
    pub(crate) fn set_loading(&mut self, is_loading: bool) {
        self.is_loading = is_loading;
    }

    pub(crate) fn insert(&mut self, key: [u8; K], value: [u8; V]) {
        if self.is_loading {
            self.loaded.push((key, value));
        } else {
            self.settle();
            self.active.insert(key, value);
        }
    }

    /// Whether everything can be read.
    pub(crate) fn is_settled(&self) -> bool {
        self.loaded.is_empty()
    }

    /// Puts in order what was loaded.
    pub(crate) fn settle(&mut self) {
        if !self.is_settled() {
            add(&mut self.active, mem::take(&mut self.loaded));
        }
    }

    /// Those in memory, from the newest to the oldest.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Table<K, V>> {
        debug_assert!(self.is_settled(), "read before it is in order");
        let frozen = self.frozen.iter().rev().map(|(_, frozen)| frozen.table());
        std::iter::once(&self.active).chain(frozen)
    }

    /// Closes the active table.
    pub(crate) fn freeze(&mut self, freeze: u64) {
        if !self.active.is_empty() || !self.loaded.is_empty() {
            let (active, loaded) = (mem::take(&mut self.active), mem::take(&mut self.loaded));
            self.frozen.push((freeze, Arc::new(Frozen::new(active, loaded))));
        }
    }

    /// Those frozen up to a freeze, oldest first.
    pub(crate) fn frozen_until(&self, freeze: u64) -> Vec<Arc<Frozen<K, V>>> {
        let until = self.frozen.iter().filter(|(number, _)| *number <= freeze);
        until.map(|(_, frozen)| Arc::clone(frozen)).collect()
    }

    /// Takes out those frozen up to a freeze, which are in the runs now. They are to be dropped without the lock: that takes
    /// as long as making them.
    #[must_use]
    pub(crate) fn take_until(&mut self, freeze: u64) -> Vec<Arc<Frozen<K, V>>> {
        let taken = self.frozen.extract_if(.., |(number, _)| *number <= freeze);
        taken.map(|(_, frozen)| frozen).collect()
    }
}

// === impl Frozen ===

impl<const K: usize, const V: usize> Frozen<K, V> {
    fn new(active: Table<K, V>, loaded: Vec<Entry<K, V>>) -> Self {
        if loaded.is_empty() {
            let parts = Mutex::new((Table::new(), loaded));
            return Self { table: OnceLock::from(active), parts };
        }
        Self { table: OnceLock::new(), parts: Mutex::new((active, loaded)) }
    }

    pub(crate) fn table(&self) -> &Table<K, V> {
        self.table.get_or_init(|| {
            let (mut table, loaded) = mem::take(&mut *self.parts.lock());
            add(&mut table, loaded);
            table
        })
    }
}

/// Adds entries to a table as if they were inserted one after the other.
fn add<const K: usize, const V: usize>(table: &mut Table<K, V>, entries: Vec<Entry<K, V>>) {
    if table.is_empty() {
        // Of equal keys the last one counts.
        *table = in_order(&entries).into_iter().collect();
    } else {
        table.extend(entries);
    }
}

/// Entries in order of key; those of one key in the order in which they came. The beginnings of the keys are sorted with the
/// places of the entries in one number: moving the entries about, and comparing bytes, takes several times as long.
fn in_order<const K: usize, const V: usize>(entries: &[Entry<K, V>]) -> Vec<Entry<K, V>> {
    const PLACE_BITS: u32 = 32;
    const BEGINNING_BYTES: usize = 12;
    let place_of = |number: &u128| usize::try_from(*number & u128::from(u32::MAX)).unwrap_or(0);
    let numbered = |(place, (key, _)): (u32, &Entry<K, V>)| {
        let mut beginning = [0; 16];
        let bytes = key.get(..BEGINNING_BYTES).unwrap_or(key);
        beginning.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        u128::from_be_bytes(beginning) | u128::from(place)
    };
    let mut numbers: Vec<u128> = (0..).zip(entries).map(numbered).collect();
    numbers.sort_unstable();
    if K > BEGINNING_BYTES {
        let key = |number: &u128| entries.get(place_of(number)).map(|(key, _)| key);
        for alike in numbers.chunk_by_mut(|a, b| a >> PLACE_BITS == b >> PLACE_BITS) {
            alike.sort_by_key(key);
        }
    }
    numbers.iter().filter_map(|number| entries.get(place_of(number)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn loaded_is_as_if_inserted(
            before in prop::collection::vec(([0_u8..3, 0..3], any::<u8>()), 0..20),
            // Beginnings of twelve bytes that are alike, and then different ends.
            keys in prop::collection::vec((0_u8..3, 0_u8..3, any::<u8>()), 0..80),
        ) {
            let long = |(first, last, value): &(u8, u8, u8)| {
                let mut key = [7; 14];
                (key[0], key[13]) = (*first, *last);
                (key, [*value])
            };
            let entries: Vec<_> = keys.iter().map(long).collect();
            let mut table = Table::new();
            add(&mut table, entries.clone());
            prop_assert_eq!(table, entries.iter().copied().collect::<Table<14, 1>>());
            let ordered = in_order(&entries);
            let mut sorted = entries;
            sorted.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(ordered, sorted);
            let short = before.iter().map(|(key, value)| (*key, [*value]));
            let mut table: Table<2, 1> = short.clone().take(5).collect();
            let mut expected = table.clone();
            add(&mut table, short.clone().collect());
            expected.extend(short);
            prop_assert_eq!(table, expected);
        }
    }
}
