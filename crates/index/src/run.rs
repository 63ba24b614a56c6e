//! A sealed run: an immutable file of entries in order of key.
//!
//! ```text
//!  blocks   as many entries as fit in 4092 bytes, then their CRC32C, little endian; the last block may be shorter
//!  index    the first key of each block
//!  filter   see filter.rs; absent where the map has none
//!  footer   8 bytes   magic
//!           2, 2, 2   bytes of a key, of a value, of what the filter is over; little endian, as all that follows
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

use crate::filter::Filter;

const MAGIC: [u8; 8] = *b"LMBRUN\0\x01";
const BLOCK_BYTES: usize = 4096;
const CRC_BYTES: usize = 4;
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
    filter: Option<Filter>,
    filter_bytes: usize,
    pub(crate) entries: u64,
    /// Keys in the filter.
    pub(crate) distinct: u64,
}

const fn block_entries(entry_bytes: usize) -> usize {
    (BLOCK_BYTES - CRC_BYTES) / entry_bytes
}

/// Writes a run. `entries` come in order of key, each key once; `distinct` is how many different beginnings of
/// `filter_bytes` bytes they have, or a few more.
pub(crate) fn write<const K: usize, const V: usize>(
    path: &Path,
    number: u64,
    filter_bytes: usize,
    distinct: u64,
    entries: impl Iterator<Item = Result<Entry<K, V>, ReadError>>,
) -> Result<Run<K, V>, ReadError> {
    let failed =
        |error: &io::Error| ReadError { file: path.to_owned(), cause: error.to_string().into() };
    let mut filter = (filter_bytes > 0).then(|| Filter::new(distinct));
    let mut firsts = Vec::new();
    let mut count = 0_u64;
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let mut last: Option<[u8; K]> = None;
    let file = File::create(path).map_err(|error| failed(&error))?;
    let mut out = BufWriter::with_capacity(256 << 10, file);
    for entry in entries {
        let (key, value) = entry?;
        debug_assert!(last.is_none_or(|last| last < key), "keys in order");
        if block.is_empty() {
            firsts.push(key);
        }
        block.extend_from_slice(&key);
        block.extend_from_slice(&value);
        count += 1;
        let beginning = key.get(..filter_bytes).unwrap_or(&key);
        if let Some(filter) = &mut filter
            && last.is_none_or(|last| last.get(..filter_bytes) != Some(beginning))
        {
            filter.insert(beginning);
        }
        last = Some(key);
        if block.len() + K + V > BLOCK_BYTES - CRC_BYTES {
            write_block(&mut out, &mut block).map_err(|error| failed(&error))?;
        }
    }
    if !block.is_empty() {
        write_block(&mut out, &mut block).map_err(|error| failed(&error))?;
    }
    let tail = tail::<K, V>(&firsts, filter.as_ref(), filter_bytes, count, distinct);
    let finish = |mut out: BufWriter<File>| {
        out.write_all(&tail)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_data()?;
        // Opened for writing only; readers need another handle.
        File::open(path)
    };
    let file = finish(out).map_err(|error| failed(&error))?;
    let path = path.to_owned();
    Ok(Run { number, path, file, firsts, filter, filter_bytes, entries: count, distinct })
}

fn write_block(out: &mut impl Write, block: &mut Vec<u8>) -> io::Result<()> {
    let crc = crc32c::crc32c(block);
    block.extend_from_slice(&crc.to_le_bytes());
    out.write_all(block)?;
    block.clear();
    Ok(())
}

