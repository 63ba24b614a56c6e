//! A block of a sealed run: a few dozen entries, of which what they have in common is stored once.
//!
//! ```text
//!  mask      one bit a byte of an entry, the lowest first: whether the entries differ in that byte
//!  common    the bytes in which they do not, in order
//!  entries   of each the bytes in which they do, in order
//!  4 bytes   CRC32C of all that, little endian
//! ```
//!
//! Keys in order begin alike, and so do the big endian numbers in keys and values: an id that begins with a time takes 14
//! bytes instead of 22, an entry of a type 6 instead of 28.

use std::iter;

use crate::run::Entry;

const CRC_BYTES: usize = 4;

/// The entries of a block, in order of key.
#[derive(Debug, Default)]
pub(crate) struct Block<const K: usize, const V: usize>(Vec<u8>);

/// Appends the stored form of `entries`, which are keys and values one behind the other.
pub(crate) fn encode(entries: &[u8], entry_bytes: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let common = entries.get(..entry_bytes).unwrap_or_default();
    let mut differing = vec![0_u8; entry_bytes];
    for entry in entries.chunks_exact(entry_bytes) {
        for ((differs, byte), common) in differing.iter_mut().zip(entry).zip(common) {
            *differs |= byte ^ common;
        }
    }
    let mask = differing.chunks(8).map(|bytes| {
        (0..).zip(bytes).fold(0, |mask, (bit, byte)| mask | u8::from(*byte != 0) << bit)
    });
    out.extend(mask);
    out.extend(
        common.iter().zip(&differing).filter(|(_, differs)| **differs == 0).map(|(byte, _)| byte),
    );
    let columns: Vec<usize> =
        (0..).zip(&differing).filter(|(_, differs)| **differs != 0).map(|(at, _)| at).collect();
    for entry in entries.chunks_exact(entry_bytes) {
        out.extend(columns.iter().filter_map(|at| entry.get(*at)));
    }
    let crc = crc32c::crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_le_bytes());
}

impl<const K: usize, const V: usize> Block<K, V> {
    /// Reads the stored form of `count` entries; `None` where these bytes are not that.
    pub(crate) fn decode(stored: &[u8], count: usize) -> Option<Self> {
        let (stored, crc) = stored.split_last_chunk::<CRC_BYTES>()?;
        if crc32c::crc32c(stored) != u32::from_le_bytes(*crc) {
            return None;
        }
        let entry_bytes = K + V;
        let (mask, stored) = stored.split_at_checked(entry_bytes.div_ceil(8))?;
        let differs = |at: usize| mask.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 != 0);
        let columns: Vec<usize> = (0..entry_bytes).filter(|at| differs(*at)).collect();
        let (common, stored) = stored.split_at_checked(entry_bytes - columns.len())?;
        if stored.len() != count * columns.len() {
            return None;
        }
        let mut first = vec![0; entry_bytes];
        let alike = first.iter_mut().enumerate().filter(|(at, _)| !differs(*at));
        alike.zip(common).for_each(|((_, to), from)| *to = *from);
        let mut entries = first.repeat(count);
        if !columns.is_empty() {
            let rows = stored.chunks_exact(columns.len());
            for (entry, row) in entries.chunks_exact_mut(entry_bytes).zip(rows) {
                for (at, from) in iter::zip(&columns, row) {
                    if let Some(to) = entry.get_mut(*at) {
                        *to = *from;
                    }
                }
            }
        }
        Some(Self(entries))
    }

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes() {
        let mut out = Vec::new();
        encode(&[0, 0, 0, 1, 9, 8, 0, 0, 0, 2, 9, 6], 6, &mut out);
        let stored = [0b10_1000, 0, 0, 0, 9, 1, 8, 2, 6];
        assert_eq!(out[..9], stored);
        assert_eq!(out[9..], crc32c::crc32c(&stored).to_le_bytes());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            entries in prop::collection::vec(([0_u8..3, 0..255, 7..8, 0..2], [0_u8..2, 5..6]), 1..200),
        ) {
            let raw: Vec<u8> =
                entries.iter().flat_map(|(key, value)| key.iter().chain(value)).copied().collect();
            let mut stored = Vec::new();
            encode(&raw, 6, &mut stored);
            let block = Block::<4, 2>::decode(&stored, entries.len()).unwrap();
            let decoded: Vec<_> = (0..block.len()).filter_map(|at| block.entry(at)).collect();
            prop_assert_eq!(decoded, entries);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(mut stored: Vec<u8>, count in 0_usize..300) {
            let crc = crc32c::crc32c(&stored);
            stored.extend_from_slice(&crc.to_le_bytes());
            if let Some(block) = Block::<4, 2>::decode(&stored, count) {
                prop_assert_eq!(block.len(), count);
            }
        }
    }
}
