//! One map: its tables in memory and its sealed runs.

use std::{cmp::Reverse, collections::BinaryHeap, fmt, mem, path::Path, sync::Arc};

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    Range, RangeBack, ReadError,
    block::Block,
    manifest::MapEntry,
    range,
    run::{self, Entry, Run, Wanted},
    tables::Tables,
};

/// Runs of one size that are merged into one of the next.
const MERGED_RUNS: usize = 8;
/// The same while a map is loaded: every entry is then merged once, at the end, unless there are very many.
const MERGED_RUNS_LOADING: usize = 64;

/// A map of an index.
#[derive(Clone, Copy, Debug)]
pub struct MapSpec {
    /// Names its files; small letters.
    pub name: &'static str,
    /// What lookups of absent keys are answered from without reading.
    pub filter: FilterOn,
    /// What is looked up.
    pub reads: Reads,
}

/// What is looked up in a map, most often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Keys and ranges of keys: the tables in memory are in order.
    Ranges,
    /// Single keys: the tables in memory are hashed, which costs an insert and a lookup less, and sealing more. A range is
    /// read too, by looking at all that is in memory.
    Keys,
}

/// What the filter of a map's runs is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterOn {
    /// There is none: lookups are of keys that exist, or of ranges.
    Nothing,
    /// So many bytes at the beginning of a key; a lookup of a range whose ends have them in common uses it too.
    First(usize),
    /// Two beginnings of a key, of so few and of so many bytes; a lookup uses the longer one where it can.
    Firsts(u8, u8),
}

impl FilterOn {
    /// The lengths of the beginnings, the longest first.
    pub(crate) fn lengths(self) -> impl Iterator<Item = usize> {
        let (long, short) = match self {
            Self::Nothing => (None, None),
            Self::First(bytes) => (Some(bytes), None),
            Self::Firsts(short, long) => (Some(usize::from(long)), Some(usize::from(short))),
        };
        long.into_iter().chain(short)
    }

    /// What it is stored as: the one length, or the longer one with 256 times the shorter one.
    pub(crate) fn number(self) -> usize {
        self.lengths().enumerate().map(|(at, length)| length << (8 * at)).sum()
    }
}

/// An ordered map. Cheap to clone; one writer, many readers.
pub struct Map<const K: usize, const V: usize> {
    shared: Arc<Shared<K, V>>,
}

impl<const K: usize, const V: usize> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<const K: usize, const V: usize> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("name", &self.shared.spec.name).finish_non_exhaustive()
    }
}

pub(crate) type Runs<const K: usize, const V: usize> = Vec<Arc<Run<K, V>>>;

struct Shared<const K: usize, const V: usize> {
    spec: MapSpec,
    tables: RwLock<Tables<K, V>>,
    /// What the runs will be when the manifest says so.
    staged: Mutex<Option<Staged<K, V>>>,
}

struct Staged<const K: usize, const V: usize> {
    runs: Runs<K, V>,
    /// Tables frozen up to this are in the runs.
    sealed: Option<u64>,
}

impl<const K: usize, const V: usize> Map<K, V> {
    pub(crate) fn new(spec: MapSpec, runs: Runs<K, V>) -> Self {
        let tables = RwLock::new(Tables::new(spec.reads, runs));
        let shared = Shared { spec, tables, staged: Mutex::new(None) };
        Self { shared: Arc::new(shared) }
    }

