//! Going through a range of a map, in batches: each sees the map as it is at that moment, and no lock is held between.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    Map, ReadError,
    map::Runs,
    run::{Entry, Run, Wanted},
    table::Table,
};

/// Entries of the first batch; each next one is four times as large, so that a look at the first entry is cheap and a
/// long way is fast.
const BATCH_MIN: usize = 1;
const BATCH_MAX: usize = 256;

/// The entries of a range in order of key.
#[derive(Debug)]
pub struct Range<const K: usize, const V: usize>(Batches<K, V>);

/// The entries of a range in reverse order of key.
#[derive(Debug)]
pub struct RangeBack<const K: usize, const V: usize>(Batches<K, V>);

#[derive(Debug)]
struct Batches<const K: usize, const V: usize> {
    map: Map<K, V>,
    /// What is left, both ends included; `None` when nothing is.
    rest: Option<([u8; K], [u8; K])>,
    batch: VecDeque<Entry<K, V>>,
    size: usize,
}

impl<const K: usize, const V: usize> Range<K, V> {
    pub(crate) fn new(map: Map<K, V>, from: [u8; K], to: [u8; K]) -> Self {
        Self(Batches::new(map, from, to))
    }
}

impl<const K: usize, const V: usize> RangeBack<K, V> {
    pub(crate) fn new(map: Map<K, V>, from: [u8; K], to: [u8; K]) -> Self {
        Self(Batches::new(map, from, to))
    }
}

impl<const K: usize, const V: usize> Iterator for Range<K, V> {
    type Item = Result<Entry<K, V>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(false)
    }
}

impl<const K: usize, const V: usize> Iterator for RangeBack<K, V> {
    type Item = Result<Entry<K, V>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(true)
    }
}

impl<const K: usize, const V: usize> Batches<K, V> {
    fn new(map: Map<K, V>, from: [u8; K], to: [u8; K]) -> Self {
        let rest = (from <= to).then_some((from, to));
        Self { map, rest, batch: VecDeque::new(), size: BATCH_MIN }
    }

    fn next(&mut self, is_back: bool) -> Option<Result<Entry<K, V>, ReadError>> {
        loop {
            if let Some(entry) = self.batch.pop_front() {
                return Some(Ok(entry));
            }
            let rest = self.rest.take()?;
            if let Err(error) = self.fill(rest, is_back) {
                return Some(Err(error));
            }
        }
    }

    /// Takes the first entries of each table and run; what is before the end of the shortest list is complete.
    fn fill(&mut self, (from, to): ([u8; K], [u8; K]), is_back: bool) -> Result<(), ReadError> {
        let size = self.size;
        self.size = (size * 4).min(BATCH_MAX);
        let in_table = |table: &Table<K, V>| -> Vec<Entry<K, V>> {
            let range = table.range(&from, &to);
            if is_back { range.rev().take(size).collect() } else { range.take(size).collect() }
        };
        let (newer, runs) = self.map.read(|tables| {
            let newer: Vec<_> = tables.newest_first().map(in_table).collect();
            (newer, std::sync::Arc::clone(&tables.runs))
        });
        let mut merged = BTreeMap::new();
        let mut bound: Option<[u8; K]> = None;
        let older = of_runs(&runs, self.map.wanted(&from, &to), from, to, size, is_back);
        for list in older.chain(newer.into_iter().rev().map(Ok)) {
            let list = list?;
            if list.len() == size
                && let Some((last, _)) = list.last()
            {
                bound = Some(match bound {
                    None => *last,
                    Some(bound) if is_back => bound.max(*last),
                    Some(bound) => bound.min(*last),
                });
            }
            merged.extend(list);
        }
        match bound {
            None if is_back => self.batch.extend(merged.into_iter().rev()),
            None => self.batch.extend(merged),
            Some(bound) if is_back => {
                self.batch.extend(merged.range(bound..).rev().map(|(key, value)| (*key, *value)));
                self.rest = before(bound).filter(|to| *to >= from).map(|to| (from, to));
            }
            Some(bound) => {
                self.batch.extend(merged.range(..=bound).map(|(key, value)| (*key, *value)));
                self.rest = after(bound).filter(|from| *from <= to).map(|from| (from, to));
            }
        }
        Ok(())
    }
}

fn of_runs<const K: usize, const V: usize>(
    runs: &Runs<K, V>,
    wanted: Wanted<K>,
    from: [u8; K],
    to: [u8; K],
    size: usize,
    is_back: bool,
) -> impl Iterator<Item = Result<Vec<Entry<K, V>>, ReadError>> {
    runs.iter().filter(move |run| run.may_have(&wanted)).map(move |run| {
        if is_back { last_of(run, &from, &to, size) } else { first_of(run, &from, &to, size) }
    })
}

pub(crate) fn first_of<const K: usize, const V: usize>(
    run: &Run<K, V>,
    from: &[u8; K],
    to: &[u8; K],
    size: usize,
) -> Result<Vec<Entry<K, V>>, ReadError> {
    let mut found = Vec::new();
    for number in run.block_of(from)..run.blocks() {
        let block = run.block(number)?;
        for entry in (block.at_or_after(from)..block.len()).filter_map(|at| block.entry(at)) {
            if entry.0 > *to || found.len() == size {
                return Ok(found);
            }
            found.push(entry);
        }
        if found.len() == size {
            break;
        }
    }
    Ok(found)
}

pub(crate) fn last_of<const K: usize, const V: usize>(
    run: &Run<K, V>,
    from: &[u8; K],
    to: &[u8; K],
    size: usize,
) -> Result<Vec<Entry<K, V>>, ReadError> {
    let mut found = Vec::new();
    let last = if run.blocks() == 0 { 0 } else { run.block_of(to) + 1 };
    for number in (0..last).rev() {
        let block = run.block(number)?;
        let end = match block.at_or_after(to) {
            at if block.key(at) == Some(to) => at + 1,
            at => at,
        };
        for entry in (0..end).rev().filter_map(|at| block.entry(at)) {
            if entry.0 < *from || found.len() == size {
                return Ok(found);
            }
            found.push(entry);
        }
        if found.len() == size {
            break;
        }
    }
    Ok(found)
}

/// The key after this one, in order.
fn after<const K: usize>(mut key: [u8; K]) -> Option<[u8; K]> {
    for byte in key.iter_mut().rev() {
        let (next, is_over) = byte.overflowing_add(1);
        *byte = next;
        if !is_over {
            return Some(key);
        }
    }
    None
}

/// The key before this one, in order.
fn before<const K: usize>(mut key: [u8; K]) -> Option<[u8; K]> {
    for byte in key.iter_mut().rev() {
        let (next, is_over) = byte.overflowing_sub(1);
        *byte = next;
        if !is_over {
            return Some(key);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_keys() {
        assert_eq!(after([0, 255]), Some([1, 0]));
        assert_eq!(after([255, 255]), None);
        assert_eq!(before([1, 0]), Some([0, 255]));
        assert_eq!(before([0, 0]), None);
    }
}
