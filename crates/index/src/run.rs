//! A sealed run: an immutable file of entries in order of key.
//!
//! ```text
//!  blocks   see block.rs; as many entries in each as fit in 4096 bytes, in the last one those that are left
//!  index    the first key of each block and its bytes, 4 bytes little endian; then the last key of all
//!  filter   see filter.rs; absent where the map has none
//!  footer   8 bytes   magic
//!           2, 2, 2   bytes of a key, of a value, of what the filter is over (of two beginnings the longer one, and 256
//!                     times the shorter one); little endian, as all that follows
//!           8         entries
//!           8         keys in the filter
//!           8         bytes of the filter
//!           4         CRC32C of index, filter and footer
//! ```

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    FilterOn,
    block::{self, Block},
    filter::{self, Filter},
    map,
};

const MAGIC: [u8; 8] = *b"LMBRUN\0\x02";
const BLOCK_BYTES: usize = 4096;
const CRC_BYTES: usize = 4;
/// The length of a block in the index.
const LENGTH_BYTES: usize = 4;
const FOOTER_BYTES: usize = 42;

/// An entry of a map.
pub(crate) type Entry<const K: usize, const V: usize> = ([u8; K], [u8; V]);

/// A sealed file cannot be read, or is not what was written. The index must be made again from the log.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {cause}", file.display())]
pub struct ReadError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub cause: Arc<str>,
}

/// Entries in a file, in order of key.
#[derive(Debug)]
pub(crate) struct Run<const K: usize, const V: usize> {
    pub(crate) number: u64,
    path: PathBuf,
    file: File,
    /// The first key of each block.
    firsts: Vec<[u8; K]>,
    /// Where each block ends in the file.
    ends: Vec<u64>,
    last: [u8; K],
    filter: Option<Filter>,
    pub(crate) entries: u64,
    /// Keys in the filter.
    pub(crate) distinct: u64,
}

const fn block_entries(entry_bytes: usize) -> usize {
    BLOCK_BYTES / entry_bytes
}

/// Writes a run. `entries` come in order of key, each key once; `distinct` is how many different beginnings they have that
/// the filter is over, or a few more.
pub(crate) fn write<const K: usize, const V: usize>(
    path: &Path,
    number: u64,
    filter_on: FilterOn,
    distinct: u64,
    entries: impl Iterator<Item = Result<Entry<K, V>, ReadError>>,
) -> Result<Run<K, V>, ReadError> {
    let failed =
        |error: &io::Error| ReadError { file: path.to_owned(), cause: error.to_string().into() };
    let mut filter = (filter_on != FilterOn::Nothing).then(|| Filter::new(distinct));
    let mut blocks = Blocks::<K> { firsts: Vec::new(), ends: Vec::new() };
    let mut count = 0_u64;
    let (mut block, mut stored) = (Vec::with_capacity(BLOCK_BYTES), Vec::new());
    let mut last: Option<[u8; K]> = None;
    let file = File::create(path).map_err(|error| failed(&error))?;
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let mut write_block = |block: &mut Vec<u8>, blocks: &mut Blocks<K>| {
        stored.clear();
        block::encode(block, K + V, &mut stored);
        block.clear();
        blocks.end(stored.len());
        out.write_all(&stored).map_err(|error| failed(&error))
    };
    for entry in entries {
        let (key, value) = entry?;
        debug_assert!(last.is_none_or(|last| last < key), "keys in order");
        if block.is_empty() {
            blocks.firsts.push(key);
        }
        block.extend_from_slice(&key);
        block.extend_from_slice(&value);
        count += 1;
        if let Some(filter) = &mut filter {
            map::new_beginnings(&key, last.as_ref(), filter_on)
                .for_each(|beginning| filter.insert(beginning));
        }
        last = Some(key);
        if block.len() + K + V > BLOCK_BYTES {
            write_block(&mut block, &mut blocks)?;
        }
    }
    if !block.is_empty() {
        write_block(&mut block, &mut blocks)?;
    }
    let last = last.unwrap_or([0; K]);
    let tail = tail::<K, V>(&blocks, &last, filter.as_ref(), filter_on.number(), count, distinct);
    let finish = |mut out: BufWriter<File>| {
        out.write_all(&tail)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_data()?;
        // Opened for writing only; readers need another handle.
        File::open(path)
    };
    let file = finish(out).map_err(|error| failed(&error))?;
    let path = path.to_owned();
    let Blocks { firsts, ends } = blocks;
    Ok(Run { number, path, file, firsts, ends, last, filter, entries: count, distinct })
}