    /// Adds an entry; of two with one key the later counts.
    pub fn insert(&self, key: [u8; K], value: [u8; V]) {
        self.shared.tables.write().insert(key, value);
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8; K]) -> Result<Option<[u8; V]>, ReadError> {
        let runs = {
            let tables = self.tables();
            if let Some(value) = tables.newest_first().find_map(|table| table.get(key)) {
                return Ok(Some(value));
            }
            if tables.runs.is_empty() {
                return Ok(None);
            }
            Arc::clone(&tables.runs)
        };
        let wanted = self.wanted(key, key);
        for run in runs.iter().rev().filter(|run| run.may_have(&wanted)) {
            let block = run.block(run.block_of(key))?;
            let at = block.entry(block.at_or_after(key));
            if let Some((_, value)) = at.filter(|(known, _)| known == key) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The entries from one key to another, both included, in order. Sees entries that are inserted meanwhile or not.
    pub fn range(&self, from: &[u8; K], to: &[u8; K]) -> Range<K, V> {
        Range::new(self.clone(), *from, *to)
    }

    /// The entries of [`Self::range`] from the last to the first.
    pub fn range_back(&self, from: &[u8; K], to: &[u8; K]) -> RangeBack<K, V> {
        RangeBack::new(self.clone(), *from, *to)
    }

    /// The first entry from one key to another, both included.
    pub fn first_in(&self, from: &[u8; K], to: &[u8; K]) -> Result<Option<Entry<K, V>>, ReadError> {
        self.nearest(from, to, End::First)
    }

    /// The last entry from one key to another, both included.
    pub fn last_in(&self, from: &[u8; K], to: &[u8; K]) -> Result<Option<Entry<K, V>>, ReadError> {
        self.nearest(from, to, End::Last)
    }

    /// [`Self::last_in`] where of the keys of this range a later one was always inserted later, such as those of one
    /// stream's revisions: then it is in the newest part of the map that has any of them, and no older one is read.
    pub fn newest_in(
        &self,
        from: &[u8; K],
        to: &[u8; K],
    ) -> Result<Option<Entry<K, V>>, ReadError> {
        self.nearest(from, to, End::Newest)
    }

    fn nearest(
        &self,
        from: &[u8; K],
        to: &[u8; K],
        end: End,
    ) -> Result<Option<Entry<K, V>>, ReadError> {
        if from > to {
            return Ok(None);
        }
        // From the newest to the oldest: of two with one key the newer counts.
        let mut found = None;
        let runs = {
            let tables = self.tables();
            for table in tables.newest_first() {
                let mut range = table.range(from, to);
                let at_end = if end == End::First { range.next() } else { range.next_back() };
                if let Some(entry) = at_end {
                    found = end.nearer(found, entry);
                }
                if end == End::Newest && found.is_some() {
                    return Ok(found);
                }
            }
            Arc::clone(&tables.runs)
        };
        let wanted = self.wanted(from, to);
        for run in runs.iter().rev().filter(|run| run.may_have(&wanted)) {
            let at_end = match end {
                End::First => range::first_of(run, from, to, 1)?,
                End::Last | End::Newest => range::last_of(run, from, to, 1)?,
            };
            if let Some(entry) = at_end.first() {
                found = end.nearer(found, *entry);
            }
            if end == End::Newest && found.is_some() {
                break;
            }
        }
        Ok(found)
    }

    pub(crate) fn wanted(&self, from: &[u8; K], to: &[u8; K]) -> Wanted<K> {
        Wanted::new(*from, *to, self.shared.spec.filter)
    }

    pub(crate) fn read<R>(&self, read: impl FnOnce(&Tables<K, V>) -> R) -> R {
        read(&self.tables())
    }

    /// The tables, in order.
    fn tables(&self) -> RwLockReadGuard<'_, Tables<K, V>> {
        let tables = self.shared.tables.read();
        if tables.is_settled() {
            return tables;
        }
        drop(tables);
        let mut tables = self.shared.tables.write();
        tables.settle();
        RwLockWriteGuard::downgrade(tables)
    }
}

/// Which end of a range is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
    /// The last, which is in the newest part that has any.
    Newest,
}

impl End {
    fn nearer<const K: usize, const V: usize>(
        self,
        found: Option<Entry<K, V>>,
        other: Entry<K, V>,
    ) -> Option<Entry<K, V>> {
        let is_nearer = match &found {
            None => true,
            Some((known, _)) if self == Self::First => other.0 < *known,
            Some((known, _)) => other.0 > *known,
        };
        if is_nearer { Some(other) } else { found }
    }
}

/// What the sealer does with a map, whatever its sizes.
pub(crate) trait Sealable: Send + Sync {
    /// Whether what comes is kept as it comes until somebody reads, or it is sealed.
    fn set_loading(&self, is_loading: bool);
    /// Closes the active table.
    fn freeze(&self, freeze: u64);
    /// Writes the tables frozen up to a freeze as runs, and stages them.
    fn seal(&self, freeze: u64, files: &mut Files<'_>) -> Result<(), ReadError>;
    /// Merges runs where there are many of one size, more while the index is loaded, and stages the outcome. Answers whether
    /// there was anything to do.
    fn merge(&self, files: &mut Files<'_>, is_loading: bool) -> Result<bool, ReadError>;
    /// The map as it is with what is staged.
    fn entry(&self) -> MapEntry;
    /// Makes what is staged take effect; answers the files that are no longer used.
    fn commit(&self) -> Vec<std::path::PathBuf>;
    /// Forgets what is staged.
    fn abandon(&self);
}

/// Where new files go.
pub(crate) struct Files<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) next: &'a mut u64,
}

