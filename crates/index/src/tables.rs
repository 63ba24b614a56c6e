//! What of a map is in memory: the table that is written to, and those that wait to be sealed.

use std::{
    mem,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;

use crate::{Reads, map::Runs, run::Entry, table::Table};

/// All of them from the oldest to the newest: of equal keys the newest counts.
pub(crate) struct Tables<const K: usize, const V: usize> {
    reads: Reads,
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
    pub(crate) fn new(reads: Reads, runs: Runs<K, V>) -> Self {
        Self {
            reads,
            active: Table::new(reads),
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
            self.active.extend(mem::take(&mut self.loaded));
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
            let active = mem::replace(&mut self.active, Table::new(self.reads));
            let loaded = mem::take(&mut self.loaded);
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
            let parts = Mutex::new((Table::default(), loaded));
            return Self { table: OnceLock::from(active), parts };
        }
        Self { table: OnceLock::new(), parts: Mutex::new((active, loaded)) }
    }

    pub(crate) fn table(&self) -> &Table<K, V> {
        self.table.get_or_init(|| {
            let (mut table, loaded) = mem::take(&mut *self.parts.lock());
            table.extend(loaded);
            table
        })
    }
}