/// Where the blocks are.
struct Blocks<const K: usize> {
    firsts: Vec<[u8; K]>,
    ends: Vec<u64>,
}

impl<const K: usize> Blocks<K> {
    /// A block of so many bytes ends.
    fn end(&mut self, bytes: usize) {
        let start = self.ends.last().copied().unwrap_or(0);
        self.ends.push(start + u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

fn tail<const K: usize, const V: usize>(
    blocks: &Blocks<K>,
    last: &[u8; K],
    filter: Option<&Filter>,
    filter_on: usize,
    entries: u64,
    distinct: u64,
) -> Vec<u8> {
    let filter = filter.map(Filter::bytes).unwrap_or_default();
    let index_bytes = blocks.firsts.len() * (K + LENGTH_BYTES) + K;
    let mut tail = Vec::with_capacity(index_bytes + filter.len() + FOOTER_BYTES);
    let mut start = 0;
    for (first, end) in blocks.firsts.iter().zip(&blocks.ends) {
        tail.extend_from_slice(first);
        tail.extend_from_slice(&u32::try_from(end - start).unwrap_or(u32::MAX).to_le_bytes());
        start = *end;
    }
    tail.extend_from_slice(last);
    tail.extend_from_slice(filter);
    tail.extend_from_slice(&MAGIC);
    for size in [K, V, filter_on] {
        tail.extend_from_slice(&u16::try_from(size).unwrap_or(u16::MAX).to_le_bytes());
    }
    for number in [entries, distinct, u64::try_from(filter.len()).unwrap_or(u64::MAX)] {
        tail.extend_from_slice(&number.to_le_bytes());
    }
    let crc = crc32c::crc32c(&tail);
    tail.extend_from_slice(&crc.to_le_bytes());
    tail
}

impl<const K: usize, const V: usize> Run<K, V> {
    /// Opens a run; checks everything but the blocks, which are checked when they are read.
    pub(crate) fn open(path: &Path, number: u64, filter_on: FilterOn) -> Result<Self, ReadError> {
        let wrong = |cause: &str| ReadError { file: path.to_owned(), cause: cause.into() };
        let failed = |error: io::Error| wrong(&error.to_string());
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let footer_at = length
            .checked_sub(u64::try_from(FOOTER_BYTES).unwrap_or(u64::MAX))
            .ok_or_else(|| wrong("too short"))?;
        let mut footer = [0; FOOTER_BYTES];
        file.read_exact_at(&mut footer, footer_at).map_err(failed)?;
        let footer = Footer::read(&footer).ok_or_else(|| wrong("not a sealed run"))?;
        if (footer.key_bytes, footer.value_bytes, footer.filter_on) != (K, V, filter_on.number()) {
            return Err(wrong("sealed for another map"));
        }
        let per_block = u64::try_from(block_entries(K + V)).unwrap_or(1);
        let blocks = footer.entries.div_ceil(per_block);
        let to_u64 = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let tail_bytes = blocks.checked_mul(to_u64(K + LENGTH_BYTES)).and_then(|bytes| {
            bytes.checked_add(footer.filter_len)?.checked_add(to_u64(K + FOOTER_BYTES))
        });
        let tail_at = tail_bytes.and_then(|bytes| length.checked_sub(bytes));
        let (Some(tail_bytes), Some(tail_at)) = (tail_bytes, tail_at) else {
            return Err(wrong("impossible sizes"));
        };
        let mut tail = vec![0; usize::try_from(tail_bytes).map_err(|_| wrong("too large"))?];
        file.read_exact_at(&mut tail, tail_at).map_err(failed)?;
        let (content, crc) =
            tail.split_last_chunk::<CRC_BYTES>().ok_or_else(|| wrong("too short"))?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return Err(wrong("its index is damaged"));
        }
        let blocks = usize::try_from(blocks).map_err(|_| wrong("too large"))?;
        let (index, rest) = content
            .split_at_checked(blocks * (K + LENGTH_BYTES))
            .ok_or_else(|| wrong("too short"))?;
        let (last, rest) = rest.split_first_chunk::<K>().ok_or_else(|| wrong("too short"))?;
        let mut blocks = Blocks { firsts: Vec::new(), ends: Vec::new() };
        for entry in index.chunks_exact(K + LENGTH_BYTES) {
            let (first, bytes) = entry.split_at(K);
            blocks.firsts.push(array(first));
            blocks.end(usize::try_from(u32::from_le_bytes(array(bytes))).unwrap_or(usize::MAX));
        }
        if blocks.ends.last().copied().unwrap_or(0) != tail_at {
            return Err(wrong("not of the length that it says"));
        }
        let filter_len = usize::try_from(footer.filter_len).map_err(|_| wrong("too large"))?;
        let filter = rest.get(..filter_len).unwrap_or_default().to_vec();
        let filter = match filter_on {
            FilterOn::Nothing => None,
            _ => Some(Filter::from_bytes(filter).ok_or_else(|| wrong("its filter is damaged"))?),
        };
        let (path, entries, distinct) = (path.to_owned(), footer.entries, footer.distinct);
        let (Blocks { firsts, ends }, last) = (blocks, *last);
        Ok(Self { number, path, file, firsts, ends, last, filter, entries, distinct })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a key of this range may be in the run, as far as its ends and the filter tell.
    pub(crate) fn may_have(&self, wanted: &Wanted<K>) -> bool {
        // Ids that begin with a time are later than all that is sealed, most often.
        let is_beside =
            wanted.from > self.last || self.firsts.first().is_none_or(|first| wanted.to < *first);
        !is_beside
            && match (&self.filter, wanted.hash) {
                (Some(filter), Some(hash)) => filter.may_have(hash),
                _ => true,
            }
    }

    pub(crate) fn blocks(&self) -> usize {
        self.firsts.len()
    }

    /// The block in which a key is, if it is there at all.
    pub(crate) fn block_of(&self, key: &[u8; K]) -> usize {
        self.firsts.partition_point(|first| first <= key).saturating_sub(1)
    }

    /// The entries of a block.
    pub(crate) fn block(&self, number: usize) -> Result<Block<K, V>, ReadError> {
        let wrong = |cause: &str| ReadError { file: self.path.clone(), cause: cause.into() };
        let end = self.ends.get(number).copied().unwrap_or(0);
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let start = start.unwrap_or(0);
        let mut stored = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
        self.file.read_exact_at(&mut stored, start).map_err(|error| wrong(&error.to_string()))?;
        let per_block = block_entries(K + V);
        let before = u64::try_from(number * per_block).unwrap_or(u64::MAX);
        let left = usize::try_from(self.entries.saturating_sub(before)).unwrap_or(usize::MAX);
        Block::decode(&stored, left.min(per_block))
            .ok_or_else(|| wrong(&format!("block {number} is damaged")))
    }
}

/// The keys from one to another, both included, as runs are asked for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<const K: usize> {
    from: [u8; K],
    to: [u8; K],
    /// What filters are asked for, where all the keys begin alike.
    hash: Option<u64>,
}

impl<const K: usize> Wanted<K> {
    /// `filter_on`: what the runs' filters are over.
    pub(crate) fn new(from: [u8; K], to: [u8; K], filter_on: FilterOn) -> Self {
        let common = |length: usize| {
            let beginning = from.get(..length)?;
            to.starts_with(beginning).then(|| filter::hash(beginning))
        };
        Self { from, to, hash: filter_on.lengths().find_map(common) }
    }
}

struct Footer {
    key_bytes: usize,
    value_bytes: usize,
    filter_on: usize,
    entries: u64,
    distinct: u64,
    filter_len: u64,
}

impl Footer {
    fn read(bytes: &[u8; FOOTER_BYTES]) -> Option<Self> {
        let small = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?).into());
        let large = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        (bytes.first_chunk() == Some(&MAGIC)).then_some(())?;
        Some(Self {
            key_bytes: small(8)?,
            value_bytes: small(10)?,
            filter_on: small(12)?,
            entries: large(14)?,
            distinct: large(22)?,
            filter_len: large(30)?,
        })
    }
}

/// The first `N` bytes, of at least as many.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests;