impl Files<'_> {
    fn next(&mut self) -> u64 {
        let number = *self.next;
        *self.next += 1;
        number
    }
}

/// The file of a run.
pub(crate) fn file_name(map: &str, number: u64) -> String {
    format!("{map}-{number:016x}.run")
}

impl<const K: usize, const V: usize> Map<K, V> {
    /// The runs as they are with what is staged.
    fn runs(&self) -> Runs<K, V> {
        match &*self.shared.staged.lock() {
            Some(staged) => staged.runs.clone(),
            None => self.shared.tables.read().runs.to_vec(),
        }
    }

    fn stage(&self, runs: Runs<K, V>, sealed: Option<u64>) {
        let mut staged = self.shared.staged.lock();
        let before = staged.as_ref().and_then(|staged| staged.sealed);
        *staged = Some(Staged { runs, sealed: sealed.max(before) });
    }
}

impl<const K: usize, const V: usize> Sealable for Map<K, V> {
    fn set_loading(&self, is_loading: bool) {
        self.shared.tables.write().set_loading(is_loading);
    }

    fn freeze(&self, freeze: u64) {
        self.shared.tables.write().freeze(freeze);
    }

    fn seal(&self, freeze: u64, files: &mut Files<'_>) -> Result<(), ReadError> {
        let mut runs = self.runs();
        let frozen = self.shared.tables.read().frozen_until(freeze);
        for frozen in frozen {
            let table = frozen.table();
            let filter = self.shared.spec.filter;
            let distinct = match filter {
                // Keys are different.
                FilterOn::First(bytes) if bytes >= K => {
                    u64::try_from(table.len()).unwrap_or(u64::MAX)
                }
                _ => distinct(table.iter().map(|(key, _)| key), filter),
            };
            let entries = table.iter().map(|(key, value)| Ok((*key, *value)));
            let number = files.next();
            let path = files.directory.join(file_name(self.shared.spec.name, number));
            runs.push(Arc::new(run::write(&path, number, filter, distinct, entries)?));
        }
        self.stage(runs, Some(freeze));
        Ok(())
    }

    fn merge(&self, files: &mut Files<'_>, is_loading: bool) -> Result<bool, ReadError> {
        let mut runs = self.runs();
        let alike = if is_loading { MERGED_RUNS_LOADING } else { MERGED_RUNS };
        let Some(count) = merged_count(runs.iter().map(|run| run.entries), alike) else {
            return Ok(false);
        };
        let merged = runs.split_off(runs.len() - count);
        let filter = self.shared.spec.filter;
        let distinct = merged.iter().map(|run| run.distinct).sum();
        let number = files.next();
        let path = files.directory.join(file_name(self.shared.spec.name, number));
        let entries = merge(&merged);
        runs.push(Arc::new(run::write(&path, number, filter, distinct, entries)?));
        self.stage(runs, None);
        Ok(true)
    }

    fn entry(&self) -> MapEntry {
        let runs = self.runs().iter().map(|run| run.number).collect();
        let spec = self.shared.spec;
        MapEntry {
            name: spec.name.to_owned(),
            key_bytes: K,
            value_bytes: V,
            filter_on: spec.filter.number(),
            runs,
        }
    }

    fn commit(&self) -> Vec<std::path::PathBuf> {
        let Some(Staged { runs, sealed }) = self.shared.staged.lock().take() else {
            return Vec::new();
        };
        let runs = Arc::new(runs);
        let (before, _sealed_tables) = {
            let mut tables = self.shared.tables.write();
            let before = mem::replace(&mut tables.runs, Arc::clone(&runs));
            (before, sealed.map(|sealed| tables.take_until(sealed)))
        };
        let is_gone = |run: &&Arc<Run<K, V>>| !runs.iter().any(|kept| kept.number == run.number);
        before.iter().filter(is_gone).map(|run| run.path().to_owned()).collect()
    }

    fn abandon(&self) {
        self.shared.staged.lock().take();
    }
}

/// How many different beginnings the keys have.
fn distinct<'a, const K: usize>(keys: impl Iterator<Item = &'a [u8; K]>, filter: FilterOn) -> u64 {
    let mut last = None;
    let mut count = 0;
    for key in keys {
        count += new_beginnings(key, last, filter).count();
        last = Some(key);
    }
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The beginnings of a key that the key before it does not have.
pub(crate) fn new_beginnings<'a, const K: usize>(
    key: &'a [u8; K],
    before: Option<&'a [u8; K]>,
    filter: FilterOn,
) -> impl Iterator<Item = &'a [u8]> {
    filter.lengths().map(move |length| key.get(..length).unwrap_or(key)).filter(move |beginning| {
        before.is_none_or(|before| before.get(..beginning.len()) != Some(beginning))
    })
}