fn tail<const K: usize, const V: usize>(
    firsts: &[[u8; K]],
    filter: Option<&Filter>,
    filter_on: usize,
    entries: u64,
    distinct: u64,
) -> Vec<u8> {
    let filter = filter.map(Filter::bytes).unwrap_or_default();
    let mut tail = Vec::with_capacity(firsts.len() * K + filter.len() + FOOTER_BYTES);
    firsts.iter().for_each(|first| tail.extend_from_slice(first));
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
    pub(crate) fn open(path: &Path, number: u64, filter_bytes: usize) -> Result<Self, ReadError> {
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
        if (footer.key_bytes, footer.value_bytes, footer.filter_on) != (K, V, filter_bytes) {
            return Err(wrong("sealed for another map"));
        }
        let per_block = u64::try_from(block_entries(K + V)).unwrap_or(1);
        let blocks = footer.entries.div_ceil(per_block);
        let to_u64 = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let blocks_bytes = footer
            .entries
            .checked_mul(to_u64(K + V))
            .and_then(|bytes| bytes.checked_add(blocks.checked_mul(to_u64(CRC_BYTES))?));
        let tail_bytes = blocks.checked_mul(to_u64(K)).and_then(|bytes| {
            bytes.checked_add(footer.filter_len)?.checked_add(to_u64(FOOTER_BYTES))
        });
        let (Some(blocks_bytes), Some(tail_bytes)) = (blocks_bytes, tail_bytes) else {
            return Err(wrong("impossible sizes"));
        };
        if blocks_bytes.checked_add(tail_bytes) != Some(length) {
            return Err(wrong("not of the length that it says"));
        }
        let mut tail = vec![0; usize::try_from(tail_bytes).map_err(|_| wrong("too large"))?];
        file.read_exact_at(&mut tail, blocks_bytes).map_err(failed)?;
        let (content, crc) =
            tail.split_last_chunk::<CRC_BYTES>().ok_or_else(|| wrong("too short"))?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return Err(wrong("its index is damaged"));
        }
        let blocks = usize::try_from(blocks).map_err(|_| wrong("too large"))?;
        let (firsts, rest) =
            content.split_at_checked(blocks * K).ok_or_else(|| wrong("too short"))?;
        let firsts = firsts.chunks_exact(K).map(array).collect();
        let filter_len = usize::try_from(footer.filter_len).map_err(|_| wrong("too large"))?;
        let filter = rest.get(..filter_len).unwrap_or_default().to_vec();
        let filter = match filter_bytes {
            0 => None,
            _ => Some(Filter::from_bytes(filter).ok_or_else(|| wrong("its filter is damaged"))?),
        };
        let (path, entries, distinct) = (path.to_owned(), footer.entries, footer.distinct);
        Ok(Self { number, path, file, firsts, filter, filter_bytes, entries, distinct })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a key of this range may be in the run, as far as the filter tells.
    pub(crate) fn may_have(&self, from: &[u8; K], to: &[u8; K]) -> bool {
        let Some(filter) = &self.filter else {
            return true;
        };
        match (from.get(..self.filter_bytes), to.get(..self.filter_bytes)) {
            (Some(first), Some(last)) if first == last => filter.may_have(first),
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
        let per_block = block_entries(K + V);
        let full_bytes = per_block * (K + V) + CRC_BYTES;
        let before = u64::try_from(number * per_block).unwrap_or(u64::MAX);
        let left = usize::try_from(self.entries.saturating_sub(before)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; left.min(per_block) * (K + V) + CRC_BYTES];
        let offset = u64::try_from(number * full_bytes).unwrap_or(u64::MAX);
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| wrong(&error.to_string()))?;
        let damaged = || wrong(&format!("block {number} is damaged"));
        let (content, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or_else(damaged)?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return Err(damaged());
        }
        bytes.truncate(bytes.len() - CRC_BYTES);
        Ok(Block(bytes))
    }
}

/// The entries of a block, in order of key.
#[derive(Debug, Default)]
pub(crate) struct Block<const K: usize, const V: usize>(Vec<u8>);

impl<const K: usize, const V: usize> Block<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.0.len() / (K + V)
    }

    pub(crate) fn key(&self, number: usize) -> Option<&[u8; K]> {
        self.0.get(number * (K + V)..)?.first_chunk()
    }

    pub(crate) fn entry(&self, number: usize) -> Option<Entry<K, V>> {
        let bytes = self.0.get(number * (K + V)..)?;
        Some((*bytes.first_chunk()?, *bytes.get(K..)?.first_chunk()?))
    }

    /// The number of the first entry whose key is not below this one.
    pub(crate) fn at_or_after(&self, key: &[u8; K]) -> usize {
        let (mut first, mut end) = (0, self.len());
        while first < end {
            let middle = first + (end - first) / 2;
            if self.key(middle).is_some_and(|known| known < key) {
                first = middle + 1;
            } else {
                end = middle;
            }
        }
        first
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