/// How many of the newest runs to merge: where there are `alike_min` of one size behind larger ones, these and the smaller
/// ones between.
fn merged_count(entries: impl DoubleEndedIterator<Item = u64>, alike_min: usize) -> Option<usize> {
    let base = u64::try_from(MERGED_RUNS).unwrap_or(u64::MAX);
    let sizes: Vec<u32> = entries.rev().map(|entries| entries.max(1).ilog(base)).collect();
    let largest = sizes.iter().copied().max()?;
    (0..=largest).find_map(|size| {
        let newest = sizes.iter().take_while(|of| **of <= size);
        let alike = newest.clone().filter(|of| **of == size).count();
        (alike >= alike_min).then(|| newest.count())
    })
}

/// The entries of several runs in order; of equal keys the newest run's.
struct Merge<'a, const K: usize, const V: usize> {
    /// From the oldest run to the newest.
    sources: Vec<Source<'a, K, V>>,
    /// The least key on top, of equal ones that of the newest source.
    heads: BinaryHeap<Reverse<([u8; K], Reverse<usize>)>>,
}

struct Source<'a, const K: usize, const V: usize> {
    run: &'a Run<K, V>,
    next_block: usize,
    block: Block<K, V>,
    /// Which entry of the block comes after the head.
    next: usize,
    head: Option<Entry<K, V>>,
}

impl<const K: usize, const V: usize> Source<'_, K, V> {
    fn advance(&mut self) -> Result<(), ReadError> {
        loop {
            self.head = self.block.entry(self.next);
            self.next += 1;
            if self.head.is_some() || self.next_block == self.run.blocks() {
                return Ok(());
            }
            self.block = self.run.block(self.next_block)?;
            self.next = 0;
            self.next_block += 1;
        }
    }
}

fn merge<'a, const K: usize, const V: usize>(
    runs: &'a [Arc<Run<K, V>>],
) -> impl Iterator<Item = Result<Entry<K, V>, ReadError>> + 'a {
    let source = |run: &'a Arc<Run<K, V>>| Source {
        run,
        next_block: 0,
        block: Block::default(),
        next: 0,
        head: None,
    };
    let mut merge = Merge { sources: runs.iter().map(source).collect(), heads: BinaryHeap::new() };
    let mut failed = (0..runs.len()).try_for_each(|number| merge.advance(number)).err();
    std::iter::from_fn(move || match failed.take() {
        Some(error) => Some(Err(error)),
        None => merge.next().transpose(),
    })
}

impl<const K: usize, const V: usize> Merge<'_, K, V> {
    fn next(&mut self) -> Result<Option<Entry<K, V>>, ReadError> {
        let Some(Reverse((least, Reverse(newest)))) = self.heads.pop() else {
            return Ok(None);
        };
        let found = self.sources.get(newest).and_then(|source| source.head);
        self.advance(newest)?;
        // What older runs say of the key does not count.
        while let Some(Reverse((key, Reverse(older)))) = self.heads.peek()
            && *key == least
        {
            let older = *older;
            self.heads.pop();
            self.advance(older)?;
        }
        Ok(found)
    }

    /// Goes to the next entry of a source, whose head is not on the heap.
    fn advance(&mut self, number: usize) -> Result<(), ReadError> {
        let Some(source) = self.sources.get_mut(number) else { return Ok(()) };
        source.advance()?;
        if let Some((key, _)) = source.head {
            self.heads.push(Reverse((key, Reverse(number))));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_size_are_merged() {
        for (entries, merged) in [
            (vec![], None),
            (vec![100; 7], None),
            (vec![100; 8], Some(8)),
            (vec![5000, 100, 100, 100, 100, 100, 100, 100], None),
            (vec![5000, 1, 2, 3, 4, 5, 6, 7, 0], Some(8)),
            ([vec![5000; 7], vec![100; 8]].concat(), Some(8)),
            ([vec![5000; 7], vec![100; 7]].concat(), None),
            ([vec![5000; 8], vec![100; 7]].concat(), Some(15)),
        ] {
            let found = merged_count(entries.clone().into_iter(), MERGED_RUNS);
            assert_eq!(found, merged, "{entries:?}");
        }
    }
}
